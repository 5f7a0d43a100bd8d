package server

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/artefact"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/cloudap"
)

// logon is LogonUI's door.
type logon struct {
	lsav1.UnimplementedLogonServiceServer
	cloudAP *cloudap.CloudAP
}

func (l logon) LogonUser(ctx context.Context, req *lsav1.LogonUserRequest) (*lsav1.LogonUserResponse, error) {
	upn, err := ids.ParseUPN(req.GetUserPrincipalName())
	if err != nil {
		return nil, prterr.New(prterr.Invalid, "user_principal_name: %v", err)
	}
	if _, ok := req.GetCredential().(*lsav1.LogonUserRequest_Password); !ok {
		return nil, prterr.New(prterr.Invalid, "credential is missing: give a password")
	}
	if n := len(req.GetPassword()); n == 0 || n > artefact.MaxPassword {
		return nil, prterr.New(prterr.Invalid, "password must be 1 to %d bytes", artefact.MaxPassword)
	}
	got, err := l.cloudAP.Logon(ctx, upn, secret.NewText(req.GetPassword()))
	if err != nil {
		return nil, err
	}
	return &lsav1.LogonUserResponse{
		LogonSession: got.Session.Reveal(), UserId: string(got.User), DisplayName: got.DisplayName,
		FromCache: got.FromCache, RenewalStarted: got.RenewalStarted,
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
	for _, p := range s.cloudAP.States() {
		out.Partitions = append(out.Partitions, &lsav1.PartitionState{
			UserPrincipalName: string(p.UPN), UserId: string(p.User), CredentialKind: string(p.Kind),
			PrtUpdateTime: timestamppb.New(p.ObtainedAt), PrtExpiryTime: timestamppb.New(p.ExpiresAt),
			PrtDigest: p.Digest(), RenewalRunning: p.RenewalRunning, LastError: p.LastError,
		})
	}
	return out, nil
}
