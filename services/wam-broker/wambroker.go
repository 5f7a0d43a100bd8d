// Package wambroker is the Web Account Manager of the device: apps ask it for
// access tokens, and get those and nothing else. It takes work accounts, of an app's
// first sign-in or of the settings, has the device registered when the user lets it, and
// is the authority of their PRTs on such a device.
//
// What lives here: the door (configuration, registration, allow-lists) and the
// wiring of framework, plug-in, authority and cache. What never may: a key, a refresh
// token that can be read. Callers are apps, the settings, and the window that shows a
// user the sign-in pages; below it are lsa-cloudap, which knows who is signed in and is
// the authority of the PRT on a joined device, tpm-agent, the identity provider and dsreg.
package wambroker

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	prt "github.com/lockstep-sso/lockstep/pkg/authority"
	"github.com/lockstep-sso/lockstep/pkg/authority/datakey"
	"github.com/lockstep-sso/lockstep/pkg/authority/lastattempt"
	"github.com/lockstep-sso/lockstep/pkg/authority/prtmeter"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/eventlog"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/statefiles"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/aadplugin"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/account"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/authority"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/broker"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/server"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/tokencache"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/upstream"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/window"
)

// name of the component, on both ends of the connection to its plug-in.
const name = "wam-broker"

// Defaults of Config.
const (
	defaultSignInURL   = "https://login.microsoftonline.com"
	defaultRenewEvery  = 4 * time.Hour
	defaultCallTimeout = 10 * time.Second
)

// Config of the token broker.
type Config struct {
	// StateDir is the component's own folder; sealed refresh tokens lie there.
	StateDir string
	// TPM is the connection to tpm-agent, for work accounts of a registered device; nil
	// has none of those. SignInURL is the base address of their sign-in pages; empty is
	// the public cloud's.
	TPM       grpc.ClientConnInterface
	SignInURL string
	// RenewEvery is the age at which the PRT of a work account is renewed when an app
	// asks; 0 is 4 hours. CallTimeout bounds each call for such accounts; 0 is 10 seconds.
	RenewEvery, CallTimeout time.Duration
	// Authority, IdP and Dsreg are connections to lsa-cloudap, idp and dsreg,
	// authenticated as wam-broker. Without Dsreg the broker cannot tell an app
	// that the device has left its tenant; the identity provider then refuses. And
	// it cannot register the device.
	Authority, IdP, Dsreg grpc.ClientConnInterface
	// Clock is where the time is read; nil is the machine's.
	Clock clock.Clock
	// Log gets warnings and refusals, never a token; nil discards.
	Log *slog.Logger
	// TracerProvider records the call of the plug-in; nil records none of it.
	TracerProvider trace.TracerProvider
	// MeterProvider gets the counts of PRTs of work accounts; nil records none.
	MeterProvider metric.MeterProvider
	// Points are crash points, for tests.
	Points durable.Points
}

// Service is the token broker.
type Service struct {
	broker   *server.Broker
	settings *server.Settings
	state    *server.State
	window   *server.Window
	own      *authority.Authority
	events   *eventlog.Log
	stop     func()
}

