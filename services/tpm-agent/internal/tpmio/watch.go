package tpmio

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/go-tpm/tpm2"
)

const (
	// hangTime is how long one command may take, and hangMake one that makes a key,
	// before the TPM counts as hung. The link to a TPM outside the process gives up
	// earlier; this is for a TPM that was given to the agent.
	hangTime = 30 * time.Second
	hangMake = 150 * time.Second
)

// dog watches over the command under way. Its timer is not set for each command,
// which would cost more than all else here: it is set once and looks, when it
// fires, at the command of that moment.
type dog struct {
	start time.Time
	timer *time.Timer
	armed atomic.Bool
	// due is when the command under way is late, in nanoseconds after start; 0 when
	// there is none.
	due atomic.Int64

	// hung is closed while a command is late, and fresh otherwise.
	hung atomic.Pointer[chan struct{}]
	late atomic.Bool
	mu   sync.Mutex
}

func (d *dog) open() {
	d.start = time.Now()
	d.fresh()
	d.timer = time.AfterFunc(hangMake, d.bark)
	d.timer.Stop()
}

func (d *dog) close() { d.timer.Stop() }

// watch begins with a command at a time.
func (d *dog) watch(cc tpm2.TPMCC, begun time.Time) {
	limit := hangTime
	switch cc {
	case tpm2.TPMCCCreate, tpm2.TPMCCCreatePrimary, tpm2.TPMCCCreateLoaded, tpm2.TPMCCClear:
		limit = hangMake
	}
	d.due.Store(int64(begun.Sub(d.start) + limit))
	if d.armed.CompareAndSwap(false, true) {
		d.timer.Reset(limit)
	}
}

// bark ends the waiting of those behind a command that does not come back. The
// command itself is waited for: what it does to its job's variables it does later.
func (d *dog) bark() {
	due := d.due.Load()
	if due == 0 {
		d.armed.Store(false)
		if d.due.Load() == 0 || !d.armed.CompareAndSwap(false, true) {
			return // the next command arms it again, or has
		}
		due = d.due.Load()
	}
	if left := time.Duration(due) - time.Since(d.start); left > 0 {
		// No later than any command that begins meanwhile may be late.
		d.timer.Reset(min(left, hangTime))
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.late.Load() {
		d.late.Store(true)
		close(*d.hung.Load())
	}
	if d.due.Load() != due { // it came back just now
		d.late.Store(false)
		d.fresh()
	}
	d.timer.Reset(hangTime)
}

// unwatch ends with the command, and with the state that may have been declared.
func (d *dog) unwatch() {
	d.due.Store(0)
	if !d.late.Load() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.late.Load() {
		d.late.Store(false)
		d.fresh()
	}
}

// fresh is the channel of a TPM that does not hang.
func (d *dog) fresh() {
	c := make(chan struct{})
	d.hung.Store(&c)
}
