// Package lsacloudap is the Local Security Authority's logon door, the CloudAP
// framework behind it and its Azure AD plug-in.
//
// What lives here: sign-in of users to the device, the cached PRTs, the renewal
// clock, and the protocol with the identity provider. What never may: a private
// key or a session key in clear; the tpm-agent has those, and answers to typed
// requests. LogonUI, wam-broker and browsercore call it; it calls tpm-agent,
// dsreg, the identity provider and a federation provider.
//
// Framework and plug-in are two parts. They talk over prt.cloudap.v1 through a
// connection, although both are linked in here, so that another identity
// provider's plug-in could take the place of this one.
package lsacloudap

import (
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/authority/prtmeter"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/eventlog"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/signinurl"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/aadplugin"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/cloudap"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/server"
)

// name is this component's identity.
const name = "lsa-cloudap"

// Defaults of Config.
const (
	DefaultRenewEvery        = 4 * time.Hour
	DefaultCallTimeout       = 10 * time.Second
	DefaultLogonTimeout      = 30 * time.Second
	DefaultMaxWrongPasswords = 10
	DefaultSignInURL         = "https://login.microsoftonline.com"
	DefaultLockoutFor        = 10 * time.Minute
)

// Config is what the component needs.
type Config struct {
	// StateDir is the folder of the cached PRTs; it is made when missing.
	StateDir string
	// TPM, Dsreg and IdP are connections to the components of these names.
	TPM, Dsreg, IdP grpc.ClientConnInterface
	// Federation is the federation provider; nil when there is none, and then
	// federated users cannot sign in with their password.
	Federation grpc.ClientConnInterface
	// Domain is the domain controller; nil when there is none, and then a computer of a
	// domain signs in like any other.
	Domain grpc.ClientConnInterface
	// OfflineLifetime is how long after the last contact with the identity provider
	// known users sign in from the cache, at most 400 days; 0 is without a limit.
	OfflineLifetime time.Duration
	// Clock is where time is read; nil is the real clock.
	Clock clock.Clock
	// RenewEvery is the age at which a PRT is renewed; 0 is 4 hours.
	RenewEvery time.Duration
	// RenewAfterSignIn has a renewal that met no network wait for the next sign-in or
	// unlock; without it the network is enough.
	RenewAfterSignIn bool
	// SignInHosts are the hosts whose sign-in pages may get a PRT cookie; empty is
	// the public cloud's.
	SignInHosts []string
	// SignInURL is the base address of sign-in pages; empty is the public cloud's.
	SignInURL string
	// Hello is the device's policy on Windows Hello for Business; the zero value offers
	// it.
	Hello HelloPolicy
	// RefuseUnverifiedCache keeps everybody from signing in from a cache that could not
	// be checked against what the tpm-agent remembers of it. Off, the cache works without
	// the agent, and is checked when it is back.
	RefuseUnverifiedCache bool
	// CallTimeout bounds each call to another component; 0 is 10 seconds.
	CallTimeout time.Duration
	// LogonTimeout bounds a sign-in; 0 is 30 seconds.
	LogonTimeout time.Duration
	// MaxWrongPasswords in a row close cached sign-in for LockoutFor; 0 is 10
	// wrong passwords and 10 minutes. Sign-in with the network stays open, the
	// identity provider counts for itself.
	MaxWrongPasswords int
	LockoutFor        time.Duration
	// Log gets events without secrets; nil discards.
	Log *slog.Logger
	// TracerProvider gets the spans of renewals on the clock and of the plug-in's
	// connection; nil records none.
	TracerProvider trace.TracerProvider
	// MeterProvider gets the counts of PRTs obtained and renewed; nil records none.
	MeterProvider metric.MeterProvider
	// Points are told of each moment at which a crash would matter, for tests.
	Points durable.Points
}

