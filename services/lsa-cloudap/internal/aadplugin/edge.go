package aadplugin

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/authority"
	"github.com/lockstep-sso/lockstep/pkg/authority/artefact"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	cloudapv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/cloudap/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

// edge turns the messages of the plug-in contract into calls of the plug-in. It
// checks the form of every field again: the framework is another component.
type edge struct {
	cloudapv1.UnimplementedPluginServiceServer
	plugin *Plugin
}

func (e *edge) AuthenticateUser(ctx context.Context, req *cloudapv1.AuthenticateUserRequest) (*cloudapv1.AuthenticateUserResponse, error) {
	got, err := e.authenticate(ctx, req)
	if err != nil {
		return nil, err
	}
	return &cloudapv1.AuthenticateUserResponse{Issued: issued(got)}, nil
}

func (e *edge) RenewPRT(ctx context.Context, req *cloudapv1.RenewPRTRequest) (*cloudapv1.RenewPRTResponse, error) {
	c, err := readCached("cached", req.GetCached())
	if err != nil {
		return nil, err
	}
	upn, err := readUPN(req.GetUserPrincipalName())
	if err != nil {
		return nil, err
	}
	password, err := readPassword(req.GetPassword())
	if err != nil {
		return nil, err
	}
	got, err := e.plugin.renew(ctx, c, upn, password)
	if err != nil {
		return nil, err
	}
	return &cloudapv1.RenewPRTResponse{Issued: issued(got)}, nil
}

func (e *edge) ValidatePRT(ctx context.Context, req *cloudapv1.ValidatePRTRequest) (*cloudapv1.ValidatePRTResponse, error) {
	c, err := readCached("offered", req.GetOffered())
	if err != nil {
		return nil, err
	}
	if err := e.plugin.prt.Validate(ctx, c); err != nil {
		return nil, err
	}
	return &cloudapv1.ValidatePRTResponse{}, nil
}

func (e *edge) SignTokenRequest(ctx context.Context, req *cloudapv1.SignTokenRequestRequest) (*cloudapv1.SignTokenRequestResponse, error) {
	c, err := readCached("cached", req.GetCached())
	if err != nil {
		return nil, err
	}
	client, err := readClient(req.GetClientId())
	if err != nil {
		return nil, err
	}
	r := authority.TokenRequest{
		Client: client, Resource: req.GetResource(), RedirectURI: req.GetRedirectUri(),
		Nonce: req.GetRequestNonce(), NewPRT: req.GetRequestNewPrt(),
	}
	if err := check(r); err != nil {
		return nil, err
	}
	if t := req.GetRefreshToken(); t != nil {
		if n := len(t.GetSealed()); n == 0 || n > artefact.MaxSealed || r.NewPRT {
			return nil, prterr.New(prterr.Invalid, "refresh_token is empty, too long, or stands beside request_new_prt")
		}
		r.RefreshToken = t.GetSealed()
	}
	request, err := e.plugin.prt.SignToken(ctx, c, r)
	if err != nil {
		return nil, err
	}
	return &cloudapv1.SignTokenRequestResponse{Request: request}, nil
}

func (e *edge) OpenTokenAnswer(ctx context.Context, req *cloudapv1.OpenTokenAnswerRequest) (*cloudapv1.OpenTokenAnswerResponse, error) {
	c, err := readCached("cached", req.GetCached())
	if err != nil {
		return nil, err
	}
	client, err := readClient(req.GetClientId())
	if err != nil {
		return nil, err
	}
	if !artefact.Opaque(req.GetAnswer(), artefact.MaxToken) {
		return nil, prterr.New(prterr.Invalid, "answer is not a compact token of at most 64 KiB")
	}
	open := e.plugin.prt.OpenToken
	if req.GetDiscardRefreshToken() {
		open = e.plugin.prt.OpenAccess
	}
	answer, err := open(ctx, c, client, req.GetAnswer())
	if err != nil {
		return nil, err
	}
	return &cloudapv1.OpenTokenAnswerResponse{Answer: answer}, nil
}

