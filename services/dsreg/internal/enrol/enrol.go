// Package enrol joins the device to a tenant, or registers it for a work account,
// takes it out again, and gives it new keys when the old ones are lost or a better
// place for them is there.
//
// What lives here: the order of the calls to tpm-agent and identity provider,
// the checks of what they answer, and the way back from every interruption. What
// never may: a private key (they are made, used and destroyed in the TPM), and a
// password beyond the one call that needs it. The server's edge calls it.
package enrol

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/authority/retryhint"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/eventlog"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/state"
)

// Config is what enrolment needs.
type Config struct {
	TPM, IdP grpc.ClientConnInterface
	Store    *state.Store
	// Notes are for people who look for a fault.
	Notes *state.Notebook
	Clock clock.Clock
	Log   *slog.Logger
	// Events is the event log; nil takes none.
	Events *eventlog.Log
	// Points is told each moment between two effects.
	Points durable.Points
	// DeviceType and OSVersion are told to the tenant.
	DeviceType, OSVersion string
}

// Enroller changes the registration of the device, one change at a time.
type Enroller struct {
	keys   keyring
	cloud  cloud
	store  *state.Store
	notes  *state.Notebook
	events *eventlog.Log
	clock  clock.Clock
	log    *slog.Logger
	points durable.Points

	deviceType, osVersion string

	// change is held by the one change that is under way; a channel, because recovery
	// waits for it and may give up.
	change chan struct{}
	// known says that the record's Current is the identity that the TPM holds. It
	// is false after a start, and while an identity is exchanged or ended.
	known atomic.Bool
	// turn is held while known is false and somebody sees to that; a channel,
	// because a waiting call may end.
	turn chan struct{}

	// hints are who was told to leave the tenant alone.
	hints retryhint.Hints[asker]
	// became is when the device got the identity that it has, in nanoseconds, 0 when that
	// was before the start or its tenant has known it since.
	became atomic.Int64

	// identified is the second of the last computer identity; change guards it.
	identified int64

	provider providerCache
	tested   atomic.Pointer[bool] // whether the last self-test passed, nil before one
	back     *background
}

// New checks the configuration.
func New(cfg Config) (*Enroller, error) {
	if cfg.TPM == nil || cfg.IdP == nil || cfg.Store == nil || cfg.Notes == nil {
		return nil, errors.New("enrolment: TPM, IdP, Store and Notes are all needed")
	}
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	e := &Enroller{
		keys: newKeyring(cfg.TPM), cloud: newCloud(cfg.IdP), store: cfg.Store, notes: cfg.Notes, events: cfg.Events,
		clock: clock.Or(cfg.Clock), log: log, points: cfg.Points,
		deviceType: cfg.DeviceType, osVersion: cfg.OSVersion, change: make(chan struct{}, 1), turn: make(chan struct{}, 1), back: newBackground(),
	}
	e.start()
	return e, nil
}

// begin takes the one place there is for a change, and settles what was
// interrupted before. A second change is refused and does not wait: by the time
// it got its turn, the device would not be what its operator looked at.
func (e *Enroller) begin(ctx context.Context) (end func(), err error) {
	select {
	case e.change <- struct{}{}:
		return e.begun(ctx)
	default:
		return nil, prterr.New(prterr.Conflict, "another change of the registration is under way: wait for its end and try again")
	}
}

// await is begin for who wants the same whatever the change under way leaves.
func (e *Enroller) await(ctx context.Context) (end func(), err error) {
	select {
	case e.change <- struct{}{}:
		return e.begun(ctx)
	case <-ctx.Done():
		return nil, prterr.FromContext(ctx)
	}
}

func (e *Enroller) begun(ctx context.Context) (end func(), err error) {
	if err := e.resolve(ctx); err != nil {
		<-e.change
		return nil, err
	}
	return func() { <-e.change }, nil
}

// resolve makes sure that the record says what the TPM holds.
func (e *Enroller) resolve(ctx context.Context) error {
	if e.known.Load() {
		return nil
	}
	release, err := e.take(ctx)
	if err != nil {
		return err
	}
	defer release()
	return e.settle(ctx)
}

// take waits for the turn. Whoever has it talks to the disk and the tpm-agent
// only, never to the network, so the wait is short.
func (e *Enroller) take(ctx context.Context) (release func(), err error) {
	select {
	case e.turn <- struct{}{}:
		return func() { <-e.turn }, nil
	case <-ctx.Done():
		return nil, prterr.FromContext(ctx)
	}
}

// State is the registration of the device, nil when there is none. It asks nobody
// on the network, and the tpm-agent only when a change was interrupted.
func (e *Enroller) State(ctx context.Context) (*state.Identity, error) {
	if err := e.resolve(ctx); err != nil {
		return nil, err
	}
	return e.store.Get().Current, nil
}

// put writes the record.
func (e *Enroller) put(r state.Record) error {
	if err := e.store.Put(r); err != nil {
		return prterr.Wrap(prterr.Internal, err, "device state could not be written: check the disk")
	}
	return nil
}
