package server

import (
	"context"
	"strings"

	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/cloudap"
)

// logon is LogonUI's door.
type logon struct {
	lsav1.UnimplementedLogonServiceServer
	cloudAP *cloudap.CloudAP
}

func (l logon) LogonUser(ctx context.Context, req *lsav1.LogonUserRequest) (*lsav1.LogonUserResponse, error) {
	got, err := l.logon(ctx, req)
	if err != nil {
		return nil, err
	}
	return &lsav1.LogonUserResponse{
		LogonSession: got.Session.Reveal(), UserId: string(got.User), DisplayName: got.DisplayName,
		FromCache: got.FromCache, RenewalStarted: got.RenewalStarted,
		CredentialKind: string(got.Kind), HelloOffered: got.HelloOffered,
		Sid: string(got.SID), PrtPending: got.PRTPending, ByDomain: got.ByDomain,
	}, nil
}

// logon tells an account of the device's own, whose name has no @, from one of a tenant.
func (l logon) logon(ctx context.Context, req *lsav1.LogonUserRequest) (cloudap.Logon, error) {
	if n := req.GetUserPrincipalName(); n != "" && !strings.Contains(n, "@") {
		name, password, err := readLocal(n, req)
		if err != nil {
			return cloudap.Logon{}, err
		}
		return l.cloudAP.LocalLogon(ctx, name, password)
	}
	upn, cred, err := readCredential(req)
	if err != nil {
		return cloudap.Logon{}, err
	}
	return l.cloudAP.Logon(ctx, upn, cred)
}

func (l logon) UnlockUser(ctx context.Context, req *lsav1.UnlockUserRequest) (*lsav1.UnlockUserResponse, error) {
	session, err := cloudap.Session(req.GetLogonSession())
	if err != nil {
		return nil, err
	}
	cred, err := readUnlock(req)
	if err != nil {
		return nil, err
	}
	got, err := l.cloudAP.Unlock(ctx, session, cred)
	if err != nil {
		return nil, err
	}
	return &lsav1.UnlockUserResponse{RenewalStarted: got.RenewalStarted, CredentialKind: string(got.Kind)}, nil
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
