package server

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
)

// ListChallenges lists the second factors that wait for an answer.
func (s *Read) ListChallenges(ctx context.Context, req *directoryv1.ListChallengesRequest) (*directoryv1.ListChallengesResponse, error) {
	var name ids.UPN
	if req.GetUserPrincipalName() != "" {
		var err error
		if name, err = userName(req.GetUserPrincipalName()); err != nil {
			return nil, err
		}
	}
	all, err := s.Factors.Challenges(ctx, name)
	if err != nil {
		return nil, err
	}
	out := &directoryv1.ListChallengesResponse{}
	for _, c := range all {
		out.Challenges = append(out.Challenges, &directoryv1.Challenge{
			ChallengeId: c.ID, UserPrincipalName: string(c.User), MethodId: c.Method, ExpiresAt: timestamppb.New(c.Expires),
		})
	}
	return out, nil
}
