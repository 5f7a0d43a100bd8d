// Package clock is where the components that live by lifetimes read the time.
//
// Two clocks exist: the real one, and the lab's, which runs like the real one
// and can be moved forward. There is no frozen clock: code under test lives in
// a testing/synctest bubble, where the real clock is already under control.
package clock

import (
	"sync"
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

// Lab is a clock that can be moved forward. It never goes back: lifetimes,
// replay windows and renewals all assume that time grows.
type Lab struct {
	mu      sync.Mutex
	offset  time.Duration
	pending map[*labTimer]struct{}
}

// NewLab returns a clock that agrees with the real one until it is moved.
func NewLab() *Lab { return &Lab{pending: map[*labTimer]struct{}{}} }

// Now is real time plus all moves.
func (l *Lab) Now() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Now().Add(l.offset)
}

// Advance moves the clock forward by d and fires the timers that fall due. A d
// that is not positive does nothing.
func (l *Lab) Advance(d time.Duration) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d > 0 {
		l.offset += d
	}
	now := time.Now().Add(l.offset)
	for t := range l.pending {
		t.real.Reset(t.due.Sub(now))
	}
	return now
}

// NewTimer fires when this clock reaches now + d.
func (l *Lab) NewTimer(d time.Duration) Timer {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := &labTimer{lab: l, due: time.Now().Add(l.offset + d), c: make(chan time.Time, 1)}
	l.pending[t] = struct{}{}
	t.real = time.AfterFunc(d, t.fire)
	return t
}

type labTimer struct {
	lab  *Lab
	due  time.Time
	real *time.Timer
	c    chan time.Time
}

func (t *labTimer) fire() {
	t.lab.mu.Lock()
	defer t.lab.mu.Unlock()
	if _, waiting := t.lab.pending[t]; !waiting {
		return
	}
	delete(t.lab.pending, t)
	t.c <- time.Now().Add(t.lab.offset)
}

func (t *labTimer) C() <-chan time.Time { return t.c }

func (t *labTimer) Stop() bool {
	t.lab.mu.Lock()
	defer t.lab.mu.Unlock()
	_, waiting := t.lab.pending[t]
	delete(t.lab.pending, t)
	t.real.Stop()
	return waiting
}
