package server

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/cloudap"
)

// ssoState shows what the device holds, without a secret.
type ssoState struct {
	lsav1.UnimplementedSSOStateServiceServer
	cloudAP *cloudap.CloudAP
}

func (s ssoState) GetSSOState(context.Context, *lsav1.GetSSOStateRequest) (*lsav1.GetSSOStateResponse, error) {
	out := &lsav1.GetSSOStateResponse{Cache: cacheState(s.cloudAP.Cache())}
	for _, a := range s.cloudAP.Attempts() {
		out.Attempts = append(out.Attempts, attempt(a))
	}
	for _, p := range s.cloudAP.States() {
		out.Partitions = append(out.Partitions, &lsav1.PartitionState{
			UserPrincipalName: string(p.UPN), UserId: string(p.User), CredentialKind: string(p.Kind),
			PrtUpdateTime: timestamppb.New(p.ObtainedAt), PrtExpiryTime: timestamppb.New(p.ExpiresAt),
			PrtDigest: p.Digest(), RenewalRunning: p.RenewalRunning, LastError: p.LastError,
			LastAcquire: attempt(p.Acquire), LastRefresh: attempt(p.Refresh),
		})
	}
	return out, nil
}