// New puts the rooms together and connects framework and plug-in. Errors name
// the field that is missing.
func New(cfg Config) (*Service, error) {
	if cfg.StateDir == "" || cfg.Authority == nil || cfg.IdP == nil {
		return nil, errors.New("wam-broker: StateDir, Authority and IdP are all needed")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	events, err := eventlog.New(eventlog.Config{Component: name, Clock: cfg.Clock, Dir: filepath.Join(cfg.StateDir, "events"), Log: cfg.Log})
	if err != nil {
		return nil, err
	}
	quarantine, err := durable.OpenQuarantine(filepath.Join(cfg.StateDir, "quarantine"), clock.Or(cfg.Clock).Now)
	if err != nil {
		return nil, err
	}
	cache, err := tokencache.New(tokencache.Config{
		Dir: filepath.Join(cfg.StateDir, "tokens"), Quarantine: quarantine, Events: events, Clock: cfg.Clock, Points: cfg.Points,
	})
	if err != nil {
		return nil, err
	}
	desk, cloudAP := window.New(window.Config{Clock: cfg.Clock}), upstream.NewAuthority(cfg.Authority)
	own, err := workAccounts(cfg, quarantine, events)
	if err != nil {
		return nil, err
	}
	plugin, err := aadplugin.New(aadplugin.Config{
		CloudAP: cloudAP, Own: own, IdP: upstream.NewIdP(cfg.IdP), Device: upstream.NewDevice(cfg.Dsreg),
		Cache: cache, Desk: desk, Events: events, Clock: cfg.Clock, Log: cfg.Log,
	})
	if err != nil {
		return nil, err
	}
	conn, stop, err := rpc.Loopback(rpc.LoopbackConfig{
		Caller: name, Server: name, Allow: PluginAllow(), Patience: pluginPatience(), Log: cfg.Log, TracerProvider: cfg.TracerProvider,
	}, plugin.Register)
	if err != nil {
		return nil, err
	}
	framework, err := broker.New(broker.Config{Plugin: conn, Clock: cfg.Clock, Log: cfg.Log})
	if err != nil {
		stop()
		return nil, err
	}
	signedIn := func(ctx context.Context, session secret.Text) error {
		_, err := cloudAP.Who(ctx, session)
		return err
	}
	return &Service{
		broker: &server.Broker{Framework: framework}, settings: &server.Settings{Framework: framework}, state: &server.State{Framework: framework},
		window: &server.Window{Desk: desk, SignedIn: signedIn}, own: own, events: events, stop: stop,
	}, nil
}

// workAccounts is WAM's own authority, nil without a tpm-agent.
func workAccounts(cfg Config, quarantine *durable.Quarantine, events *eventlog.Log) (*authority.Authority, error) {
	if cfg.TPM == nil {
		return nil, nil
	}
	protocol, err := prt.New(prt.Config{
		TPM: cfg.TPM, IdP: cfg.IdP, SignInURL: cmp.Or(cfg.SignInURL, defaultSignInURL), CallTimeout: cmp.Or(cfg.CallTimeout, defaultCallTimeout),
	})
	if err != nil {
		return nil, err
	}
	files, err := statefiles.Open(statefiles.Config{
		Dir: cfg.StateDir, Folders: []string{account.Folder}, Quarantine: quarantine, Records: statefiles.NewRemoteRecords(cfg.TPM), Clock: cfg.Clock,
		Events: events, Log: cfg.Log, Points: cfg.Points,
	})
	if err != nil {
		return nil, err
	}
	store, accounts, bad := account.Open(files)
	for _, err := range bad {
		cfg.Log.Error("work account is not used", "error", err)
	}
	meter, err := prtmeter.New(cfg.MeterProvider)
	if err != nil {
		return nil, err
	}
	keysDir := filepath.Join(cfg.StateDir, "datakeys")
	dataKeys, err := datakey.New(datakey.Config{
		TPM: cfg.TPM, Dir: keysDir, CallTimeout: cmp.Or(cfg.CallTimeout, defaultCallTimeout), Clock: cfg.Clock, Events: events, Log: cfg.Log, Points: cfg.Points, Meter: meter,
		Reject: func(name, reason string) error {
			_, err := quarantine.Take(filepath.Join(keysDir, name), reason)
			return err
		},
	})
	if err != nil {
		return nil, err
	}
	return authority.New(authority.Config{
		Store: store, Accounts: accounts, Protocol: protocol, DataKeys: dataKeys, Clock: cfg.Clock, RenewEvery: cmp.Or(cfg.RenewEvery, defaultRenewEvery),
		Attempts: lastattempt.Open(files, lastattempt.Config{Clock: cfg.Clock, Log: cfg.Log, Points: cfg.Points}), Events: events, Log: cfg.Log, Points: cfg.Points, Meter: meter,
	})
}

// Register serves the broker's contracts; the laboratory's clock only in a
// laboratory.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	wamv1.RegisterBrokerServiceServer(r, s.broker)
	wamv1.RegisterAccountSettingsServiceServer(r, s.settings)
	wamv1.RegisterAccountStateServiceServer(r, s.state)
	wamv1.RegisterWindowServiceServer(r, s.window)
	s.events.Register(r)
}

// Close ends the connection between framework and plug-in, and what goes on behind
// apps. What is on disk stays.
func (s *Service) Close() error {
	if s.own != nil {
		s.own.Close()
	}
	s.stop()
	return nil
}

// Allow says who may call the broker.
func Allow() rpc.AllowList {
	return rpc.Join(eventlog.Allow(), rpc.AllowList{
		wamv1.BrokerService_RequestToken_FullMethodName:   {"app"},
		wamv1.BrokerService_AddWorkAccount_FullMethodName: {"app"},
		wamv1.BrokerService_ListAccounts_FullMethodName:   {"app"},

		wamv1.AccountSettingsService_ConnectAccount_FullMethodName:    {"settings"},
		wamv1.AccountSettingsService_SetDefaultAccount_FullMethodName: {"settings"},
		wamv1.AccountSettingsService_DisconnectAccount_FullMethodName: {"settings"},
		wamv1.AccountStateService_GetAccountState_FullMethodName:      {"operator"},

		wamv1.WindowService_AwaitInteraction_FullMethodName:  {"window"},
		wamv1.WindowService_FinishInteraction_FullMethodName: {"window"},
	})
}

// personTime is how long the broker waits for a person at a sign-in page.
const personTime = 10 * time.Minute

// Patience are the methods that wait for a person.
func Patience() rpc.Patience {
	return rpc.Patience{wamv1.BrokerService_RequestToken_FullMethodName: personTime}
}

func pluginPatience() rpc.Patience {
	return rpc.Patience{wamv1.PluginService_GetToken_FullMethodName: personTime}
}

// PluginAllow says who may call the plug-in: the framework and nobody else. The
// plug-in is served on a connection of its own, not at the broker's door.
func PluginAllow() rpc.AllowList {
	return rpc.AllowList{
		wamv1.PluginService_GetToken_FullMethodName:   {name},
		wamv1.PluginService_AddAccount_FullMethodName: {name},

		wamv1.PluginService_DescribeAccounts_FullMethodName: {name},
		wamv1.PluginService_ChooseAccount_FullMethodName:    {name},
		wamv1.PluginService_RemoveAccount_FullMethodName:    {name},
		wamv1.PluginService_ReadAccountState_FullMethodName: {name},
	}
}
