package aadplugin

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/apptoken"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/workaccount"
)

// edge is where the plug-in contract's messages end.
type edge struct {
	wamv1.UnimplementedPluginServiceServer
	plugin *Plugin
}

// GetToken checks the request again: a plug-in does not rely on its framework.
func (e *edge) GetToken(ctx context.Context, req *wamv1.GetTokenRequest) (*wamv1.GetTokenResponse, error) {
	r, err := apptoken.ParseRequest(apptoken.Fields{
		Session: req.GetLogonSession(), ClientID: req.GetClientId(), Resource: req.GetResource(),
		RedirectURI: req.GetRedirectUri(), Force: req.GetForceRefresh(), Interactive: req.GetInteractive(), Claims: req.GetClaims(),
		Account: req.GetAccount(),
	})
	if err != nil {
		return nil, err
	}
	acc, g, err := e.plugin.GetToken(ctx, r)
	if err != nil {
		return nil, err
	}
	return &wamv1.GetTokenResponse{
		AccessToken: g.Token.Reveal(), ExpiresAt: timestamppb.New(g.ExpiresAt), Scope: g.Scope,
		UserPrincipalName: string(acc.UPN), UserId: string(acc.User), TenantId: string(acc.Tenant),
	}, nil
}

// AddAccount checks the account again.
func (e *edge) AddAccount(ctx context.Context, req *wamv1.AddAccountRequest) (*wamv1.AddAccountResponse, error) {
	c, err := workaccount.Parse(req.GetUserPrincipalName(), req.GetPassword())
	if err != nil {
		return nil, err
	}
	session, err := apptoken.ParseSession(req.GetLogonSession())
	if err != nil {
		return nil, err
	}
	d, err := e.plugin.AddAccount(ctx, session, c)
	if err != nil {
		return nil, err
	}
	return &wamv1.AddAccountResponse{DeviceId: string(d.ID), TenantId: string(d.Tenant), PrtObtained: d.PRT}, nil
}
