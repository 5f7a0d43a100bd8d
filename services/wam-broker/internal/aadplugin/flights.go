package aadplugin

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/apptoken"
)

// flights are the ways to the identity provider that are under way, one for all who ask
// for the same at once.
type flights struct {
	mu  sync.Mutex
	all map[string]*flight
}

// flight is one of them. It goes on when the one who began it leaves, and ends when nobody
// waits any more: else whoever came next would wait with it for an answer that does not
// come, long after the network is well again.
type flight struct {
	waiting int
	cancel  context.CancelFunc
	done    chan struct{}
	grant   apptoken.Grant
	err     error
}

// do waits for the flight of a key, or begins it, at most as long as ctx lasts; the flight
// itself has limit.
func (f *flights) do(ctx context.Context, key string, limit time.Duration, obtain func(context.Context) (apptoken.Grant, error)) (apptoken.Grant, error) {
	f.mu.Lock()
	one := f.all[key]
	if one == nil {
		one = &flight{done: make(chan struct{})}
		own, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
		one.cancel = cancel
		if f.all == nil {
			f.all = map[string]*flight{}
		}
		f.all[key] = one
		go f.fly(own, key, one, obtain)
	}
	one.waiting++
	f.mu.Unlock()
	select {
	case <-one.done:
		return one.grant, one.err
	case <-ctx.Done():
		f.leave(key, one)
		return apptoken.Grant{}, prterr.FromContext(ctx)
	}
}

func (f *flights) fly(ctx context.Context, key string, one *flight, obtain func(context.Context) (apptoken.Grant, error)) {
	defer func() {
		if p := recover(); p != nil {
			one.err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
		one.cancel()
		f.mu.Lock()
		defer f.mu.Unlock()
		f.forget(key, one)
		close(one.done)
	}()
	one.grant, one.err = obtain(ctx)
}

// leave is a caller that waits no more; the last one ends the flight.
func (f *flights) leave(key string, one *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one.waiting--; one.waiting == 0 {
		one.cancel()
		f.forget(key, one)
	}
}

// forget takes a flight off the list, where another one may have its place by now; f.mu
// is held.
func (f *flights) forget(key string, one *flight) {
	if f.all[key] == one {
		delete(f.all, key)
	}
}
