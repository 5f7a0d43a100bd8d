// Package idp is the identity provider: the cloud side of the Primary Refresh
// Token system.
//
// What lives here: tenants with their users and devices, and everything that is
// issued to them: nonces, PRTs with session keys, app tokens, web sign-ins,
// device certificates. What never may: a private key of a device, a PRT outside
// of what a device holds, a second way to use a PRT beside a request signed with
// its session key. Devices and browsers call it over the contracts prt.idp.v1,
// an operator over prt.directory.v1. The README shows the rooms.
package idp

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/authorize"
	"github.com/lockstep-sso/lockstep/services/idp/internal/consent"
	"github.com/lockstep-sso/lockstep/services/idp/internal/datakey"
	"github.com/lockstep-sso/lockstep/services/idp/internal/deviceflow"
	"github.com/lockstep-sso/lockstep/services/idp/internal/directory"
	"github.com/lockstep-sso/lockstep/services/idp/internal/grants"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/lockout"
	"github.com/lockstep-sso/lockstep/services/idp/internal/nonce"
	"github.com/lockstep-sso/lockstep/services/idp/internal/oauth"
	"github.com/lockstep-sso/lockstep/services/idp/internal/outbox"
	"github.com/lockstep-sso/lockstep/services/idp/internal/pairing"
	"github.com/lockstep-sso/lockstep/services/idp/internal/passkey"
	"github.com/lockstep-sso/lockstep/services/idp/internal/pinreset"
	"github.com/lockstep-sso/lockstep/services/idp/internal/registration"
	"github.com/lockstep-sso/lockstep/services/idp/internal/replay"
	"github.com/lockstep-sso/lockstep/services/idp/internal/resource"
	"github.com/lockstep-sso/lockstep/services/idp/internal/securityinfo"
	"github.com/lockstep-sso/lockstep/services/idp/internal/server"
	"github.com/lockstep-sso/lockstep/services/idp/internal/session"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signin"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store/postgres"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// Event is one line of the sign-in log.
type Event = signinlog.Event

// AssertionVerifier checks assertions of federation providers.
type AssertionVerifier = directory.AssertionVerifier

// Subject is whom an assertion is about.
type Subject = directory.Subject

// Domain is a domain of a tenant, with its federation provider.
type Domain = tenant.Domain

// Config of the identity provider. The zero value is a laboratory with two
// tenants, in memory.
type Config struct {
	// Tenants is a tenant file in YAML; nil is the embedded one.
	Tenants []byte
	// Clock tells the time; nil is the machine's.
	Clock clock.Clock
	// Log gets the sign-in log and errors; nil discards.
	Log *slog.Logger
	// FederationCertificates are PEM certificates of federation providers, by
	// domain, for domains of the tenant file without one.
	FederationCertificates map[string][]byte
	// Assertions checks federated users; nil checks SAML 1.1 assertions against
	// the certificates of the tenant file, and a domain without one answers
	// AADSTS50013.
	Assertions AssertionVerifier
	// SignInLog gets every event beside Log; nil is nobody. It must not block.
	SignInLog func(Event)
	// TokenSigner is the token-signing key, RSA of 2048 bits or more, which may be
	// in a hardware module; nil makes one for this process.
	TokenSigner crypto.Signer
	// TracerProvider gets the spans of requests over HTTPS; nil records none.
	TracerProvider trace.TracerProvider
	// MeterProvider gets the counts of refused nonces and of policies' decisions; nil
	// records none.
	MeterProvider metric.MeterProvider
	// Persons lets an operator play a person in front of the sign-in pages: read
	// one-time codes, answer the telephone. For laboratories only.
	Persons bool
	// QuickHashes hashes passwords at a thousandth of the usual cost, for a laboratory
	// that types thousands of them. It does not go with StateDir: such hashes are not
	// worth keeping.
	QuickHashes bool
	// DirectoryLag is how long the directory does not know a device that was registered
	// just now, at most an hour; 0 is not at all. For laboratories only.
	DirectoryLag time.Duration
	// StateDir is a folder that keeps keys and records over a restart, for one
	// process at a time; empty keeps nothing. Its file holds private keys in the
	// clear and is for its owner alone.
	StateDir string
	// Database is the DSN of a PostgreSQL database that keeps them for any number of
	// processes at a time, which behave as one; empty is none. It does not go with
	// StateDir. The database holds private keys in the clear.
	Database secret.Text

	// TPMMakers are makers of TPMs whom every tenant trusts, beside those of the
	// tenant file. For laboratories, whose TPMs are made when they start.
	TPMMakers []TPMMaker

	// deviceKeys makes the keys of device authorities; nil draws them at random. Only
	// tests set it: making one takes longer than most of them.
	deviceKeys issuance.DrawKey
}