func (c Config) withDefaults() Config {
	c.Clock = clock.Or(c.Clock)
	c.RenewEvery = or(c.RenewEvery, DefaultRenewEvery)
	c.CallTimeout = or(c.CallTimeout, DefaultCallTimeout)
	c.LogonTimeout = or(c.LogonTimeout, DefaultLogonTimeout)
	c.LockoutFor = or(c.LockoutFor, DefaultLockoutFor)
	c.SignInURL = or(c.SignInURL, DefaultSignInURL)
	c.MaxWrongPasswords = or(c.MaxWrongPasswords, DefaultMaxWrongPasswords)
	if len(c.SignInHosts) == 0 {
		c.SignInHosts = signinurl.DefaultHosts()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.TracerProvider == nil {
		c.TracerProvider = noop.NewTracerProvider()
	}
	return c
}

func or[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

func (c Config) check() error {
	switch {
	case c.StateDir == "":
		return errors.New("lsa-cloudap: StateDir is missing")
	case c.TPM == nil || c.Dsreg == nil || c.IdP == nil:
		return errors.New("lsa-cloudap: TPM, Dsreg and IdP are all needed")
	case c.RenewEvery < 0 || c.CallTimeout < 0 || c.LogonTimeout < 0 || c.LockoutFor < 0 || c.OfflineLifetime < 0 || c.MaxWrongPasswords < 0:
		return errors.New("lsa-cloudap: durations and counts must not be negative")
	}
	return nil
}

// HelloPolicy is the device's policy on Windows Hello for Business.
type HelloPolicy = cloudap.HelloPolicy

// Service is the component.
type Service struct {
	edge       *server.Server
	framework  *cloudap.CloudAP
	events     *eventlog.Log
	stopPlugin func()
}

// New starts the component: it reads the cache and connects the plug-in. A cached
// PRT that cannot be read is logged and does not stop the others.
func New(cfg Config) (*Service, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	pages, err := signinurl.NewList(cfg.SignInHosts)
	if err != nil {
		return nil, err
	}
	events, err := eventlog.New(eventlog.Config{Component: name, Clock: cfg.Clock, Dir: filepath.Join(cfg.StateDir, "events"), Log: cfg.Log})
	if err != nil {
		return nil, err
	}
	plugin, err := aadplugin.New(aadplugin.Config{
		TPM: cfg.TPM, Dsreg: cfg.Dsreg, IdP: cfg.IdP, Federation: cfg.Federation, SignInURL: cfg.SignInURL,
		CallTimeout: cfg.CallTimeout, Events: events,
	})
	if err != nil {
		return nil, err
	}
	conn, stop, err := rpc.Loopback(rpc.LoopbackConfig{
		Caller: name, Server: name, Allow: PluginAllow(), Log: cfg.Log, TracerProvider: cfg.TracerProvider, KeepWhere: true,
	}, plugin.Register)
	if err != nil {
		return nil, err
	}
	meter, err := prtmeter.New(cfg.MeterProvider)
	if err != nil {
		stop()
		return nil, err
	}
	framework, err := cloudap.New(cloudap.Config{
		StateDir: cfg.StateDir, Plugin: conn, TPM: cfg.TPM, Dsreg: cfg.Dsreg, Clock: cfg.Clock, RenewEvery: cfg.RenewEvery, RenewAfterSignIn: cfg.RenewAfterSignIn,
		CallTimeout: cfg.CallTimeout, LogonTimeout: cfg.LogonTimeout, MaxWrongPasswords: cfg.MaxWrongPasswords,
		LockoutFor: cfg.LockoutFor, SignInPages: pages, SignInURL: cfg.SignInURL, Domain: cfg.Domain, OfflineLifetime: cfg.OfflineLifetime,
		Hello: cfg.Hello, RefuseUnverified: cfg.RefuseUnverifiedCache, Events: events, Log: cfg.Log, TracerProvider: cfg.TracerProvider, Meter: meter, Points: cfg.Points,
	})
	if err != nil {
		stop()
		return nil, err
	}
	edge, err := server.New(server.Config{CloudAP: framework, Log: cfg.Log})
	if err != nil {
		stop()
		return nil, errors.Join(err, framework.Close())
	}
	return &Service{edge: edge, framework: framework, events: events, stopPlugin: stop}, nil
}

// Register serves the component's contracts.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	s.edge.Register(r)
	s.events.Register(r)
}

// Close ends all logon sessions, waits for renewals under way and stops the
// clock. The caller has stopped the server before.
func (s *Service) Close() error {
	err := s.framework.Close()
	s.stopPlugin()
	return err
}
