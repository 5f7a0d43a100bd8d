// Package replay remembers what was used until it would be refused anyway.
//
// What lives here: digests with an end date, bounded in number, in this process or,
// over all that share a store, there. What never may:
// the things themselves. The shared phases of a request put in the digest of
// each signed request they take, and where a nonce may be used once, the nonce;
// the check of federated users puts in assertion ids.
package replay

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// Digest names a thing; it holds nothing of it.
type Digest = store.Digest

// DefaultCapacity holds five minutes of 3,000 requests a second, some 100 MB.
const DefaultCapacity = 1 << 20

// Cache remembers digests. It is safe for concurrent use.
type Cache struct {
	clock    clock.Clock
	capacity int
	began    time.Time
	shared   *shared // nil is this process alone

	mu   sync.Mutex
	seen map[Digest]struct{}
	ends expiry
}

// New makes a cache of at most capacity digests; zero is DefaultCapacity.
func New(c clock.Clock, capacity int) *Cache {
	if capacity <= 0 {
		capacity = DefaultCapacity
	}
	return &Cache{clock: c, capacity: capacity, began: c.Now().Truncate(time.Second), seen: map[Digest]struct{}{}}
}

// Use remembers d until the given time and reports whether it was new. Of many
// who use one digest at once, exactly one is told so. A full cache answers
// Exhausted: forgetting something early would let it be used twice.
func (c *Cache) Use(ctx context.Context, d Digest, until time.Time) (fresh bool, err error) {
	if c.shared != nil {
		return c.shared.use(ctx, d, c.clock.Now(), until)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(c.clock.Now())
	if _, used := c.seen[d]; used {
		return false, nil
	}
	if len(c.seen) >= c.capacity {
		return false, full()
	}
	c.seen[d] = struct{}{}
	heap.Push(&c.ends, end{at: until, digest: d})
	return true, nil
}

func full() error {
	return prterr.New(prterr.Exhausted, "too many requests at once: try again in a few minutes")
}

// UseOnce is Use for a thing that was made here at a time of our clock, to the
// second. What was made before the cache began is never new: a process before this
// one, which had the same keys, may have seen it used. A shared cache began with the
// store.
func (c *Cache) UseOnce(ctx context.Context, d Digest, made, until time.Time) (fresh bool, err error) {
	if c.shared == nil && made.Before(c.began) {
		return false, nil
	}
	return c.Use(ctx, d, until)
}

// Len is how many digests are remembered, expired ones included that nobody has
// swept yet.
func (c *Cache) Len() int {
	if c.shared != nil {
		return c.shared.there()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.seen)
}

func (c *Cache) forget(now time.Time) {
	for len(c.ends) > 0 && now.After(c.ends[0].at) {
		delete(c.seen, heap.Pop(&c.ends).(end).digest)
	}
}

type end struct {
	at     time.Time
	digest Digest
}

// expiry is a heap with the earliest end on top.
type expiry []end

func (e expiry) Len() int           { return len(e) }
func (e expiry) Less(i, j int) bool { return e[i].at.Before(e[j].at) }
func (e expiry) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *expiry) Push(x any)        { *e = append(*e, x.(end)) }
func (e *expiry) Pop() any {
	old := *e
	last := old[len(old)-1]
	*e = old[:len(old)-1]
	return last
}
