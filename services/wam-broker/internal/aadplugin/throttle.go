package aadplugin

import (
	"errors"
	"sync"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/tokencache"
)

// maxHeld bounds what is remembered of hints: one more than that is not honoured.
const maxHeld = 1024

// throttles remember who was told to leave the identity provider alone, and until when:
// an app that asks again for the same token gets the same answer, without a request. It is
// what the client libraries of the provider do by themselves (MSAL, throttling: a
// Retry-After is honoured for a request of the same client, account and scopes), and apps
// of a broker have no library that does. In memory only: a restart forgets it.
type throttles struct {
	mu  sync.Mutex
	all map[tokencache.AccessKey]held
}

// held is an answer that said when to come again.
type held struct {
	err   *prterr.Error
	until time.Time
}

// check is the answer of before while its time is not over, with the time that is left.
func (t *throttles) check(k tokencache.AccessKey, now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	h, ok := t.all[k]
	if !ok || !now.Before(h.until) {
		return nil
	}
	return h.err.WithRetryAfter(h.until.Sub(now))
}

// learn keeps an error that says when to come again, and forgets what is over.
func (t *throttles) learn(k tokencache.AccessKey, err error, now time.Time) {
	var e *prterr.Error
	wait := prterr.RetryAfterOf(err)
	t.mu.Lock()
	defer t.mu.Unlock()
	if wait <= 0 || !errors.As(err, &e) {
		delete(t.all, k)
		return
	}
	if t.all == nil {
		t.all = map[tokencache.AccessKey]held{}
	}
	for other, h := range t.all {
		if !now.Before(h.until) {
			delete(t.all, other)
		}
	}
	if len(t.all) < maxHeld {
		t.all[k] = held{err: e, until: now.Add(wait)}
	}
}
