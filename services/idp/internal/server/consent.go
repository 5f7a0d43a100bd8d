package server

import (
	"context"

	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// AnswerConsent takes the answer to what an application wants to be allowed.
func (s *SignIn) AnswerConsent(ctx context.Context, req *idpv1.AnswerConsentRequest) (*idpv1.AnswerConsentResponse, error) {
	o, err := s.SignIns.AnswerConsent(ctx, form(req), req.GetAccept(), req.GetForOrganization())
	if err != nil {
		return nil, err
	}
	return &idpv1.AnswerConsentResponse{Next: next(o)}, nil
}
