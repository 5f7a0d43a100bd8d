package enrol

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// The domain's sync runs every half hour, so a waiting join is not tried more
// rarely; it is given up until the next start or call after a good week.
const (
	firstRetry = time.Minute
	lastRetry  = 30 * time.Minute
	maxRetries = 400
	retryTime  = 2 * time.Minute
)

// background is what an Enroller does by itself, until Close.
type background struct {
	life    context.Context //nolint:containedctx // it is the life of the goroutines, not of a call
	end     context.CancelFunc
	running sync.WaitGroup
	// wake has one element when a join waits that is not being tried.
	wake chan struct{}
}

func newBackground() *background {
	life, end := context.WithCancel(context.Background())
	return &background{life: life, end: end, wake: make(chan struct{}, 1)}
}

func (b *background) run(do func(context.Context)) {
	b.running.Go(func() { do(b.life) })
}

// Close ends what goes on in the background and waits for its end. What it was
// doing is taken up at the next start.
func (e *Enroller) Close() error {
	e.back.end()
	e.back.running.Wait()
	return nil
}

// guarded keeps a bug in the background from taking the component down, as the RPC
// server does for its handlers.
func (e *Enroller) guarded(ctx context.Context, do func(context.Context)) {
	defer func() {
		if p := recover(); p != nil {
			e.log.ErrorContext(ctx, "background work panicked", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	do(ctx)
}

// keepJoining tries a waiting hybrid join again and again, each time it is woken.
func (e *Enroller) keepJoining(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.back.wake:
		}
		for n, wait := 0, firstRetry; n < maxRetries && clock.Sleep(ctx, e.clock, max(wait, e.heldFor())) == nil; n, wait = n+1, min(2*wait, lastRetry) {
			again := false
			e.guarded(ctx, func(ctx context.Context) { again = e.retry(ctx) })
			if !again {
				break
			}
		}
	}
}

// heldFor is how long the tenant asks this computer to wait.
func (e *Enroller) heldFor() time.Duration {
	w := e.store.Get().Waiting
	if w == nil {
		return 0
	}
	return prterr.RetryAfterOf(e.heldBack(byComputer(*w)))
}

// retry is one more attempt. It reports whether another one makes sense.
func (e *Enroller) retry(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, retryTime)
	defer cancel()
	end, err := e.await(ctx)
	if err != nil {
		return e.store.Get().Waiting != nil
	}
	defer end()
	if e.store.Get().Waiting == nil {
		return false
	}
	id, err := e.attempt(ctx)
	switch {
	case err == nil && id != nil:
		e.log.InfoContext(ctx, "the hybrid join that waited is done", "device_id", id.DeviceID)
		return false
	case err == nil:
		return true
	}
	e.log.WarnContext(ctx, "a hybrid join that waits has failed", "error", err)
	return !permanent(err)
}

// permanent reports whether trying again by itself cannot help: the tenant refused
// what will be the same the next time.
func permanent(err error) bool {
	var known *prterr.Error
	if !errors.As(err, &known) {
		return false
	}
	switch known.Kind {
	case prterr.Denied, prterr.Invalid, prterr.Conflict:
		return true
	default:
		return false
	}
}
