// Package authority is the authority of the PRTs of a registered device: WAM itself,
// in place of CloudAP.
//
// What lives here: the work accounts of the device's users, their PRTs from the moment
// the account is added, the use of those PRTs for apps, their renewal, which happens
// when an app asks and at no other time, and the sign-in pages that bring new ones. What
// never may: a key (the tpm-agent signs and opens), an app's token, a clock that renews.
// The plug-in calls it. An account is found by who is signed in to the device, so no
// user reaches another's.
package authority

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	prt "github.com/lockstep-sso/lockstep/pkg/authority"
	"github.com/lockstep-sso/lockstep/pkg/authority/datakey"
	"github.com/lockstep-sso/lockstep/pkg/authority/lastattempt"
	"github.com/lockstep-sso/lockstep/pkg/authority/prtmeter"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/eventlog"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/sid"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/account"
)

// Bounds of what is kept.
const (
	// maxAccounts of one user of the device, and maxAll of all.
	maxAccounts = 16
	maxAll      = 256
)

// Config is what the authority needs.
type Config struct {
	Store    *account.Store
	Accounts []account.Record
	// Protocol speaks with tpm-agent and identity provider.
	Protocol *prt.Authority
	// DataKeys are what the refresh tokens of apps rest under.
	DataKeys *datakey.Keys
	Clock    clock.Clock
	// RenewEvery is the age at which a PRT is renewed when an app asks.
	RenewEvery time.Duration
	// Attempts remembers the last failure of each account.
	Attempts *lastattempt.Book
	// Events gets failures; nil keeps none.
	Events *eventlog.Log
	Log    *slog.Logger
	// Meter counts what becomes of PRTs; nil counts nothing.
	Meter *prtmeter.Meter
	// Points are crash points, for tests.
	Points durable.Points
}

// Authority has the accounts. It is safe for use by many goroutines.
type Authority struct {
	cfg Config

	// mu guards what is below; an entry's own mutex may be taken while it is held, and it
	// never while an entry's is.
	mu      sync.Mutex
	entries map[account.ID]*entry
	pages   map[pageID]page
	// pageNumber counts pages.
	pageNumber uint64
	closing    bool

	// life ends with Close, and running counts what goes on behind an app.
	life    context.Context //nolint:containedctx // what runs behind an app ends with the component, not with the app's call
	end     context.CancelFunc
	running sync.WaitGroup
}

// New checks the configuration.
func New(cfg Config) (*Authority, error) {
	if cfg.Store == nil || cfg.Protocol == nil || cfg.DataKeys == nil || cfg.Attempts == nil || cfg.RenewEvery <= 0 {
		return nil, errors.New("authority of work accounts: Store, Protocol, DataKeys, Attempts and RenewEvery are all needed")
	}
	cfg.Clock = clock.Or(cfg.Clock)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	a := &Authority{cfg: cfg, entries: map[account.ID]*entry{}, pages: map[pageID]page{}}
	a.life, a.end = context.WithCancel(context.Background())
	for _, r := range cfg.Accounts {
		a.entries[r.ID] = &entry{rec: r}
	}
	return a, nil
}

// Close ends what goes on behind apps. What is on disk stays.
func (a *Authority) Close() {
	a.mu.Lock()
	a.closing = true
	a.mu.Unlock()
	a.end()
	a.running.Wait()
}

