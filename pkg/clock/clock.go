// Package clock is where the components that live by lifetimes read the time.
//
// Two clocks exist: the real one, and the lab's, which runs like the real one and
// can be moved forward, stopped and set wrong by an operator. Code under test needs
// none of that: it lives in a testing/synctest bubble, where the real clock is
// already under control.
package clock

import (
	"context"
	"time"
)

// Clock tells the time and wakes those who wait.
type Clock interface {
	Now() time.Time
	// NewTimer fires once, d from now by this clock. d <= 0 fires at once.
	NewTimer(d time.Duration) Timer
}

// Timer is one pending wake-up.
type Timer interface {
	// C delivers the time once.
	C() <-chan time.Time
	// Stop gives up; false when it has fired already.
	Stop() bool
}

// Sleep waits until d has passed by c. When ctx ends first, its error is returned.
func Sleep(ctx context.Context, c Clock, d time.Duration) error {
	t := c.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Real is the clock of the machine.
func Real() Clock { return realClock{} }

// Or returns c, or the real clock when c is nil.
func Or(c Clock) Clock {
	if c == nil {
		return Real()
	}
	return c
}

type realClock struct{}

func (realClock) Now() time.Time                 { return time.Now() }
func (realClock) NewTimer(d time.Duration) Timer { return realTimer{time.NewTimer(d)} }

type realTimer struct{ t *time.Timer }

func (r realTimer) C() <-chan time.Time { return r.t.C }
func (r realTimer) Stop() bool          { return r.t.Stop() }
