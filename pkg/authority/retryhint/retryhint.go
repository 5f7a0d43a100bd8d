// Package retryhint remembers who was told to leave the identity provider alone, and until
// when: who asks again before that gets the same answer, without a request.
//
// It is what the client libraries of the provider do by themselves (MSAL, throttling: a
// Retry-After is honoured for a request of the same client, account and scopes). What asks
// for something calls it and says who is asking; it decides nothing else.
package retryhint

import (
	"errors"
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
}

// Check is the answer of before while its time is not over, with the time that is left
// (prterr.RetryAfterOf); else nil.
func (h *Hints[K]) Check(k K, now time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	one, ok := h.all[k]
	left := one.until.Sub(now)
	if !ok || left <= 0 || left > prterr.MaxRetryAfter { // more is left when the clock was put back
		return nil
	}
	return one.err.WithRetryAfter(left)
}

// Learn keeps an error that says when to come again. After any other end, nil too, there
// is no hint.
func (h *Hints[K]) Learn(k K, err error, now time.Time) {
	var e *prterr.Error
	wait := prterr.RetryAfterOf(err)
	h.mu.Lock()
	defer h.mu.Unlock()
	if wait <= 0 || !errors.As(err, &e) {
		delete(h.all, k)
		return
	}
	if h.all == nil {
		h.all = map[K]held{}
	}
	for other, one := range h.all {
		if !now.Before(one.until) {
			delete(h.all, other)
		}
	}
	if _, there := h.all[k]; there || len(h.all) < MaxHeld {
		h.all[k] = held{err: e, until: now.Add(wait)}
	}
}
