package oauth

import (
	"context"
	"slices"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/deviceflow"
	"github.com/lockstep-sso/lockstep/services/idp/internal/grants"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

// ClientCredentials lets an application act for itself.
type ClientCredentials struct{}

func (ClientCredentials) flow() signinlog.Flow { return signinlog.ClientCredentials }

func (ClientCredentials) redeem(ctx context.Context, x *exchange) (Answer, error) {
	if x.within == nil {
		return Answer{}, prterr.AADSTS(aadsts.TenantNotIdentified, "an application acts in one tenant: name it in the path")
	}
	if err := x.settle(ctx, x.within.ID); err != nil {
		return Answer{}, err
	}
	if err := x.confidential(); err != nil {
		return Answer{}, err
	}
	a, err := x.appAudience()
	if err != nil {
		return Answer{}, err
	}
	t, err := x.gate.Authority.AppToken(issuance.AppGrant{Tenant: x.tenant, Client: x.app, Version: x.Version, Resource: *a.resource, KeyID: x.keyID})
	if err != nil {
		return Answer{}, err
	}
	out := Answer{Tokens: t, TokenType: x.tokenType()}
	if x.Version != 2 {
		out.Resource = a.prefix
	}
	return out, nil
}

// appAudience is a resource as a whole: an application has roles there, and no
// scopes to choose from. Scopes of OpenID Connect are passed over, because MSAL for
// Go adds them to every request.
func (x *exchange) appAudience() (audience, error) {
	if x.Version == 2 && strings.TrimSpace(x.Scope) != "" {
		words := slices.DeleteFunc(strings.Fields(x.Scope), oidc)
		if len(words) != 1 || !strings.HasSuffix(words[0], "/"+everything) {
			return audience{}, prterr.AADSTS(aadsts.InvalidScope, "scope must be one resource and /%s", everything)
		}
		x.Scope = words[0]
	}
	a, err := x.audience("", "")
	if err == nil && a.resource == nil {
		err = prterr.AADSTS(aadsts.MissingParameter, "resource is missing: name what the token is for")
	}
	return a, err
}

// OnBehalfOf exchanges a user's token that the application received for one of
// the next resource.
type OnBehalfOf struct{ Assertion secret.Text }

func (OnBehalfOf) flow() signinlog.Flow { return signinlog.OnBehalfOf }

func (o OnBehalfOf) redeem(ctx context.Context, x *exchange) (Answer, error) {
	refused := prterr.AADSTS(aadsts.InvalidAssertion, "the assertion is not an access token that was issued to this application: get a new one from the client")
	if o.Assertion.Empty() {
		return Answer{}, prterr.AADSTS(aadsts.MissingParameter, "assertion is missing")
	}
	t, ok := x.gate.Authority.ReadAccessToken(o.Assertion)
	if !ok || x.within != nil && x.within.ID != t.Tenant {
		return Answer{}, refused
	}
	if err := x.settle(ctx, t.Tenant); err != nil {
		return Answer{}, err
	}
	if err := x.confidential(); err != nil {
		return Answer{}, err
	}
	// A token for somebody else, or one that needs a key to be used, proves nothing
	// about who brings it.
	if !x.isUs(t.Audience) || t.KeyID != "" {
		return Answer{}, refused
	}
	a, err := x.audience("", "")
	if err != nil {
		return Answer{}, err
	}
	from := t.From
	from.Type, from.Client = sealed.Code, x.client
	return x.tokens(ctx, from, a, nil)
}

// isUs reports whether an audience is the application that asks.
func (x *exchange) isUs(aud string) bool {
	id := string(x.client)
	if strings.EqualFold(aud, id) || strings.EqualFold(aud, "api://"+id) {
		return true
	}
	r, known := x.tenant.Resource(aud)
	return known && r.ID == x.client
}

// DeviceCode polls for the end of a sign-in by device code.
type DeviceCode struct{ Code secret.Text }

func (DeviceCode) flow() signinlog.Flow { return signinlog.DeviceCode }

func (d DeviceCode) redeem(ctx context.Context, x *exchange) (Answer, error) {
	if d.Code.Empty() {
		return Answer{}, prterr.AADSTS(aadsts.MissingParameter, "device_code is missing")
	}
	flow, who, err := x.flows.Redeem(ctx, d.Code, x.client, func(f deviceflow.Flow, who sealed.Artefact) error { return x.mayPoll(ctx, f, who) })
	if err != nil {
		return Answer{}, err
	}
	defer who.SessionKey.Wipe()
	asked, err := grants.ParseClaims(flow.Claims)
	if err != nil {
		return Answer{}, err
	}
	// What was demanded at the start still is, whatever the poll says.
	asked.CAE = asked.CAE || x.demands.CAE
	asked.Methods(flow.AMRValues)
	x.demands = asked
	// What the flow was started for is what the user was shown.
	x.Scope, x.Resource = "", ""
	a, err := x.audience(flow.Scope, flow.Resource)
	if err != nil {
		return Answer{}, err
	}
	return x.tokens(ctx, who, a, nil)
}

// mayPoll has the tenant and the application checked before the code is used up:
// who answered decides which tenant it is, and before that the tenant that the
// flow was started in, if it was one.
func (x *exchange) mayPoll(ctx context.Context, f deviceflow.Flow, who sealed.Artefact) error {
	id := who.Tenant
	if id == "" {
		id = f.Tenant
	}
	if id == "" {
		return nil
	}
	return x.settle(ctx, id)
}
