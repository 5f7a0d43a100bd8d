// Package oauth is the token endpoint for whoever holds no PRT: the grants of
// OAuth 2.0 as Entra speaks them, on both versions of the endpoint.
//
// What lives here: who asks (tenant, application, its proof), what for (resource,
// scopes, claims request), what is redeemed, and whether it still holds. What
// never may: keys and the form of tokens (the issuance room's), pages, a PRT as a
// bearer token. The server's edge calls it; every request leaves one line in the
// sign-in log.
//
// A grant only says who signed in and how. Everything after that is one path for
// all of them: user and device still stand, nothing was revoked, policies are
// met, tokens. So no grant can forget one of these.
package oauth

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/deviceflow"
	"github.com/lockstep-sso/lockstep/services/idp/internal/grants"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

const (
	// maxField bounds a parameter that is parsed here, in bytes; the carrier bounds
	// the whole request.
	maxField = 8 << 10
)

// Config of the service. Every field must be set.
type Config struct {
	Gate *grants.Gate
	// Flows are the sign-ins by device code.
	Flows *deviceflow.Flows
	// Pendings keeps enrolment packages that are being made.
	Pendings deviceflow.Pendings
}

// Service answers requests at the token endpoint. It is safe for concurrent use.
type Service struct {
	gate     *grants.Gate
	flows    *deviceflow.Flows
	pendings deviceflow.Pendings
}

// New makes the service.
func New(cfg Config) *Service {
	return &Service{gate: cfg.Gate, flows: cfg.Flows, pendings: cfg.Pendings}
}

// Caller is what the carrier saw of who asks. Nothing in it is proof of anything.
type Caller struct {
	IPAddress, Correlation string
	// Origin is of the page that asks, when it is code in a browser.
	Origin string
	// Host that was asked, one of the carrier's own; empty is Entra's.
	Host string
}

// Request is one request at the token endpoint.
type Request struct {
	Caller Caller
	// Tenant is the segment of the path.
	Tenant string
	// Version of the endpoint, 1 or 2.
	Version  int
	ClientID string
	// Secret or Assertion proves a confidential client.
	Secret, Assertion secret.Text
	Resource, Scope   string
	// Claims is a claims request in JSON.
	Claims string
	// ClientInfo asks for the member client_info.
	ClientInfo bool
	// TokenType pop binds the access token to the key in ReqCnf.
	TokenType, ReqCnf string
	Grant             Grant
}

// Grant is what a request redeems.
type Grant interface {
	// flow is its name in the sign-in log.
	flow() signinlog.Flow
	// redeem finds out who signed in and answers.
	redeem(ctx context.Context, x *exchange) (Answer, error)
}

// Answer is one of two forms: Encrypted, or the rest.
type Answer struct {
	// Encrypted is a JWE under the session key.
	Encrypted string
	Tokens    issuance.Tokens
	// TokenType is Bearer or pop.
	TokenType string
	// Scope is what was granted, Resource what the access token is for.
	Scope, Resource string
	ClientInfo      string
}

// exchange is one request on its way.
type exchange struct {
	*Service
	Request
	event *signinlog.Event
	// demands are of the claims request, keyID is the key that the token is bound to.
	demands grants.Demands
	keyID   string
	// within is the tenant that the path names; nil when it names none.
	within *tenant.Tenant
	client ids.ClientID
	// tenant and app are known once the grant has said whose user this is.
	tenant *tenant.Tenant
	app    issuance.Client
}

// Redeem answers a request.
func (s *Service) Redeem(ctx context.Context, r Request) (answer Answer, err error) {
	e := &signinlog.Event{Correlation: correlation(r.Caller.Correlation)}
	if r.Grant == nil {
		return Answer{}, prterr.AADSTS(aadsts.UnsupportedGrantType, "")
	}
	e.Flow = r.Grant.flow()
	defer func() { s.gate.Log.Record(ctx, s.gate.Clock.Now(), *e, err) }()
	x := &exchange{Service: s, Request: r, event: e}
	grants.NoteCaller(ctx, e)
	if err := x.read(); err != nil {
		return Answer{}, err
	}
	return r.Grant.redeem(ctx, x)
}

// read checks the form of what all grants have in common.
func (x *exchange) read() (err error) {
	if err = bounded(map[string]string{
		"resource": x.Resource, "scope": x.Scope, "claims": x.Claims, "req_cnf": x.ReqCnf, "client_id": x.ClientID, "tenant": x.Tenant,
	}, maxField); err != nil {
		return err
	}
	if x.ClientID == "" {
		return prterr.AADSTS(aadsts.MissingParameter, "client_id is missing: send the id of the application")
	}
	if x.client, err = ids.ParseClient(x.ClientID); err != nil {
		return prterr.AADSTS(aadsts.ApplicationNotFound, "client_id is not right: %v", err)
	}
	x.event.Client = x.client
	if x.within, err = x.segment(x.Tenant); err != nil {
		return err
	}
	if x.within != nil {
		x.event.Tenant = x.within.ID
	}
	if x.demands, err = grants.ParseClaims(x.Claims); err != nil {
		return err
	}
	x.keyID, err = boundKey(x.TokenType, x.ReqCnf)
	return err
}

func bounded(fields map[string]string, most int) error {
	for name, value := range fields {
		if len(value) > most {
			return prterr.AADSTS(aadsts.InvalidRequest, "%s is longer than %d bytes", name, most)
		}
	}
	return nil
}

// correlation is the client's id for the request, for the log, or nothing when it
// is not a GUID.
func correlation(text string) string {
	id, err := ids.ParseTenant(text) // any GUID
	if err != nil {
		return ""
	}
	return string(id)
}
