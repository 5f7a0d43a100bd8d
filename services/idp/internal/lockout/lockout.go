// Package lockout counts wrong passwords and wrong codes and says when to stop
// taking more.
//
// What lives here: counters by name, bounded in number, in this process or, over all
// that share a store, there. What never may: whether
// the name exists: unknown users are counted as known ones are, so that a lock
// tells nothing. Whoever checks a password or a code that anybody may try calls it.
package lockout

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

const (
	// Limit is how many wrong ones in a row are taken.
	Limit = 10
	// Pause is how long nothing is taken then, as observed: a minute. Each wrong
	// one after it, without a good one between, costs another.
	Pause = time.Minute
	// forget is after how long without a wrong one the count begins again.
	forget = 15 * time.Minute
	// capacity bounds the counters, some 20 MB. When all are in use the one with the
	// fewest wrong ones goes, and of those the one that was touched first: whoever wants
	// to free a name that is locked has to lock as many others before.
	capacity = 100_000
)

// Counters counts. It is safe for concurrent use.
type Counters struct {
	clock  clock.Clock
	shared store.Tries // nil is this process alone

	mu    sync.Mutex
	names map[string]*counter
	swept time.Time
}

type counter struct {
	wrong int
	last  time.Time
}

// New makes counters.
func New(c clock.Clock) *Counters { return &Counters{clock: c, names: map[string]*counter{}} }

// NewShared makes counters over every process that shares the store, which sees
// digests of the names.
func NewShared(c clock.Clock, tries store.Tries) *Counters {
	n := New(c)
	n.shared = tries
	return n
}

// Try counts an attempt before it is made, so that many at once are not more than
// the limit; AADSTS50053 when no more are taken now.
func (c *Counters) Try(ctx context.Context, name string) error {
	if c.shared != nil {
		return c.tryShared(ctx, name)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock.Now()
	c.sweep(now)
	n, ok := c.names[name]
	if !ok {
		if len(c.names) >= capacity {
			c.dropOldest()
		}
		n = &counter{}
		c.names[name] = n
	}
	switch idle := now.Sub(n.last); {
	case idle > forget:
		n.wrong = 0
	case n.wrong >= Limit && idle < Pause:
		return prterr.AADSTS(aadsts.AccountLocked, "")
	}
	n.wrong, n.last = n.wrong+1, now
	return nil
}

// tryShared refuses what it cannot count.
func (c *Counters) tryShared(ctx context.Context, name string) error {
	now := c.clock.Now()
	c.mu.Lock()
	due := now.Sub(c.swept) >= time.Minute
	if due {
		c.swept = now
	}
	c.mu.Unlock()
	var err error
	if due {
		err = c.shared.SweepTries(ctx, now.Add(-forget), capacity)
	}
	taken := false
	if err == nil {
		taken, err = c.shared.Try(ctx, sha256.Sum256([]byte(name)), now, store.TryRule{Limit: Limit, Pause: Pause, Forget: forget})
	}
	switch {
	case err != nil:
		return prterr.Wrap(prterr.Unavailable, err, "the service cannot reach its records: try again")
	case !taken:
		return prterr.AADSTS(aadsts.AccountLocked, "")
	}
	return nil
}

// Right says that the attempt was good: the count begins again. When a store cannot be
// told, it goes on counting, which is the safe side.
func (c *Counters) Right(ctx context.Context, name string) {
	if c.shared != nil {
		_ = c.shared.Right(ctx, sha256.Sum256([]byte(name)))
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.names, name)
}

// sweep forgets what is old, at most once a minute.
func (c *Counters) sweep(now time.Time) {
	if now.Sub(c.swept) < time.Minute {
		return
	}
	c.swept = now
	for name, n := range c.names {
		if now.Sub(n.last) > forget {
			delete(c.names, name)
		}
	}
}

func (c *Counters) dropOldest() {
	var least string
	var of *counter
	for name, n := range c.names {
		if of == nil || n.wrong < of.wrong || n.wrong == of.wrong && n.last.Before(of.last) {
			least, of = name, n
		}
	}
	delete(c.names, least)
}