func (e *edge) CreatePRTCookie(ctx context.Context, req *cloudapv1.CreatePRTCookieRequest) (*cloudapv1.CreatePRTCookieResponse, error) {
	c, err := readCached("cached", req.GetCached())
	if err != nil {
		return nil, err
	}
	if !artefact.Opaque(req.GetRequestNonce(), artefact.MaxNonce) {
		return nil, prterr.New(prterr.Invalid, "request_nonce is empty, too long or has a character that is not allowed")
	}
	cookie, err := e.plugin.prt.SignCookie(ctx, c, req.GetRequestNonce())
	if err != nil {
		return nil, err
	}
	return &cloudapv1.CreatePRTCookieResponse{Name: entrawire.CookieName, Value: cookie}, nil
}

func check(r authority.TokenRequest) error {
	switch {
	case !artefact.Line(r.Resource, artefact.MaxURI):
		return prterr.New(prterr.Invalid, "resource is too long or has a character that is not allowed")
	case r.RedirectURI == "" || !artefact.Line(r.RedirectURI, artefact.MaxURI):
		return prterr.New(prterr.Invalid, "redirect_uri is empty, too long or has a character that is not allowed")
	case !artefact.Opaque(r.Nonce, artefact.MaxNonce):
		return prterr.New(prterr.Invalid, "request_nonce is empty, too long or has a character that is not allowed")
	}
	return nil
}

func readUPN(s string) (ids.UPN, error) {
	upn, err := ids.ParseUPN(s)
	if err != nil {
		return "", prterr.New(prterr.Invalid, "user_principal_name: %v", err)
	}
	return upn, nil
}

func readClient(s string) (ids.ClientID, error) {
	client, err := ids.ParseClient(s)
	if err != nil {
		return "", prterr.New(prterr.Invalid, "client_id: %v", err)
	}
	return client, nil
}

func readPassword(s string) (secret.Text, error) {
	if len(s) > artefact.MaxPassword {
		return secret.Text{}, prterr.New(prterr.Invalid, "password is longer than %d bytes", artefact.MaxPassword)
	}
	return secret.NewText(s), nil
}

func readCached(field string, m *cloudapv1.CachedPRT) (authority.Cached, error) {
	p := m.GetPartition()
	key, err := partition.ParseKey(p.GetTenantId(), p.GetUserId(), p.GetCredentialKind())
	if err != nil {
		return authority.Cached{}, prterr.New(prterr.Invalid, "%s.partition: %v", field, err)
	}
	sealed := m.GetSessionKey().GetSealed()
	switch {
	case len(m.GetSealedPrt().GetSealed()) > artefact.MaxSealedPRT:
		return authority.Cached{}, prterr.New(prterr.Invalid, "%s.sealed_prt is too long", field)
	case m.GetSealedPrt() != nil && m.GetPrt() != "":
		return authority.Cached{}, prterr.New(prterr.Invalid, "%s has its PRT sealed and in the clear", field)
	case len(m.GetSealedPrt().GetSealed()) == 0 && !artefact.Opaque(m.GetPrt(), artefact.MaxPRT):
		return authority.Cached{}, prterr.New(prterr.Invalid, "%s.prt is empty, too long or has a character that is not allowed", field)
	case len(sealed) == 0 || len(sealed) > artefact.MaxSealedKey:
		return authority.Cached{}, prterr.New(prterr.Invalid, "%s.session_key is empty or too long", field)
	}
	return authority.Cached{
		Key: authority.Key{Tenant: key.Tenant, User: key.User, Kind: string(key.Kind)},
		PRT: secret.NewText(m.GetPrt()), SealedPRT: m.GetSealedPrt().GetSealed(), SealedKey: sealed,
	}, nil
}
