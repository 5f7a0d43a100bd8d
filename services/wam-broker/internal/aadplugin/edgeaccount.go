package aadplugin

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/account"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/apptoken"
	own "github.com/lockstep-sso/lockstep/services/wam-broker/internal/authority"
)

// DescribeAccounts lists the accounts of a session.
func (e *edge) DescribeAccounts(ctx context.Context, req *wamv1.DescribeAccountsRequest) (*wamv1.DescribeAccountsResponse, error) {
	session, err := apptoken.ParseSession(req.GetLogonSession())
	if err != nil {
		return nil, err
	}
	_, all, err := e.plugin.accounts(ctx, session)
	if err != nil {
		return nil, err
	}
	out := &wamv1.DescribeAccountsResponse{}
	for i, k := range all {
		out.Accounts = append(out.Accounts, k.message(i == 0))
	}
	return out, nil
}

func (k known) message(standard bool) *wamv1.Account {
	m := &wamv1.Account{
		UserPrincipalName: string(k.UPN), UserId: string(k.User), TenantId: string(k.Tenant), DisplayName: k.name, Default: standard,
		Authority: wamv1.Authority_AUTHORITY_CLOUDAP,
	}
	if k.own != nil {
		m.Authority = wamv1.Authority_AUTHORITY_WAM
	}
	return m
}

// ChooseAccount makes an account the default one.
func (e *edge) ChooseAccount(ctx context.Context, req *wamv1.ChooseAccountRequest) (*wamv1.ChooseAccountResponse, error) {
	session, err := apptoken.ParseSession(req.GetLogonSession())
	if err == nil {
		err = apptoken.CheckAccount(req.GetAccount())
	}
	if err != nil {
		return nil, err
	}
	return &wamv1.ChooseAccountResponse{}, e.plugin.Choose(ctx, session, req.GetAccount())
}

// RemoveAccount removes an account.
func (e *edge) RemoveAccount(ctx context.Context, req *wamv1.RemoveAccountRequest) (*wamv1.RemoveAccountResponse, error) {
	session, err := apptoken.ParseSession(req.GetLogonSession())
	if err == nil {
		err = apptoken.CheckAccount(req.GetAccount())
	}
	if err != nil {
		return nil, err
	}
	left, err := e.plugin.RemoveAccount(ctx, session, req.GetAccount())
	if err != nil {
		return nil, err
	}
	return &wamv1.RemoveAccountResponse{DeviceLeft: left.Device, TenantTold: left.TenantTold}, nil
}

// ReadAccountState lists the accounts of all users.
func (e *edge) ReadAccountState(context.Context, *wamv1.ReadAccountStateRequest) (*wamv1.ReadAccountStateResponse, error) {
	out := &wamv1.ReadAccountStateResponse{}
	if e.plugin.own == nil {
		return out, nil
	}
	for _, s := range e.plugin.own.States() {
		out.Accounts = append(out.Accounts, state(s))
	}
	slices.SortFunc(out.GetAccounts(), func(a, b *wamv1.AccountState) int {
		return strings.Compare(a.GetSid()+" "+a.GetAccount().GetUserPrincipalName(), b.GetSid()+" "+b.GetAccount().GetUserPrincipalName())
	})
	return out, nil
}

func state(s own.State) *wamv1.AccountState {
	m := &wamv1.AccountState{Sid: string(s.SID), Account: &wamv1.Account{
		UserPrincipalName: string(s.UPN), UserId: string(s.User), TenantId: string(s.Tenant), DisplayName: s.DisplayName, Default: s.Default,
		Authority: wamv1.Authority_AUTHORITY_WAM,
	}}
	m.RenewalRunning = s.Renewing
	if p := s.PRT; p != nil {
		m.PrtUpdateTime, m.PrtExpiryTime, m.PrtDigest = timestamppb.New(p.ObtainedAt), timestamppb.New(p.ExpiresAt), p.Digest()
		m.Validity, m.Mfa = validity(s), factor(p.Factor)
	}
	m.LastAttempt = s.LastAttempt.Proto()
	return m
}

func validity(s own.State) authorityv1.PRTValidity {
	switch {
	case s.PRT.Validity == account.Revoked:
		return authorityv1.PRTValidity_PRT_VALIDITY_REVOKED
	case s.PRT.Validity == account.DeviceInvalid:
		return authorityv1.PRTValidity_PRT_VALIDITY_DEVICE_INVALID
	case s.PRT.Validity == account.KeysLost:
		return authorityv1.PRTValidity_PRT_VALIDITY_KEYS_LOST
	case s.Expired:
		return authorityv1.PRTValidity_PRT_VALIDITY_EXPIRED
	default:
		return authorityv1.PRTValidity_PRT_VALIDITY_GOOD
	}
}

func factor(f account.Factor) authorityv1.MFAState {
	switch f {
	case account.HasFactor:
		return authorityv1.MFAState_MFA_STATE_YES
	case account.NoFactor:
		return authorityv1.MFAState_MFA_STATE_NO
	default:
		return authorityv1.MFAState_MFA_STATE_UNSPECIFIED
	}
}
