package tpmio

import (
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

// watch starts the watch-dog for one command.
func (o *Owner) watch(cc tpm2.TPMCC) {
	limit := hangTime
	switch cc {
	case tpm2.TPMCCCreate, tpm2.TPMCCCreatePrimary, tpm2.TPMCCCreateLoaded, tpm2.TPMCCClear:
		limit = hangMake
	}
	o.dogMu.Lock()
	o.busy = true
	o.dogMu.Unlock()
	o.dog.Reset(limit)
}

// bark ends the waiting of those behind a command that does not come back. The
// command itself is waited for: what it does to its job's variables it does later.
func (o *Owner) bark() {
	o.dogMu.Lock()
	defer o.dogMu.Unlock()
	if o.busy && !o.hangs {
		o.hangs = true
		close(*o.hung.Load())
	}
}

// unwatch ends the watch, and the state that it may have declared.
func (o *Owner) unwatch() {
	o.dog.Stop()
	o.dogMu.Lock()
	defer o.dogMu.Unlock()
	o.busy = false
	if o.hangs {
		o.hangs = false
		o.fresh()
	}
}

// fresh is the channel of a TPM that does not hang.
func (o *Owner) fresh() {
	c := make(chan struct{})
	o.hung.Store(&c)
}
