package replay

import (
	"context"
	"sync"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

const (
	// skew is how far the clocks of two replicas may be apart: a use is remembered so
	// much longer, so that none forgets what is still good at another.
	skew = time.Minute
	// sweepEvery is how often a process forgets what has ended, and counts again.
	sweepEvery = 10 * time.Second
)

// shared is a cache in a store that others share. The bound holds but for what the
// others add between two counts.
type shared struct {
	uses     store.Uses
	capacity int

	mu    sync.Mutex
	swept time.Time
	known int // how many there were at the last count, and our own since
}

// NewShared makes a cache over every process that shares the store.
func NewShared(c clock.Clock, capacity int, uses store.Uses) *Cache {
	s := New(c, capacity)
	s.shared = &shared{uses: uses, capacity: s.capacity}
	return s
}

func (s *shared) use(ctx context.Context, d Digest, now, until time.Time) (bool, error) {
	if err := s.sweep(ctx, now); err != nil {
		return false, err
	}
	if s.there() >= s.capacity {
		return false, full()
	}
	first, err := s.uses.Use(ctx, d, now, until.Add(skew))
	if err != nil {
		return false, unnoted(err)
	}
	if first {
		s.mu.Lock()
		s.known++
		s.mu.Unlock()
	}
	return first, nil
}

// sweep forgets what has ended, when it is time; the others go on meanwhile.
func (s *shared) sweep(ctx context.Context, now time.Time) error {
	s.mu.Lock()
	due := now.Sub(s.swept) >= sweepEvery || now.Before(s.swept)
	if due {
		s.swept = now
	}
	s.mu.Unlock()
	if !due {
		return nil
	}
	left, err := s.uses.SweepUses(ctx, now)
	if err != nil {
		return unnoted(err)
	}
	s.mu.Lock()
	s.known = left
	s.mu.Unlock()
	return nil
}

func (s *shared) there() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known
}

// unnoted: nothing may be taken whose use cannot be noted.
func unnoted(err error) error {
	return prterr.Wrap(prterr.Unavailable, err, "the service cannot reach its records: try again")
}
