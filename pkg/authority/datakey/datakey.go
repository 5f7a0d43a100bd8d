// Package datakey is the authority's side of the data-protection keys of its users:
// the keys under which refresh tokens of apps rest in the tpm-agent's care (DPAPI in
// Windows).
//
// What lives here: the files of the wrapped keys, and the order in which a locked key is
// unlocked: the identity provider delivers its half under the session key, the tpm-agent
// opens the wrapped key with it, or makes one when there is none that opens. What never
// may: a key in the clear; neither half is ever seen here. Whoever is the authority of
// the PRT uses it: lsa-cloudap on joined devices, wam-broker on registered ones.
//
// A wrapped key that is lost costs its user nothing but cached refresh tokens: the PRT
// brings new ones. So its files are in no manifest, and an older copy of one opens what
// it opened then and nothing newer.
package datakey

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/authority/prtmeter"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/eventlog"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

const (
	// HRESULTLocked is NTE_BAD_KEY_STATE, by which the tpm-agent says that the data key
	// of a user is locked.
	HRESULTLocked = 0x8009000B
	// EventLost is a data key that was made anew because the one before does not open:
	// refresh tokens that rested under it are lost. Windows has no such event; numbers
	// from 9000 on are ours.
	EventLost = 9011

	defaultCallTimeout = 10 * time.Second
	// unsupportedFor is how long an identity provider that has no such keys is not asked
	// again for the same user.
	unsupportedFor = time.Hour
	// maxWrapped bounds a wrapped key, in bytes.
	maxWrapped = 1 << 10
)

// Config is what the keys need.
type Config struct {
	// TPM is the connection to the tpm-agent.
	TPM grpc.ClientConnInterface
	// Dir is the folder of the wrapped keys; it is made when the first is written.
	Dir string
	// CallTimeout bounds each call; 0 is 10 seconds.
	CallTimeout time.Duration
	// Reject puts a file aside that is damaged; nil leaves it to be overwritten. The name
	// is that of the file in Dir.
	Reject func(name, reason string) error
	// Clock is where time is read; nil is the real clock.
	Clock clock.Clock
	// Events gets EventLost; nil keeps none.
	Events *eventlog.Log
	// Meter counts the unlocks; nil counts none.
	Meter *prtmeter.Meter
	// Log gets what has no event; nil discards.
	Log *slog.Logger
	// Points are told of each moment of a write at which a crash would matter.
	Points durable.Points
}

// Account is whose data key is meant, with what proves it.
type Account struct {
	// Partition and SessionKey of a PRT of the user.
	Partition  *tpmv1.Partition
	SessionKey *tpmv1.SealedSessionKey
	// Fetch obtains the identity provider's answer under that session key, as
	// Provider.Fetch does. An error prterr.NotFound without a code is that the identity
	// provider keeps no data keys.
	Fetch func(context.Context) (answer string, err error)
}

// Keys unlocks data keys when they are needed. It is safe for concurrent use.
type Keys struct {
	cfg Config
	tpm tpmv1.DataKeyServiceClient

	mu    sync.Mutex
	users map[user]*state
}

// user is whose a data key is.
type user struct {
	tenant ids.TenantID
	id     ids.UserID
}

// state is what is known of one user's data key.
type state struct {
	// turn is held by who unlocks.
	turn chan struct{}

	mu sync.Mutex
	// unlocked counts how often the key was unlocked, and ready says that it was not
	// locked from here since.
	unlocked uint64
	ready    bool
	// notBefore is when the identity provider is asked again.
	notBefore time.Time
}

// New makes the keys; nothing is read or asked before the first use.
func New(cfg Config) (*Keys, error) {
	if cfg.TPM == nil || cfg.Dir == "" {
		return nil, errors.New("datakey: TPM and Dir are needed")
	}
	if cfg.CallTimeout <= 0 {
		cfg.CallTimeout = defaultCallTimeout
	}
	cfg.Clock = clock.Or(cfg.Clock)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Keys{cfg: cfg, tpm: tpmv1.NewDataKeyServiceClient(cfg.TPM), users: map[user]*state{}}, nil
}

// Locked reports whether the tpm-agent refused a call because the data key of its user
// is locked.
func Locked(err error) bool {
	var e *prterr.Error
	return errors.As(err, &e) && e.Kind == prterr.Conflict && e.HRESULT == HRESULTLocked
}

// Do runs a call of the tpm-agent that may need the data key of a user. A key that
// nobody unlocked here is unlocked first, by one of all who wait for it; one that turns
// out to be locked, as after a restart of the tpm-agent, is unlocked then, and the call
// is made once more. When it cannot be, the error says why: prterr.Unavailable without the network, the
// identity provider's own refusal, and else prterr.Denied without a code, as for a
// refresh token that is not usable here.
func (k *Keys) Do(ctx context.Context, a Account, call func(context.Context) error) error {
	u, err := userOf(a.Partition)
	if err != nil {
		return err
	}
	s := k.state(u)
	seen, ready := s.now()
	if !ready {
		// The agent may have it unlocked all the same, as after a restart of this
		// component: so the call is tried whatever comes of this.
		why := k.unlock(ctx, u, s, a, seen)
		if err := call(ctx); !Locked(err) || why == nil {
			return err
		}
		return why
	}
	err = call(ctx)
	if !Locked(err) {
		return err
	}
	if err := k.unlock(ctx, u, s, a, seen); err != nil {
		return err
	}
	return call(ctx)
}

