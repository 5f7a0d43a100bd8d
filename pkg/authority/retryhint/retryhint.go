// Package retryhint remembers who was told to leave the identity provider alone, and until
// when: who asks again before that gets the same answer, without a request.
//
// It is what the client libraries of the provider do by themselves (MSAL, throttling: a
// Retry-After is honoured for a request of the same client, account and scopes). What asks
// for something calls it and says who is asking; it decides nothing else.
package retryhint

import (
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// MaxHeld bounds what is remembered: one hint more than that is not honoured.
const MaxHeld = 1024

// Hints remember by who asks. In memory only: a restart forgets them. The zero value is
// ready; it is safe for concurrent use.
type Hints[K comparable] struct {
	mu  sync.Mutex
	all map[K]held
}

// held is an answer that said when to come again.
type held struct {
	err   *prterr.Error
	until time.Time
	// tries are those that were let through all the same.
	tries int
}

// left is the time that is left of it, 0 when it is over, or when the clock was put back so
// far that it is not to be believed.
func (o held) left(now time.Time) time.Duration {
	if left := o.until.Sub(now); left > 0 && left <= prterr.MaxRetryAfter {
		return left
	}
	return 0
}

// Check is the answer of before while its time is not over, with the time that is left
// (prterr.RetryAfterOf); else nil.
func (h *Hints[K]) Check(k K, now time.Time) error { return h.Try(k, now, 0) }

// Try is Check for who may know better than the hint, such as somebody at the keyboard:
// within its time the first tries are let through, as many as allowed, and counted. A
// further hint within the time gives no further tries.
func (h *Hints[K]) Try(k K, now time.Time, allowed int) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	one, left := h.all[k], h.all[k].left(now)
	switch {
	case left == 0:
		return nil
	case one.tries >= allowed:
		return one.err.WithRetryAfter(left)
	}
	one.tries++
	h.all[k] = one
	return nil
}

// Learn keeps an error that says when to come again. After any other answer, nil too, there
// is no hint; where nobody answered it stays.
func (h *Hints[K]) Learn(k K, err error, now time.Time) {
	var e *prterr.Error
	wait := prterr.RetryAfterOf(err)
	h.mu.Lock()
	defer h.mu.Unlock()
	if wait <= 0 || !errors.As(err, &e) {
		if kind := prterr.KindOf(err); kind != prterr.Unavailable && kind != prterr.Deadline {
			delete(h.all, k)
		}
		return
	}
	if h.all == nil {
		h.all = map[K]held{}
	}
	for other, one := range h.all {
		if one.left(now) == 0 {
			delete(h.all, other)
		}
	}
	if one, there := h.all[k]; there || len(h.all) < MaxHeld {
		h.all[k] = held{err: e, until: now.Add(wait), tries: one.tries}
	}
}

// Told is an error in whose text its hint stands, for people; any other is what it was.
func Told(err error) error {
	wait := prterr.RetryAfterOf(err)
	var known *prterr.Error
	if wait <= 0 || !errors.As(err, &known) {
		return err
	}
	if rest := wait % time.Second; rest > 0 {
		wait += time.Second - rest
	}
	e := *known
	e.Msg = strings.TrimSuffix(e.Msg, ".") + "; try again in " + wait.String()
	return &e
}
