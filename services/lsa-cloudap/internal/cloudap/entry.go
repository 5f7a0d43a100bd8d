package cloudap

import (
	"bytes"
	"sync"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

const (
	// answerGrace is how long the previous session key still opens answers: a
	// request signed just before a renewal is answered under the key it was
	// signed with. Longer than any call may take.
	answerGrace = 5 * time.Minute
	// firstRetry and lastRetry bound the wait after a failed renewal.
	firstRetry = time.Minute
	lastRetry  = 30 * time.Minute
)

// entry is one partition in memory with what is going on around it.
type entry struct {
	key partition.Key

	// checking is held while a password is checked and counted. It is taken before
	// writing.
	checking sync.Mutex

	// writing is held while file and memory change, so that both see one order
	// of events. It is taken before mu.
	writing sync.Mutex

	mu      sync.Mutex
	current partition.Partition
	retired bool
	// previousKey is the sealed session key before the last switch.
	previousKey   []byte
	previousUntil time.Time
	// flight is closed when the renewal under way ends; nil when there is none.
	flight chan struct{}
	// renewed tells the keeper of a new PRT, after which it has less to wait than it
	// thought.
	renewed   chan struct{}
	failures  int
	retryAt   time.Time
	lastError string
	// keysLost is set when the TPM did not know the session key any more, as after
	// a new registration of the device: the PRT is renewed at the next sign-in,
	// however young it is.
	keysLost bool

	// Guarded by CloudAP.mu: open sessions, and how to stop the keeper that runs
	// while there are any.
	sessions int
	stop     chan struct{}
}

func newEntry(p partition.Partition) *entry {
	return &entry{key: p.Key, current: p, renewed: make(chan struct{}, 1)}
}

// snapshot copies the partition; false while it has no PRT or when it is gone.
func (e *entry) snapshot() (partition.Partition, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.current, e.current.HasPRT() && !e.retired
}

// replace writes what change makes of the partition, then switches memory to it.
// change sees the newest state; an error from it changes nothing.
func (c *CloudAP) replace(e *entry, change func(*partition.Partition) error) error {
	e.writing.Lock()
	defer e.writing.Unlock()
	e.mu.Lock()
	next, retired := e.current, e.retired
	e.mu.Unlock()
	if retired {
		return prterr.New(prterr.Conflict, "the account is not on this device any more")
	}
	if err := change(&next); err != nil {
		return err
	}
	if err := c.store.Save(next); err != nil {
		return prterr.Wrap(prterr.Internal, err, "the cached PRT could not be written: see the component's log")
	}
	e.switchTo(next, c.cfg.Clock.Now())
	return nil
}

// inMemory changes the partition without its file, when that could not be written.
func (e *entry) inMemory(change func(*partition.Partition)) {
	e.writing.Lock()
	defer e.writing.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	change(&e.current)
}

// switchTo is the moment from which the new PRT is used. Past failures are over.
func (e *entry) switchTo(next partition.Partition, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !bytes.Equal(e.current.SealedKey, next.SealedKey) {
		e.previousKey, e.previousUntil = e.current.SealedKey, now.Add(answerGrace)
	}
	if !e.current.SamePRT(next) {
		e.failures, e.retryAt, e.lastError, e.keysLost = 0, time.Time{}, "", false
		select {
		case e.renewed <- struct{}{}:
		default:
		}
	}
	e.current = next
}

// retire makes the entry unusable and then runs remove; writing is held.
func (e *entry) retire(remove func() error) error {
	e.mu.Lock()
	e.retired = true
	e.mu.Unlock()
	return remove()
}

// openers are the session keys that may open an answer that arrives now, the
// likelier first.
func (e *entry) openers(now time.Time) [][]byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	keys := [][]byte{e.current.SealedKey}
	if e.previousKey != nil && now.Before(e.previousUntil) {
		keys = append(keys, e.previousKey)
	}
	return keys
}

// finish records how a renewal ended and lets the next one begin, after a failure not
// before the wait is over.
func (e *entry) finish(err error, now time.Time, wait func(err error, n int) time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		e.failures++
		e.retryAt, e.lastError = now.Add(wait(err, e.failures)), message(err)
	}
	close(e.flight)
	e.flight = nil
}

// note records a failure to obtain a PRT, or to use it, that was not a renewal's.
func (e *entry) note(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lastError = message(err)
	e.keysLost = e.keysLost || prterr.KindOf(err) == prterr.KeysLost
}

// nextRenewal is how long the keeper has to wait. What happens meanwhile moves the
// renewal later, so a keeper that wakes too soon looks again; or it is a new PRT, which
// wakes the keeper.
func (e *entry) nextRenewal(now time.Time, every time.Duration) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	at := e.current.ObtainedAt.Add(every)
	if e.retryAt.After(at) {
		at = e.retryAt
	}
	return at.Sub(now)
}

// stopKeeper ends the renewal clock. CloudAP.mu is held.
func (e *entry) stopKeeper() {
	if e.stop != nil {
		close(e.stop)
		e.stop = nil
	}
}