// Service is a running identity provider.
type Service struct {
	tenants   *tenant.Set
	store     store.Store
	replays   *replay.Cache
	shared    *postgres.Store // the store, when others share it, else nil
	directory *directory.Directory
	gate      *grants.Gate
	sessions  *session.Service
	visits    *authorize.Service
	signIns   *signin.Service
	pairing   *pairing.Service
	pinResets *pinreset.Service
	dataKeys  *datakey.Service
	outbox    *outbox.Box
	attempts  *lockout.Counters
	passkeys  *passkey.Service
	security  *securityinfo.Service
	devices   *registration.Service
	front     httpsFront
	flows     *deviceflow.Flows
	oauth     *oauth.Service
	resource  *resource.Service
}

// New builds an identity provider. Keys are made in the background, unless they
// are to be kept.
func New(cfg Config) (*Service, error) {
	clk := clock.Or(cfg.Clock)
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	file := cfg.Tenants
	if file == nil {
		file = tenant.Default()
	}
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("idp: %w", err)
	}
	tenants, err := tenant.Parse(file)
	if err != nil {
		return nil, fmt.Errorf("idp: %w", err)
	}
	for domain, certificate := range cfg.FederationCertificates {
		if err := tenants.Trust(domain, certificate); err != nil {
			return nil, fmt.Errorf("idp: %w", err)
		}
	}
	s := &Service{tenants: tenants, front: httpsFront{clock: clk, log: log, traces: cfg.TracerProvider}}
	if err = s.openStore(cfg, clk); err != nil {
		return nil, fmt.Errorf("idp: %w", err)
	}
	if cfg.Assertions == nil {
		if cfg.Assertions, err = s.newAssertions(clk, log); err != nil {
			return nil, errors.Join(fmt.Errorf("idp: %w", err), s.Close())
		}
	}
	if err := s.furnish(cfg, clk, log); err != nil {
		return nil, errors.Join(fmt.Errorf("idp: %w", err), s.Close())
	}
	return s, nil
}

// check finds what is out of bounds, or does not go together.
func (c Config) check() error {
	kept := c.StateDir != "" || !c.Database.Empty()
	switch {
	case c.QuickHashes && kept:
		return errors.New("QuickHashes does not go with StateDir or Database: leave one of them out")
	case c.StateDir != "" && !c.Database.Empty():
		return errors.New("StateDir does not go with Database: leave one of them out")
	case c.DirectoryLag < 0 || c.DirectoryLag > time.Hour:
		return errors.New("DirectoryLag is 0 to an hour")
	}
	return nil
}

// furnish makes the rooms.
func (s *Service) furnish(cfg Config, clk clock.Clock, log *slog.Logger) error {
	var err error
	s.outbox = outbox.New(outbox.Config{Clock: clk})
	s.directory, err = directory.New(context.Background(), directory.Config{
		Tenants: s.tenants, Store: s.store, Assertions: cfg.Assertions, Attempts: s.attempts, QuickHashes: cfg.QuickHashes,
		Lag: cfg.DirectoryLag, Clock: clk,
	})
	if err != nil {
		return err
	}
	authority, err := issuance.New(issuance.Config{Tenants: s.tenants, Clock: clk, Signer: cfg.TokenSigner, Vault: s.vault(cfg), DeviceKeys: cfg.deviceKeys})
	if err != nil {
		return err
	}
	counts, err := newMeter(cfg.MeterProvider)
	if err != nil {
		return err
	}
	nonces, err := nonce.New(nonce.Config{Clock: clk, Refused: counts.refused, Sealer: s.nonceSealer(authority)})
	if err != nil {
		return err
	}
	s.gate = &grants.Gate{
		Tenants: s.tenants, Directory: s.directory, Authority: authority, Nonces: nonces,
		Replays: s.replays, Log: signinlog.New(log, sinks(counts.noted, cfg.SignInLog)), Clock: clk,
		Consents: consent.New(consent.Config{Documents: s.store}),
	}
	s.flows = deviceflow.New(deviceflow.Config{Pendings: s.store, Sealer: authority, Clock: clk})
	s.oauth = oauth.New(oauth.Config{Gate: s.gate, Flows: s.flows, Pendings: s.store})
	attestations, err := newAttestations(cfg.TPMMakers, authority, clk)
	if err != nil {
		return err
	}
	s.devices = registration.New(s.gate, attestations, s.outbox)
	s.pinResets = pinreset.New(pinreset.Config{
		Tenants: s.tenants, Directory: s.directory, Tokens: authority, Log: s.gate.Log, Clock: clk, Vault: s.vault(cfg),
	})
	s.dataKeys = datakey.New(datakey.Config{Gate: s.gate, Keys: s.store, Sealer: authority})
	s.resource = resource.New(resource.Config{Tenants: s.tenants, Directory: s.directory, Keys: authority, Clock: clk, Log: s.gate.Log})
	s.furnishSignIn(cfg)
	return nil
}

