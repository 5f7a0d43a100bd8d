package aadplugin

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/authority/artefact"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	cloudapv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/cloudap/v1"
)

func (e *edge) BeginPage(ctx context.Context, req *cloudapv1.BeginPageRequest) (*cloudapv1.BeginPageResponse, error) {
	if _, known := cloudapv1.PagePurpose_name[int32(req.GetPurpose())]; !known || req.GetPurpose() == cloudapv1.PagePurpose_PAGE_PURPOSE_UNSPECIFIED {
		return nil, prterr.New(prterr.Invalid, "purpose is not set")
	}
	if len(req.GetClaims()) > artefact.MaxClaims {
		return nil, prterr.New(prterr.Invalid, "claims is longer than %d bytes", artefact.MaxClaims)
	}
	a := pageAsked{purpose: req.GetPurpose(), claims: req.GetClaims(), signIn: req.GetSignIn()}
	if consents := req.GetPurpose() == cloudapv1.PagePurpose_PAGE_PURPOSE_CONSENT; consents || req.GetClientId()+req.GetResource() != "" {
		var err error
		a.resource = req.GetResource()
		if a.app, err = ids.ParseClient(req.GetClientId()); !consents || err != nil || a.resource == "" || !artefact.Line(a.resource, artefact.MaxURI) {
			return nil, prterr.New(prterr.Invalid, "client_id and resource, well formed, go with a page for consent and with no other")
		}
	}
	if req.GetLoginHint() != "" {
		var err error
		if a.hint, err = readUPN(req.GetLoginHint()); err != nil {
			return nil, err
		}
	}
	if req.GetCached() != nil {
		c, err := readCached("cached", req.GetCached())
		if err != nil {
			return nil, err
		}
		a.cached = &c
	}
	got, err := e.plugin.beginPage(ctx, a)
	if err != nil {
		return nil, err
	}
	state, err := got.State.Encode()
	if err != nil {
		return nil, err
	}
	return &cloudapv1.BeginPageResponse{
		Url: got.URL, RedirectUri: got.State.Redirect, State: state, Headers: []*cloudapv1.PageHeader{{Name: got.HeaderName, Value: got.Header.Reveal()}},
	}, nil
}

func (e *edge) RedeemPage(ctx context.Context, req *cloudapv1.RedeemPageRequest) (*cloudapv1.RedeemPageResponse, error) {
	end, err := readPageEnd(req.GetPage())
	if err != nil {
		return nil, err
	}
	got, err := e.plugin.redeemPage(ctx, req.GetPurpose(), end)
	if err != nil {
		return nil, err
	}
	if got.Access.Empty() { // a page for consent
		return &cloudapv1.RedeemPageResponse{}, nil
	}
	return &cloudapv1.RedeemPageResponse{
		AccessToken: got.Access.Reveal(), TenantId: string(got.Tenant), UserId: string(got.User), UserPrincipalName: string(got.UPN),
	}, nil
}

func (e *edge) RegisterHelloKey(ctx context.Context, req *cloudapv1.RegisterHelloKeyRequest) (*cloudapv1.RegisterHelloKeyResponse, error) {
	access, err := readAccess(req.GetAccessToken())
	if err != nil {
		return nil, err
	}
	if n := len(req.GetPublicKey()); n == 0 || n > artefact.MaxCert {
		return nil, prterr.New(prterr.Invalid, "public_key is empty or too long")
	}
	if err := e.plugin.cloud.registerHello(ctx, access, req.GetPublicKey()); err != nil {
		return nil, err
	}
	return &cloudapv1.RegisterHelloKeyResponse{}, nil
}

func (e *edge) DescribePINReset(ctx context.Context, _ *cloudapv1.DescribePINResetRequest) (*cloudapv1.DescribePINResetResponse, error) {
	key, err := e.plugin.cloud.pinResetKey(ctx)
	if err != nil {
		return nil, err
	}
	return &cloudapv1.DescribePINResetResponse{Key: key}, nil
}

func (e *edge) OpenResetSecret(ctx context.Context, req *cloudapv1.OpenResetSecretRequest) (*cloudapv1.OpenResetSecretResponse, error) {
	access, err := readAccess(req.GetAccessToken())
	if err != nil {
		return nil, err
	}
	if n := len(req.GetWrappedResetSecret()); n == 0 || n > artefact.MaxSignature || req.GetKeyId() == "" || len(req.GetKeyId()) > artefact.MaxName {
		return nil, prterr.New(prterr.Invalid, "wrapped_reset_secret or key_id is empty or too long")
	}
	opened, err := e.plugin.cloud.openReset(ctx, access, req.GetWrappedResetSecret(), req.GetKeyId())
	if err != nil {
		return nil, err
	}
	defer opened.Wipe()
	return &cloudapv1.OpenResetSecretResponse{ResetSecret: append([]byte(nil), opened.Reveal()...)}, nil
}

func readAccess(s string) (secret.Text, error) {
	if s == "" || !artefact.Line(s, artefact.MaxToken) {
		return secret.Text{}, prterr.New(prterr.Invalid, "access_token is empty, too long or has a character that is not allowed")
	}
	return secret.NewText(s), nil
}
