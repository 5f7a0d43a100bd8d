// Package lockout counts wrong passwords and wrong codes and says when to stop
// taking more.
//
// What lives here: counters by name, bounded in number. What never may: whether
// the name exists: unknown users are counted as known ones are, so that a lock
// tells nothing. Whoever checks a password or a code that anybody may try calls it.
package lockout

import (
	"sync"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
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
	clock clock.Clock

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

// Try counts an attempt before it is made, so that many at once are not more than
// the limit; AADSTS50053 when no more are taken now.
func (c *Counters) Try(name string) error {
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

// Right says that the attempt was good: the count begins again.
func (c *Counters) Right(name string) {
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
