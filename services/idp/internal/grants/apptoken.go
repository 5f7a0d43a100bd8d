package grants

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// RedeemPRT gives tokens of an application for the PRT (app token, step C). The
// answer is encrypted under the session key.
func (g *Gate) RedeemPRT(ctx context.Context, request secret.Text) (string, error) {
	return g.redeem(ctx, signinlog.RedeemPRT, sealed.PRT, request)
}

// RedeemRefreshToken gives tokens for the application's own refresh token, which
// names its session key itself (app token, step B).
func (g *Gate) RedeemRefreshToken(ctx context.Context, request secret.Text) (string, error) {
	return g.redeem(ctx, signinlog.RedeemToken, sealed.RefreshToken, request)
}

func (g *Gate) redeem(ctx context.Context, flow signinlog.Flow, artefact sealed.Type, request secret.Text) (string, error) {
	k := sessionRequest[string](flow, artefact)
	k.Check = checkRedemption
	k.Answer = g.appTokens
	return BySession(ctx, g, k, request)
}

func checkRedemption(c *entrawire.SessionRequest) error {
	if err := checkSessionRequest(c); err != nil {
		return err
	}
	if c.HasCredential() {
		return &entrawire.FieldError{Shape: "app-token request", Field: "password", Problem: "or assertion does not go with it"}
	}
	return nil
}

func (g *Gate) appTokens(_ context.Context, s Session, c *entrawire.SessionRequest) (string, error) {
	app, resource, err := audience(s.Tenant, c)
	if err != nil {
		return "", err
	}
	if s.From.Type == sealed.RefreshToken {
		if s.From.Client != app {
			return "", prterr.AADSTS(aadsts.InvalidGrant, "the refresh token was issued to another application")
		}
		if c.WantsPRT() {
			return "", prterr.AADSTS(aadsts.InvalidScope, "aza does not go with a refresh token: redeem the PRT")
		}
	}
	answer, err := g.Authority.AppTokens(issuance.AppTokens{
		Tenant: s.Tenant, User: s.User, From: s.From, Client: app, Resource: resource, DeviceGood: s.DeviceGood,
		RenewPRT: c.WantsPRT(), PRTBeside: ours(c),
	})
	if err != nil {
		return "", err
	}
	return encrypt(s.From.SessionKey, answer)
}

// audience checks who asks for what: application, redirect address, resource.
func audience(t *tenant.Tenant, c *entrawire.SessionRequest) (ids.ClientID, string, error) {
	id, err := ids.ParseClient(c.ClientID)
	if err != nil {
		return "", "", prterr.AADSTS(aadsts.InvalidRequest, "client_id is not right: %v", err)
	}
	app, known := t.Application(id)
	if !known {
		return "", "", prterr.AADSTS(aadsts.ApplicationNotFound, "")
	}
	if !app.Redirects(c.RedirectURI) {
		return "", "", prterr.AADSTS(aadsts.InvalidReplyTo, "")
	}
	if c.Resource == "" {
		return id, "", nil
	}
	resource, known := t.Resource(c.Resource)
	if !known || !app.MayAsk(resource) {
		return "", "", prterr.AADSTS(aadsts.InvalidResource, "")
	}
	return id, resource.URI, nil
}
