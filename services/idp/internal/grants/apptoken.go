package grants

import (
	"context"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/consent"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// RedeemPRT gives tokens of an application for the PRT (app token, step C). The
// answer is encrypted for who asked.
func (g *Gate) RedeemPRT(ctx context.Context, r Request) (string, error) {
	return g.redeem(ctx, signinlog.RedeemPRT, sealed.PRT, r)
}

// RedeemRefreshToken gives tokens for the application's own refresh token, which
// names its session key itself (app token, step B).
func (g *Gate) RedeemRefreshToken(ctx context.Context, r Request) (string, error) {
	return g.redeem(ctx, signinlog.RedeemToken, sealed.RefreshToken, r)
}

func (g *Gate) redeem(ctx context.Context, flow signinlog.Flow, artefact sealed.Type, r Request) (string, error) {
	return g.bySession(ctx, flow, artefact, r, checkRedemption, func(ctx context.Context, s Session, c *entrawire.SessionRequest) (encoder, error) {
		return g.appTokens(ctx, s, c, r)
	})
}

func checkRedemption(c *entrawire.SessionRequest) error {
	if c.HasCredential() {
		return &entrawire.FieldError{Shape: "app-token request", Field: "password", Problem: "or assertion does not go with it"}
	}
	return nil
}

func (g *Gate) appTokens(ctx context.Context, s Session, c *entrawire.SessionRequest, r Request) (encoder, error) {
	app, err := applicationOf(s, c)
	if err != nil {
		return nil, err
	}
	demands, err := ParseClaims(r.Claims)
	if err != nil {
		return nil, err
	}
	n := issuance.AppTokens{
		Tenant: s.Tenant, User: s.User, From: s.From, Client: app, RenewPRT: c.WantsPRT(), PRTBeside: ours(c),
		CAE: demands.CAE, AMR: Methods(s.From, demands, g.Clock.Now()),
	}
	if s.DeviceGood {
		n.Device = &s.Device
	}
	resource, granted, asked, err := resourceOf(s.Tenant, c.Resource, c.Scope, v2(r))
	switch {
	case err != nil:
		return nil, err
	case asked && !app.MayAsk(resource):
		return nil, prterr.AADSTS(aadsts.ResourceNotFound, "")
	case asked:
		if err := Admit(s.event, g.Facts(ctx, s.ask(app, resource, demands.Contexts)), s.From, demands, !r.V1); err != nil {
			return nil, err
		}
		ask := consent.Ask{Tenant: s.Tenant.ID, App: app, User: s.User.ID, Resource: resource}
		if granted != "" {
			ask.Scopes = consent.Names(strings.Fields(granted))
		}
		if err := g.Consents.Check(ctx, ask); err != nil {
			return nil, err
		}
		if app.Consent.Asks() {
			n.Scopes = strings.Join(ask.Scopes, " ") // what was allowed, and not everything
		}
		n.Resource, n.Scope, n.ACRS = &resource, granted, demands.Contexts
		n.TokenID = issuance.NewTokenID()
	}
	// A client that is not ours will not sign with a refresh token; nobody knows how
	// the public service would find the session key then.
	n.Plain = s.Tenant.Profile.PlainTokens && !ours(c)
	n.Family = s.Tenant.Profile.FamilyTokens && app.Family && !app.Confidential() && !ours(c)
	answer, err := g.Authority.AppTokens(n)
	if err == nil {
		s.event.TokenID = n.TokenID
	}
	return answer, err
}

// v2 says whether a request speaks the words of the endpoint v2.0.
func v2(r Request) bool { return r.V2 || r.Protocol >= entrawire.Protocol3 }

// applicationOf checks who asks: the application, its redirect address, and that a
// refresh token is its own or its family's.
func applicationOf(s Session, c *entrawire.SessionRequest) (tenant.Application, error) {
	id, err := ids.ParseClient(c.ClientID)
	if err != nil {
		return tenant.Application{}, prterr.AADSTS(aadsts.InvalidRequest, "client_id is not right: %v", err)
	}
	app, known := s.Tenant.Application(id)
	switch {
	case !known:
		return app, prterr.AADSTS(aadsts.ApplicationNotFound, "")
	case c.RedirectURI == "" && !ours(c):
		// Nothing is sent there: the answer is encrypted for the device.
	case !app.Redirects(c.RedirectURI):
		return app, prterr.AADSTS(aadsts.InvalidReplyTo, "")
	}
	if s.From.Type != sealed.RefreshToken {
		return app, nil
	}
	if s.From.Client != app.ID && !(s.From.Family && app.Family && !app.Confidential() && s.Tenant.Profile.FamilyTokens) {
		return app, prterr.AADSTS(aadsts.InvalidGrant, "the refresh token was issued to another application")
	}
	if c.WantsPRT() {
		return app, prterr.AADSTS(aadsts.InvalidScope, "aza does not go with a refresh token: redeem the PRT")
	}
	return app, nil
}
