// Package aadplugin is the Azure AD plug-in of the Web Account Manager: the one
// room of this service that knows how the identity provider gives tokens.
//
// What lives here: whose token an app asks for, steps B, C and D of the app-token
// table, the order of the cache, the refresh token, the PRT and the sign-in page, and
// the way of a work account to dsreg and to its PRT. What never may: a key, a PRT to
// keep, a refresh token that can be read (the authority of the PRT signs, opens and
// seals; it makes the pages too), and an app's request that nobody checked. The framework calls it over
// prt.wam.v1, and so could another framework.
package aadplugin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/authority/retryhint"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/eventlog"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/apptoken"
	own "github.com/lockstep-sso/lockstep/services/wam-broker/internal/authority"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/tokencache"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/upstream"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/window"
)

// flightTime bounds one way to the identity provider and back. It is not the
// app's deadline, because others may be waiting for the same token.
const flightTime = 30 * time.Second

// Config is what the plug-in needs; Device may be nil, then the identity
// provider alone finds out that a device has left.
type Config struct {
	// CloudAP says who is signed in, and is the authority of the PRT on joined devices.
	CloudAP *upstream.Authority
	// Own is WAM's own authority, for registered devices; nil where there is none.
	Own    *own.Authority
	IdP    *upstream.IdP
	Device *upstream.Device
	Cache  *tokencache.Cache
	// Desk is where sign-in pages are put up; without it nobody is asked.
	Desk *window.Desk
	// Events gets what the broker could not do; nil keeps none.
	Events *eventlog.Log
	Clock  clock.Clock
	Log    *slog.Logger
}

// Plugin gets tokens. It is safe for use by many goroutines.
type Plugin struct {
	cloudAP *upstream.Authority
	own     *own.Authority
	idp     *upstream.IdP
	device  *upstream.Device
	cache   *tokencache.Cache
	desk    *window.Desk
	events  *eventlog.Log
	clock   clock.Clock
	log     *slog.Logger
	flights flights
	// throttles are who has to wait before the identity provider is asked again: apps of a
	// broker have no library that honours its hints.
	throttles retryhint.Hints[tokencache.AccessKey]
	// turn holds a token while an account is being added or removed.
	turn chan struct{}
}

// New checks the configuration.
func New(cfg Config) (*Plugin, error) {
	if cfg.CloudAP == nil || cfg.IdP == nil || cfg.Cache == nil {
		return nil, errors.New("azure ad plug-in: CloudAP, IdP and Cache are all needed")
	}
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Plugin{
		cloudAP: cfg.CloudAP, own: cfg.Own, idp: cfg.IdP, device: cfg.Device, cache: cfg.Cache, desk: cfg.Desk, events: cfg.Events,
		clock: clock.Or(cfg.Clock), log: log, turn: make(chan struct{}, 1),
	}, nil
}

// Register serves the plug-in contract.
func (p *Plugin) Register(r grpc.ServiceRegistrar) {
	wamv1.RegisterPluginServiceServer(r, &edge{plugin: p})
}

// silent gives an access token of an account without the user.
func (p *Plugin) silent(ctx context.Context, r apptoken.Request, acc known) (apptoken.Grant, error) {
	if g, ok := p.cached(r, acc.Account); ok {
		return g, nil
	}
	// One way to the identity provider for all who ask for the same at once. The
	// session is part of the key, so that nobody rides on another's capability.
	return p.flights.do(ctx, flightKey(r, acc.Account), flightTime, func(ctx context.Context) (apptoken.Grant, error) {
		if g, ok := p.cached(r, acc.Account); ok {
			return g, nil // the flight before this one brought it
		}
		key := accessKey(r, acc.Account)
		if err := p.throttles.Check(key, p.clock.Now()); err != nil {
			return apptoken.Grant{}, err
		}
		g, err := p.obtain(ctx, r, acc)
		p.throttles.Learn(key, err, p.clock.Now())
		return g, err
	})
}

func (p *Plugin) cached(r apptoken.Request, acc apptoken.Account) (apptoken.Grant, bool) {
	if !r.Cached() {
		return apptoken.Grant{}, false
	}
	return p.cache.Access(accessKey(r, acc))
}

func accessKey(r apptoken.Request, acc apptoken.Account) tokencache.AccessKey {
	return tokencache.AccessKey{Owner: acc.Owner(), Client: r.Client, Resource: r.Resource}
}

func refreshKey(r apptoken.Request, acc apptoken.Account) tokencache.RefreshKey {
	return tokencache.RefreshKey{Owner: acc.Owner(), Client: r.Client}
}

func flightKey(r apptoken.Request, acc apptoken.Account) string {
	force := fmt.Sprint(r.Force, r.FromPRT)
	return strings.Join([]string{
		string(acc.Tenant), string(acc.User), string(acc.Kind), string(acc.SID), string(r.Client), string(r.Resource), r.Redirect, force, r.Claims, r.Session.Reveal(),
	}, "\n")
}
