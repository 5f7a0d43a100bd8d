package idp

import (
	"context"

	"github.com/lockstep-sso/lockstep/services/idp/internal/authorize"
	"github.com/lockstep-sso/lockstep/services/idp/internal/certificate"
	"github.com/lockstep-sso/lockstep/services/idp/internal/pairing"
	"github.com/lockstep-sso/lockstep/services/idp/internal/passkey"
	"github.com/lockstep-sso/lockstep/services/idp/internal/securityinfo"
	"github.com/lockstep-sso/lockstep/services/idp/internal/session"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signin"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// furnishSignIn makes the rooms of the authorization endpoint and its pages.
func (s *Service) furnishSignIn(cfg Config) {
	ended := session.Ended{Waiting: s.store}
	s.sessions = session.New(s.gate, ended)
	s.passkeys = passkey.New(passkey.Config{Clock: s.gate.Clock})
	s.visits = authorize.New(authorize.Config{Gate: s.gate, Flows: s.flows, Ended: ended})
	s.signIns = signin.New(signin.Config{
		Authorize: s.visits, Tenants: s.tenants, Directory: s.directory, Waiting: s.store, Replays: s.gate.Replays,
		Attempts: s.attempts, Outbox: s.outbox, Clock: s.gate.Clock, Passkeys: s.passkeys,
		Certificates: certificate.New(certificate.Config{Tenants: s.tenants, Clock: s.gate.Clock}), Persons: cfg.Persons,
	})
	s.pairing = pairing.New(pairing.Config{
		Waiting: s.store, Directory: s.directory, Clock: s.gate.Clock,
		Added: func(ctx context.Context, u store.User, name string) { s.security.Paired(ctx, u, name) },
	})
	s.security = securityinfo.New(securityinfo.Config{
		Resource: s.resource, Directory: s.directory, Pairing: s.pairing, Passkeys: s.passkeys, Outbox: s.outbox, Sealer: s.gate.Authority,
		Replays: s.gate.Replays, Attempts: s.attempts, Log: s.gate.Log, Clock: s.gate.Clock,
	})
}