// Lock has the tpm-agent forget the data key of a user, as at the last sign-off.
func (k *Keys) Lock(ctx context.Context, tenant ids.TenantID, id ids.UserID) error {
	k.state(user{tenant, id}).locked()
	ctx, cancel := context.WithTimeout(ctx, k.cfg.CallTimeout)
	defer cancel()
	_, err := k.tpm.LockDataKey(ctx, &tpmv1.LockDataKeyRequest{TenantId: string(tenant), UserId: string(id)})
	return err
}

func userOf(p *tpmv1.Partition) (user, error) {
	tenant, err := ids.ParseTenant(p.GetTenantId())
	if err != nil {
		return user{}, prterr.New(prterr.Invalid, "partition.tenant_id: %v", err)
	}
	id, err := ids.ParseUser(p.GetUserId())
	if err != nil {
		return user{}, prterr.New(prterr.Invalid, "partition.user_id: %v", err)
	}
	return user{tenant, id}, nil
}

func (k *Keys) state(u user) *state {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.users[u]
	if s == nil {
		s = &state{turn: make(chan struct{}, 1)}
		k.users[u] = s
	}
	return s
}

func (s *state) now() (unlocked uint64, ready bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unlocked, s.ready
}

func (s *state) opened() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unlocked++
	s.ready = true
}

func (s *state) locked() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = false
}

func (s *state) resting(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Before(s.notBefore)
}

func (s *state) rest(until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notBefore = until
}

// unlock takes its turn and unlocks, unless somebody did since seen.
func (k *Keys) unlock(ctx context.Context, u user, s *state, a Account, seen uint64) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return prterr.Wrap(prterr.Deadline, ctx.Err(), "the data key was not unlocked in time: try again")
	}
	if unlocked, _ := s.now(); unlocked != seen {
		return nil
	}
	if s.resting(k.cfg.Clock.Now()) {
		return notToBeHad()
	}
	err := k.unlockNow(ctx, u, s, a)
	k.cfg.Meter.Unlocked(ctx, err)
	return err
}

// unlockNow does it; the turn is the caller's.
func (k *Keys) unlockNow(ctx context.Context, u user, s *state, a Account) error {
	answer, err := a.Fetch(ctx)
	if prterr.KindOf(err) == prterr.NotFound && prterr.CodeOf(err) == 0 {
		k.cfg.Log.InfoContext(ctx, "the identity provider keeps no data keys: refresh tokens are not cached", "tenant", u.tenant, "user", u.id)
		s.rest(k.cfg.Clock.Now().Add(unsupportedFor))
		return notToBeHad()
	}
	if err != nil {
		return err
	}
	if err := k.open(ctx, u, a, answer); err != nil {
		return err
	}
	s.opened()
	return nil
}

// open unlocks the wrapped key of the file with the provider's answer, or makes a key
// when there is no file, or none that opens.
func (k *Keys) open(ctx context.Context, u user, a Account, answer string) error {
	wrapped, before := k.read(ctx, u)
	if wrapped != nil {
		err := k.unlockWith(ctx, a, answer, wrapped)
		if kind := prterr.KindOf(err); err == nil || kind != prterr.Denied && kind != prterr.Invalid {
			return err
		}
	}
	made, err := k.create(ctx, a, answer)
	if err != nil {
		return err
	}
	if before {
		k.lost(ctx, u)
	}
	if err := k.write(u, made); err != nil {
		// A key that is not on disk would seal tokens that nothing opens after a restart.
		k.cfg.Log.ErrorContext(ctx, "a data key could not be kept", "tenant", u.tenant, "user", u.id, "error", err)
		if err := k.Lock(ctx, u.tenant, u.id); err != nil {
			k.cfg.Log.WarnContext(ctx, "a data key that is not kept was not locked", "error", err)
		}
		return notToBeHad()
	}
	return nil
}

func (k *Keys) unlockWith(ctx context.Context, a Account, answer string, wrapped []byte) error {
	ctx, cancel := context.WithTimeout(ctx, k.cfg.CallTimeout)
	defer cancel()
	_, err := k.tpm.UnlockDataKey(ctx, &tpmv1.UnlockDataKeyRequest{
		Partition: a.Partition, SessionKey: a.SessionKey, Answer: answer, DataKey: &tpmv1.ProtectedDataKey{Wrapped: wrapped},
	})
	return err
}

func (k *Keys) create(ctx context.Context, a Account, answer string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, k.cfg.CallTimeout)
	defer cancel()
	made, err := k.tpm.CreateDataKey(ctx, &tpmv1.CreateDataKeyRequest{Partition: a.Partition, SessionKey: a.SessionKey, Answer: answer})
	if err != nil {
		return nil, err
	}
	wrapped := made.GetDataKey().GetWrapped()
	if len(wrapped) == 0 || len(wrapped) > maxWrapped {
		return nil, prterr.New(prterr.TPMFailed, "tpm-agent: answer is not usable: data_key is empty or too long")
	}
	return wrapped, nil
}

// lost tells that a user's cached refresh tokens are of no use any more.
func (k *Keys) lost(ctx context.Context, u user) {
	const message = "the data key of a user does not open and was made anew: cached refresh tokens are lost, the PRT brings new ones"
	if k.cfg.Events == nil {
		k.cfg.Log.WarnContext(ctx, message, "tenant", u.tenant, "user", u.id)
		return
	}
	k.cfg.Events.Add(ctx, eventlog.Event{
		Channel: eventlog.AADOperational, ID: EventLost, Level: eventlog.Warning, Message: message,
		Fields: []eventlog.Field{{Name: "tenant", Value: string(u.tenant)}, {Name: "user", Value: string(u.id)}},
	})
}

// notToBeHad is the error of a refresh token that cannot be opened now, so that who
// holds it redeems the PRT.
func notToBeHad() error {
	return prterr.New(prterr.Denied, "refresh tokens cannot be used here now: redeem the PRT")
}