// Register adds the services to a server.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	r = s.upToDate(r)
	s.registerProtocol(r)
	directoryv1.RegisterReadServiceServer(r, &server.Read{Directory: s.directory, Tenants: s.tenants, SignIns: s.gate.Log, Factors: s.signIns, Outbox: s.outbox, Gate: s.gate, Consents: s.gate.Consents})
	directoryv1.RegisterAdminServiceServer(r, &server.Admin{Directory: s.directory, Keys: s.gate.Authority, Log: s.gate.Log, Clock: s.gate.Clock, Outbox: s.outbox, Consents: s.gate.Consents})
	idpv1.RegisterPINResetServiceServer(r, &server.PINReset{Resets: s.pinResets})
	registerOne(server.Seen(r), idpv1.GrantService_ServiceDesc, "RequestTokens", &server.Grant{OAuth: s.oauth})
	registerOne(r, idpv1.MetadataService_ServiceDesc, "DescribeRegistrationServices", &server.Metadata{Tenants: s.tenants, Keys: s.gate.Authority})
	directoryv1.RegisterPersonServiceServer(r, &server.Person{SignIns: s.signIns, Pairing: s.pairing})
}

// registerProtocol adds what devices call, over gRPC and through the front.
func (s *Service) registerProtocol(r grpc.ServiceRegistrar) {
	r = server.Seen(r)
	idpv1.RegisterRealmServiceServer(r, &server.Realm{Tenants: s.tenants})
	idpv1.RegisterNonceServiceServer(r, &server.Nonce{Nonces: s.gate.Nonces})
	idpv1.RegisterIssuanceServiceServer(r, &server.Issuance{Gate: s.gate})
	idpv1.RegisterTokenServiceServer(r, &server.Token{Gate: s.gate})
	idpv1.RegisterDataKeyServiceServer(r, &server.DataKey{Keys: s.dataKeys})
	idpv1.RegisterSessionServiceServer(r, &server.Session{Sessions: s.sessions, Visits: s.visits})
	idpv1.RegisterDeviceRegistrationServiceServer(r, &server.Registration{Devices: s.devices})
}

// registerOne adds the one method of a service that devices call themselves; the
// others are for the front.
func registerOne(r grpc.ServiceRegistrar, desc grpc.ServiceDesc, method string, impl any) {
	desc.Methods = slices.DeleteFunc(slices.Clone(desc.Methods), func(m grpc.MethodDesc) bool { return m.MethodName != method })
	r.RegisterService(&desc, impl)
}

// registerFront adds what the HTTPS front calls.
func (s *Service) registerFront(r grpc.ServiceRegistrar) {
	r = s.upToDate(r)
	s.registerProtocol(r)
	r = server.Seen(r)
	idpv1.RegisterConnectedDeviceServiceServer(r, &server.ConnectedDevice{Devices: s.devices})
	idpv1.RegisterMetadataServiceServer(r, &server.Metadata{Tenants: s.tenants, Keys: s.gate.Authority})
	idpv1.RegisterGrantServiceServer(r, &server.Grant{OAuth: s.oauth})
	idpv1.RegisterSignInServiceServer(r, &server.SignIn{SignIns: s.signIns, Visits: s.visits})
	idpv1.RegisterResourceServiceServer(r, &server.Resource{Resource: s.resource})
	idpv1.RegisterSecurityInfoServiceServer(r, &server.SecurityInfo{Security: s.security})
	idpv1.RegisterPINResetServiceServer(r, &server.PINReset{Resets: s.pinResets})
}

// SignIns returns the newest events of the sign-in log, oldest first.
func (s *Service) SignIns() []Event { return s.gate.Log.Events() }

// Close lets go of the store. Calls under way may fail.
func (s *Service) Close() error {
	return s.store.Close()
}
