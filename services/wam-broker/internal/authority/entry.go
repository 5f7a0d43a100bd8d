package authority

import (
	"sync"
	"time"

	prt "github.com/lockstep-sso/lockstep/pkg/authority"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/account"
)

// previousFor is how long a session key that was replaced still opens answers: requests
// that it signed are under way.
const previousFor = time.Minute

// entry is an account in memory.
type entry struct {
	mu  sync.Mutex
	rec account.Record
	// gone says that it was removed.
	gone bool
	// renewing says that a renewal runs; after one that failed the next waits.
	renewing bool
	failures int
	retryAt  time.Time
	// previous is the PRT of before, whose session key is good until when.
	previous      *account.PRT
	previousUntil time.Time
}

// snapshot is the record now. What its pointers lead to is never changed, only
// replaced.
func (e *entry) snapshot() account.Record {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.rec
}

// openers are the session keys that may open an answer that arrives now, the likelier
// first.
func (e *entry) openers(now time.Time) []prt.Cached {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []prt.Cached
	if e.rec.PRT != nil {
		all = append(all, e.rec.Cached())
	}
	if e.previous != nil && now.Before(e.previousUntil) {
		before := e.rec
		before.PRT = e.previous
		all = append(all, before.Cached())
	}
	return all
}

// replace changes an account: disk first, then memory. When it fails, nothing changed.
func (a *Authority) replace(e *entry, change func(*account.Record) error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gone {
		return removed()
	}
	next := e.rec
	if err := change(&next); err != nil {
		return err
	}
	if err := a.cfg.Store.Save(next); err != nil {
		return prterr.Wrap(prterr.Internal, err, "the work account could not be written to disk: the old state stays")
	}
	a.cfg.Points.Reached("account-written")
	if old := e.rec.PRT; old != nil && next.PRT != old {
		e.previous, e.previousUntil = old, a.cfg.Clock.Now().Add(previousFor)
		e.failures, e.retryAt = 0, time.Time{}
	}
	e.rec = next
	return nil
}
