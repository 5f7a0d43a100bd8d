// Package aadplugin is the Azure AD plug-in of the Web Account Manager: the one
// room of this service that knows how the identity provider gives tokens.
//
// What lives here: steps B, C and D of the app-token table, the order of the
// cache, the refresh token, the PRT and the sign-in page, and the way of a work
// account to dsreg. What never may: a key, a PRT to keep, a refresh token that can be
// read (the authority of the PRT signs, opens and seals; it makes the pages too), and
// an app's request that nobody checked. The framework calls it over
// prt.wam.v1, and so could another framework.
package aadplugin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"
	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/apptoken"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/tokencache"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/upstream"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/window"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/workaccount"
)

// flightTime bounds one way to the identity provider and back. It is not the
// app's deadline, because others may be waiting for the same token.
const flightTime = 30 * time.Second

// Config is what the plug-in needs; Device may be nil, then the identity
// provider alone finds out that a device has left.
type Config struct {
	Authority *upstream.Authority
	IdP       *upstream.IdP
	Device    *upstream.Device
	Cache     *tokencache.Cache
	// Desk is where sign-in pages are put up; without it nobody is asked.
	Desk  *window.Desk
	Clock clock.Clock
	Log   *slog.Logger
}

// Plugin gets tokens. It is safe for use by many goroutines.
type Plugin struct {
	authority *upstream.Authority
	idp       *upstream.IdP
	device    *upstream.Device
	cache     *tokencache.Cache
	desk      *window.Desk
	clock     clock.Clock
	log       *slog.Logger
	flights   singleflight.Group
}

// New checks the configuration.
func New(cfg Config) (*Plugin, error) {
	if cfg.Authority == nil || cfg.IdP == nil || cfg.Cache == nil {
		return nil, errors.New("azure ad plug-in: Authority, IdP and Cache are all needed")
	}
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Plugin{
		authority: cfg.Authority, idp: cfg.IdP, device: cfg.Device, cache: cfg.Cache, desk: cfg.Desk,
		clock: clock.Or(cfg.Clock), log: log,
	}, nil
}

// Register serves the plug-in contract.
func (p *Plugin) Register(r grpc.ServiceRegistrar) {
	wamv1.RegisterPluginServiceServer(r, &edge{plugin: p})
}

// silent gives an access token without the user, and says whose it is. Whoever is signed in
// under the session is asked first and every time: a session that has ended gets
// nothing, not even out of the cache.
func (p *Plugin) silent(ctx context.Context, r apptoken.Request) (apptoken.Account, apptoken.Grant, error) {
	acc, err := p.authority.DescribeAccount(ctx, r.Session)
	if err != nil {
		return apptoken.Account{}, apptoken.Grant{}, err
	}
	if g, ok := p.cached(r, acc); ok {
		return acc, g, nil
	}
	// One way to the identity provider for all who ask for the same at once. The
	// session is part of the key, so that nobody rides on another's capability.
	v, err, _ := p.flights.Do(flightKey(r, acc), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flightTime)
		defer cancel()
		if g, ok := p.cached(r, acc); ok {
			return g, nil // the flight before this one brought it
		}
		return p.obtain(ctx, r, acc)
	})
	if err != nil {
		return apptoken.Account{}, apptoken.Grant{}, err
	}
	return acc, v.(apptoken.Grant), nil
}

// AddAccount registers the device with the organisation of an account, of whose
// user it is known that she consented. No token comes of it.
func (p *Plugin) AddAccount(ctx context.Context, c workaccount.Credentials) (workaccount.Device, error) {
	return p.device.Register(ctx, c)
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
		string(acc.Tenant), string(acc.User), string(acc.Kind), string(r.Client), string(r.Resource), r.Redirect, force, r.Claims, r.Session.Reveal(),
	}, "\n")
}