// Accounts of a user of the device, the default one first.
func (a *Authority) Accounts(of sid.SID) []account.Record {
	a.settle()
	var all []account.Record
	for _, r := range a.snapshots() {
		if r.SID == of {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(x, y account.Record) int {
		return cmp.Or(y.DefaultSince.Compare(x.DefaultSince), strings.Compare(string(x.UPN), string(y.UPN)))
	})
	return all
}

// Owners are the users of the device who have accounts.
func (a *Authority) Owners() []sid.SID {
	var all []sid.SID
	for _, r := range a.snapshots() {
		if !slices.Contains(all, r.SID) {
			all = append(all, r.SID)
		}
	}
	return all
}

// Behind does something behind an app; life ends with the component, which waits for it.
// instead is called when the component is closing.
func (a *Authority) Behind(do func(life context.Context), instead func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closing {
		instead()
		return
	}
	a.running.Go(func() {
		defer func() { // a bug here must not take down the broker of the whole device
			if p := recover(); p != nil {
				a.cfg.Log.Error("work behind an app panicked", "panic", p, "stack", string(debug.Stack()))
			}
		}()
		do(a.life)
	})
}

// Empty reports whether nobody on the device has a work account.
func (a *Authority) Empty() bool {
	a.settle()
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.entries) == 0
}

func (a *Authority) snapshots() []account.Record {
	entries := a.all()
	all := make([]account.Record, 0, len(entries))
	for _, e := range entries {
		all = append(all, e.snapshot())
	}
	return all
}

func (a *Authority) all() []*entry {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Collect(maps.Values(a.entries))
}

// settle forgets what was read of files that turn out to be old ones, as of an account
// that was removed since. Whoever is about to rely on the accounts, or to write one, calls
// it first; it needs no lock held.
func (a *Authority) settle() {
	old := a.cfg.Store.Old()
	if len(old) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, e := range a.entries {
		if slices.Contains(old, id.FileName()) {
			e.mu.Lock()
			e.gone = true
			e.mu.Unlock()
			delete(a.entries, id)
			a.dropPages(id)
		}
	}
}

// find is an account that is there now.
func (a *Authority) find(id account.ID) (*entry, error) {
	a.settle()
	a.mu.Lock()
	defer a.mu.Unlock()
	if e := a.entries[id]; e != nil {
		return e, nil
	}
	return nil, removed()
}

// Choose makes an account the default one of its user.
func (a *Authority) Choose(id account.ID) error {
	e, err := a.find(id)
	if err != nil {
		return err
	}
	now := a.cfg.Clock.Now()
	for _, r := range a.Accounts(id.SID) {
		// The latest choice wins, also after a clock was set back.
		if !now.After(r.DefaultSince) {
			now = r.DefaultSince.Add(time.Nanosecond)
		}
	}
	return a.replace(e, func(r *account.Record) error {
		r.DefaultSince = now
		return nil
	})
}

// Remove forgets an account with its PRT.
func (a *Authority) Remove(ctx context.Context, id account.ID) (account.Record, error) {
	e, err := a.find(id)
	if err != nil {
		return account.Record{}, err
	}
	rec, err := a.retire(e)
	if err != nil {
		return account.Record{}, err
	}
	a.mu.Lock()
	delete(a.entries, id)
	a.dropPages(id)
	a.mu.Unlock()
	a.cfg.Attempts.Drop(attemptName(id))
	a.lockUnused(ctx, id)
	return rec, nil
}

// retire takes an account off the disk; from then on nothing changes it.
func (a *Authority) retire(e *entry) (account.Record, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gone {
		return account.Record{}, removed()
	}
	if err := a.cfg.Store.Remove(e.rec.ID); err != nil {
		return account.Record{}, prterr.Wrap(prterr.Internal, err, "the account could not be removed from disk")
	}
	e.gone = true
	return e.rec, nil
}

// lockUnused has the tpm-agent forget the data key of an account that was removed, unless
// another user of the device has the same one: the key is the account's.
func (a *Authority) lockUnused(ctx context.Context, id account.ID) {
	for _, r := range a.snapshots() {
		if r.Tenant == id.Tenant && r.User == id.User {
			return
		}
	}
	if err := a.cfg.DataKeys.Lock(ctx, id.Tenant, id.User); err != nil {
		a.cfg.Log.WarnContext(ctx, "the data key of a removed account was not locked", "user", id.User, "error", err)
	}
}

func removed() error {
	return prterr.New(prterr.NotFound, "the work account is not on this device any more")
}

func closing() error { return prterr.New(prterr.Unavailable, "the component is shutting down") }
