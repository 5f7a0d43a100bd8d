package clock

import (
	"sync"
	"time"
)

// Lab is a clock that can be moved forward, stopped, and set wrong.
//
// The time that passes never goes back: lifetimes, replay windows and renewals all
// assume that it grows. What the hands show may be wrong by a skew, either way, as on
// a machine whose clock nobody sets; timers count the time that passes, as those of
// an operating system do, and do not notice.
type Lab struct {
	mu     sync.Mutex
	offset time.Duration
	// stopped is the time that has passed when the clock was stopped; zero is one that
	// goes.
	stopped time.Time
	skew    time.Duration
	pending map[*labTimer]struct{}
}

// NewLab returns a clock that agrees with the real one until it is moved.
func NewLab() *Lab { return &Lab{pending: map[*labTimer]struct{}{}} }

// Now is real time plus all moves, or where the clock was stopped, plus the skew.
func (l *Lab) Now() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hands()
}

// Skew is how far the clock is set wrong.
func (l *Lab) Skew() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.skew
}

// Frozen reports whether the clock was stopped.
func (l *Lab) Frozen() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.stopped.IsZero()
}

// passed is the time without the skew; l.mu is held, as for all below.
func (l *Lab) passed() time.Time {
	if !l.stopped.IsZero() {
		return l.stopped
	}
	return time.Now().Add(l.offset)
}

func (l *Lab) hands() time.Time { return l.passed().Add(l.skew) }

// Advance moves the clock forward by d and fires the timers that fall due, also while
// it is stopped. A d that is not positive does nothing.
func (l *Lab) Advance(d time.Duration) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d > 0 {
		l.offset += d
		if !l.stopped.IsZero() {
			l.stopped = l.stopped.Add(d)
		}
	}
	l.wind()
	return l.hands()
}

// Freeze stops the clock, and with it the timers. Twice does nothing.
func (l *Lab) Freeze() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = l.passed()
	l.wind()
	return l.hands()
}

// Resume lets the clock go on from where it stands. One that goes is left alone.
func (l *Lab) Resume() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.stopped.IsZero() {
		l.offset, l.stopped = time.Until(l.stopped), time.Time{}
	}
	l.wind()
	return l.hands()
}

// SetSkew sets the clock wrong by d, below zero for one that is slow; zero sets it
// right.
func (l *Lab) SetSkew(d time.Duration) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.skew = d
	return l.hands()
}

// wind has every timer fire when it falls due, as things are now: those of a clock that
// was stopped only if they are due already.
func (l *Lab) wind() {
	now := l.passed()
	for t := range l.pending {
		switch left := t.due.Sub(now); {
		case l.stopped.IsZero() || left <= 0:
			t.real.Reset(left)
		default:
			t.real.Stop()
		}
	}
}

// NewTimer fires when d has passed by this clock.
func (l *Lab) NewTimer(d time.Duration) Timer {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := &labTimer{lab: l, due: l.passed().Add(d), c: make(chan time.Time, 1)}
	l.pending[t] = struct{}{}
	t.real = time.AfterFunc(d, t.fire)
	if !l.stopped.IsZero() && d > 0 {
		t.real.Stop()
	}
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
	if _, waiting := t.lab.pending[t]; !waiting || t.due.After(t.lab.passed()) {
		return // given up, or the clock was stopped just now
	}
	delete(t.lab.pending, t)
	t.c <- t.lab.hands()
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
