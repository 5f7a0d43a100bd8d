package server

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/cloudap"
)

// logon is LogonUI's door.
type logon struct {
	lsav1.UnimplementedLogonServiceServer
	cloudAP *cloudap.CloudAP
}

func (l logon) LogonUser(ctx context.Context, req *lsav1.LogonUserRequest) (*lsav1.LogonUserResponse, error) {
	upn, cred, err := readCredential(req)
	if err != nil {
		return nil, err
	}
	got, err := l.cloudAP.Logon(ctx, upn, cred)
	if err != nil {
		return nil, err
	}
	return &lsav1.LogonUserResponse{
		LogonSession: got.Session.Reveal(), UserId: string(got.User), DisplayName: got.DisplayName,
		FromCache: got.FromCache, RenewalStarted: got.RenewalStarted,
		CredentialKind: string(got.Kind), HelloOffered: got.HelloOffered,
	}, nil
}

func (l logon) LogoffUser(_ context.Context, req *lsav1.LogoffUserRequest) (*lsav1.LogoffUserResponse, error) {
	session, err := cloudap.Session(req.GetLogonSession())
	if err != nil {
		return nil, err
	}
	if err := l.cloudAP.Logoff(session); err != nil {
		return nil, err
	}
	return &lsav1.LogoffUserResponse{}, nil
}

// ssoState shows what the device holds, without a secret.
type ssoState struct {
	lsav1.UnimplementedSSOStateServiceServer
	cloudAP *cloudap.CloudAP
}

func (s ssoState) GetSSOState(context.Context, *lsav1.GetSSOStateRequest) (*lsav1.GetSSOStateResponse, error) {
	out := &lsav1.GetSSOStateResponse{}
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
