// Package broker is the framework of the Web Account Manager: it takes an app's
// request, has the identity provider's plug-in fulfil it, and hands over the
// access token.
//
// What lives here: the check of the request and of the user's consent, the call of
// the plug-in over its contract, and step E with the check of what it answered. What never
// may: a provider's protocol, a refresh token, a cache; so that another
// provider's plug-in fits without a change. The server's edge calls it.
package broker

import (
	"context"
	"errors"
	"log/slog"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/step"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/apptoken"
)

// maxScope bounds the scopes that are passed on, in bytes.
const maxScope = 8 << 10

// Config is what the framework needs.
type Config struct {
	// Plugin is a connection to the provider's plug-in, authenticated as wam-broker.
	Plugin grpc.ClientConnInterface
	Clock  clock.Clock
	Log    *slog.Logger
}

// Broker gives apps access tokens.
type Broker struct {
	plugin wamv1.PluginServiceClient
	clock  clock.Clock
	log    *slog.Logger
}

// New checks the configuration.
func New(cfg Config) (*Broker, error) {
	if cfg.Plugin == nil {
		return nil, errors.New("token broker: Plugin is missing")
	}
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Broker{plugin: wamv1.NewPluginServiceClient(cfg.Plugin), clock: clock.Or(cfg.Clock), log: log}, nil
}

// Token is what an app gets: there is no place in it for a refresh token.
type Token struct {
	Grant  apptoken.Grant
	UPN    ids.UPN
	User   ids.UserID
	Tenant ids.TenantID
}

// RequestToken gives an access token for one app and resource (app token, A and
// E). Errors of the rooms below pass unchanged: prterr.Interaction tells an app that
// asked silently to ask again with Interactive, with the claims of the error.
func (b *Broker) RequestToken(ctx context.Context, f apptoken.Fields) (Token, error) {
	r, err := apptoken.ParseRequest(f)
	if err != nil {
		return Token{}, err
	}
	resp, err := b.plugin.GetToken(ctx, &wamv1.GetTokenRequest{
		LogonSession: r.Session.Reveal(), ClientId: string(r.Client), Resource: string(r.Resource),
		RedirectUri: r.Redirect, ForceRefresh: r.Force, Interactive: r.Interactive, Claims: r.Claims, Account: r.Account,
	})
	if err != nil {
		return Token{}, err
	}
	return b.handOver(ctx, r, resp)
}

// handOver is step E. The plug-in is believed no more than any other component.
func (b *Broker) handOver(ctx context.Context, r apptoken.Request, resp *wamv1.GetTokenResponse) (_ Token, err error) {
	ctx, span := step.Start(ctx, stepv1.Step_STEP_APP_TOKEN_E)
	defer func() { step.End(span, err) }()
	t, err := b.read(resp)
	if err != nil {
		return Token{}, prterr.Wrap(prterr.Internal, err, "the plug-in's answer cannot be used")
	}
	if err := apptoken.Check(t.Grant, r.Client, r.Resource, apptoken.Owner{Tenant: t.Tenant, User: t.User}); err != nil {
		b.log.WarnContext(ctx, "access token was not handed over", "client", r.Client, "error", err)
		return Token{}, err
	}
	return t, nil
}

func (b *Broker) read(resp *wamv1.GetTokenResponse) (t Token, err error) {
	if t.UPN, err = ids.ParseUPN(resp.GetUserPrincipalName()); err != nil {
		return t, err
	}
	if t.User, err = ids.ParseUser(resp.GetUserId()); err != nil {
		return t, err
	}
	if t.Tenant, err = ids.ParseTenant(resp.GetTenantId()); err != nil {
		return t, err
	}
	if err := resp.GetExpiresAt().CheckValid(); err != nil || !resp.GetExpiresAt().AsTime().After(b.clock.Now()) {
		return t, errors.New("expires_at has passed or is not a time")
	}
	if len(resp.GetScope()) > maxScope {
		return t, errors.New("scope is too long")
	}
	t.Grant = apptoken.Grant{Token: secret.NewText(resp.GetAccessToken()), ExpiresAt: resp.GetExpiresAt().AsTime(), Scope: resp.GetScope()}
	return t, nil
}
