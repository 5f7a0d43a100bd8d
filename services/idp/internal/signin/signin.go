// Package signin carries a person through the interactive pages: password, pass,
// authenticator, second factor, new password, federation provider, code of a device.
//
// What lives here: the check of what a person typed or tapped. What never may: a
// token, a page's looks, and the decision what is demanded; that is the room
// authorize, which is told who proved what and goes on. Every call brings the
// flow token of the page before, so nothing is kept but what waits for a
// telephone. The server's edge calls it.
package signin

import (
	"context"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/authorize"
	"github.com/lockstep-sso/lockstep/services/idp/internal/certificate"
	"github.com/lockstep-sso/lockstep/services/idp/internal/directory"
	"github.com/lockstep-sso/lockstep/services/idp/internal/flowstate"
	"github.com/lockstep-sso/lockstep/services/idp/internal/lockout"
	"github.com/lockstep-sso/lockstep/services/idp/internal/outbox"
	"github.com/lockstep-sso/lockstep/services/idp/internal/passkey"
	"github.com/lockstep-sso/lockstep/services/idp/internal/replay"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// Waiting is the part of the store that keeps what waits for a telephone.
type Waiting interface {
	AddPending(ctx context.Context, p store.Pending) error
	Pending(ctx context.Context, kind, key string, now time.Time) (store.Pending, error)
	UpdatePending(ctx context.Context, kind, key string, now time.Time, change func(*store.Pending) error) error
	DeletePending(ctx context.Context, kind, key string) error
	Pendings(ctx context.Context, kind string, now time.Time) ([]store.Pending, error)
}

// Config of the service. Every field must be set, but for Persons.
type Config struct {
	Authorize *authorize.Service
	Tenants   *tenant.Set
	Directory *directory.Directory
	Waiting   Waiting
	Replays   *replay.Cache
	Attempts  *lockout.Counters
	Outbox    *outbox.Box
	Clock     clock.Clock
	Passkeys  *passkey.Service
	// Certificates judges what users sign in with at a TLS connection.
	Certificates *certificate.Service
	// Persons lets an operator play a person: a laboratory.
	Persons bool
}

// Service carries sign-ins on. It is safe for concurrent use.
type Service struct {
	next         *authorize.Service
	keep         flowstate.Keeper
	tenants      *tenant.Set
	directory    *directory.Directory
	waiting      Waiting
	replays      *replay.Cache
	attempts     *lockout.Counters
	outbox       *outbox.Box
	clock        clock.Clock
	passkeys     *passkey.Service
	certificates *certificate.Service
	persons      bool
}

// New makes the service.
func New(cfg Config) *Service {
	return &Service{
		next: cfg.Authorize, keep: cfg.Authorize.Keeper(), tenants: cfg.Tenants, directory: cfg.Directory, waiting: cfg.Waiting,
		replays: cfg.Replays, attempts: cfg.Attempts, outbox: cfg.Outbox, clock: cfg.Clock, passkeys: cfg.Passkeys, certificates: cfg.Certificates, persons: cfg.Persons,
	}
}

// Form is what every form brings back.
type Form struct {
	FlowToken secret.Text
	Canary    string
}

// open opens the state of a form. What is wrong with it is shown on a page: the
// form may have lain open too long, or somebody posted one of another site's.
func (s *Service) open(f Form, steps ...flowstate.Step) (*flowstate.State, *authorize.Outcome) {
	st, err := s.keep.Form(f.FlowToken, f.Canary, steps...)
	if err != nil {
		over := authorize.Over(err)
		return nil, &over
	}
	return st, nil
}

// Resume goes on with what happened while the page stood open: credentials that
// arrived, such as a PRT cookie for the page's nonce, or a password that was changed.
// A certificate that was proven at its own host needs the canary: it comes in a form.
func (s *Service) Resume(ctx context.Context, f Form, c authorize.Credentials, ssoNonce string) (authorize.Outcome, error) {
	st, err := s.keep.Open(f.FlowToken)
	if err == nil {
		err = st.At(flowstate.SignIn, flowstate.Change, flowstate.Certified)
	}
	if err == nil && st.Step == flowstate.Certified {
		st, err = s.keep.Form(f.FlowToken, f.Canary, flowstate.Certified)
	}
	switch {
	case err != nil:
		return authorize.Over(err), nil
	case st.Step == flowstate.Change:
		return s.changed(ctx, st)
	case st.Step == flowstate.Certified:
		return s.next.Proceed(ctx, st)
	}
	return s.next.Resume(ctx, st, c, ssoNonce)
}

// ChooseStay takes the answer to whether the user wants to stay signed in and
// goes on from where the sign-in stands.
func (s *Service) ChooseStay(ctx context.Context, f Form, stay bool) (authorize.Outcome, error) {
	st, over := s.open(f, flowstate.SignIn, flowstate.Factor, flowstate.Change, flowstate.Confirm)
	if over != nil {
		return *over, nil
	}
	st.Proof.Persistent = stay
	if !st.Proof.Known() {
		return s.next.Ask(ctx, st, nil)
	}
	return s.next.Proceed(ctx, st)
}

// Confirm takes the answer to whether it is the person at the page who signs the
// device in.
func (s *Service) Confirm(ctx context.Context, f Form, yes bool) (authorize.Outcome, error) {
	st, over := s.open(f, flowstate.Confirm)
	switch {
	case over != nil:
		return *over, nil
	case !yes:
		return s.next.Decline(ctx, st)
	}
	st.Confirmed = true
	return s.next.Proceed(ctx, st)
}

// fatal reports whether an error is ours and not about what was typed.
func fatal(err error) bool {
	switch prterr.KindOf(err) {
	case prterr.Internal, prterr.Deadline, prterr.Unavailable:
		return true
	default:
		return false
	}
}
