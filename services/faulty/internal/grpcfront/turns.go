package grpcfront

import (
	"context"
	"sync"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
)

const (
	// mostReorder is how long an answer waits for a later call.
	mostReorder = 2 * time.Second
	// behind is how much later an answer goes than the one that it waited for, which has
	// yet to be written.
	behind = 10 * time.Millisecond
)

// turns knows in which order calls came, and tells those that wait when a later one was
// answered.
type turns struct {
	mu      sync.Mutex
	last    uint64
	waiting map[*turn]chan struct{}
}

// turn is one call.
type turn struct {
	of *turns
	n  uint64
}

func (t *turns) begin() *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	return &turn{t, t.last}
}

// end tells all that came before and wait.
func (t *turn) end() {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	for w, tell := range t.of.waiting {
		if w.n < t.n {
			close(tell)
			delete(t.of.waiting, w)
		}
	}
}

// afterNext waits until a call that came later was answered, at most two seconds; the
// error is why the call itself ended before.
func (t *turn) afterNext(ctx context.Context, c clock.Clock) error {
	told := make(chan struct{})
	t.of.mu.Lock()
	if t.of.waiting == nil {
		t.of.waiting = map[*turn]chan struct{}{}
	}
	t.of.waiting[t] = told
	t.of.mu.Unlock()
	defer func() {
		t.of.mu.Lock()
		defer t.of.mu.Unlock()
		delete(t.of.waiting, t)
	}()
	most := c.NewTimer(mostReorder)
	defer most.Stop()
	select {
	case <-told:
	case <-most.C():
		return nil
	case <-ctx.Done():
		return ended(ctx)
	}
	if clock.Sleep(ctx, c, behind) != nil {
		return ended(ctx)
	}
	return nil
}
