package softtpm

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// Limits of one TPM. They are those of common chips, so that a caller that
// works here does not run out of room on hardware.
const (
	maxCommand     = 4096 // bytes of one command
	maxBuffer      = 1024 // bytes of one TPM2B_MAX_BUFFER
	maxSealed      = 128  // bytes of data that Create takes (MAX_SYM_DATA)
	maxLoadedSess  = 3    // sessions in TPM memory
	maxActiveSess  = 64   // sessions in TPM memory or saved
	maxPersistent  = 64   // persistent objects
	defaultSlots   = 3    // transient objects
	maxSlots       = 256  // upper bound of Config.Slots
	cachedKeys     = 128  // unsealed objects kept for the next Load
	randomPerCall  = 64   // bytes that one GetRandom gives at most
	maxDigest      = 64   // bytes of the largest digest, SHA-512
	seedSize       = 32   // bytes of a hierarchy seed or proof
	minNonce       = 16   // bytes of a caller nonce, Part 3 section 11.1
	firmwareNumber = 1    // reported by GetCapability and attestations
)

// Config says how one TPM is made. The zero value is a new volatile TPM.
type Config struct {
	// State is a state previously returned by Marshal; nil manufactures a new
	// TPM with fresh seeds.
	State []byte
	// OnChange is called with the new state after each command that changed
	// non-volatile state, before the response is given. An error makes the
	// command fail with TPM_RC_NV_UNAVAILABLE (0x923) and undoes the change.
	// It runs under the lock of the TPM and must not call back into it.
	OnChange func([]byte) error
	// Now is the clock for dictionary-attack recovery and attestation; nil is
	// time.Now.
	Now func() time.Time
	// Slots is the number of transient object slots, 1 to 256; 0 is 3, as in
	// real TPMs.
	Slots int
	// Latency tells how long a command takes beyond its computation, to see a
	// caller under a slow chip: see FieldLatency. nil is no extra time. It is
	// asked once for each command that succeeds, under the lock of the TPM.
	Latency func(tpm2.TPMCC) time.Duration
	// Sleep waits out a Latency, under the lock of the TPM: the next command
	// waits too. nil is time.Sleep.
	Sleep func(time.Duration)
}

// Format keeps the seeds of State out of logs, whatever the verb.
func (Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "softtpm.Config{...}") }

// ErrClosed is returned by every method after Close.
var ErrClosed = errors.New("softtpm: the TPM is closed")

var _ transport.TPMCloser = (*TPM)(nil)

// TPM is one emulated TPM. It is safe for concurrent use; like a chip it runs
// one command at a time.
type TPM struct {
	mu       sync.Mutex
	cfg      Config
	commands commandTable
	closed   bool
	started  bool // TPM2_Startup was done
	orderly  bool // and TPM2_Shutdown before it
	failed   bool // failure mode, see Fail
	unlock   func() error

	nv      nvState
	unsaved bool // the failed-tries counter is ahead of the saved state
	null    hierarchy
	// Volatile: every start empties them (Part 1, 14.4).
	platformAuth   []byte
	platformPolicy policy
	off            switches
	audit          commandAudit
	epoch          [8]byte // tells this start from others
	exclusive      uint32  // handle of the exclusive audit session, 0: none

	slots     []*object
	persisted map[uint32]*object // unpacked persistent objects
	sessions  [maxActiveSess]*session
	contexts  contextKey
	cache     keyCache
	pcrs      pcrBank
	commits   commits
	born      time.Time
	call      call // reused by every command
}

// New makes a TPM. It must get TPM2_Startup(CLEAR) as its first command, as
// any TPM. Errors: a damaged State, or Slots out of range.
func New(cfg Config) (*TPM, error) {
	if cfg.Slots == 0 {
		cfg.Slots = defaultSlots
	}
	if cfg.Slots < 1 || cfg.Slots > maxSlots {
		return nil, fmt.Errorf("softtpm: Slots is %d, must be 1 to %d", cfg.Slots, maxSlots)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Sleep == nil {
		cfg.Sleep = time.Sleep
	}
	t := &TPM{cfg: cfg, slots: make([]*object, cfg.Slots), born: cfg.Now()}
	if cfg.State == nil {
		t.nv = manufacture()
	} else {
		nv, err := decodeState(cfg.State)
		if err != nil {
			return nil, err
		}
		t.nv = nv
	}
	t.commands.fill()
	t.cfg.State = nil // decoded; the caller's copy is not kept alive
	t.reset()
	return t, nil
}

// reset puts the volatile part into the state after power on.
func (t *TPM) reset() {
	t.null = newHierarchy()
	t.platformAuth, t.platformPolicy, t.off = nil, policy{}, switches{}
	t.audit, t.exclusive = commandAudit{}, 0
	clear(t.slots)
	clear(t.sessions[:])
	t.persisted = nil
	t.contexts = newContextKey()
	t.cache = keyCache{}
	t.pcrs, t.commits = pcrBank{}, commits{}
	copy(t.commits.nonce[:], random(len(t.commits.nonce)))
	copy(t.epoch[:], random(len(t.epoch)))
}

// Marshal gives the non-volatile state: versioned, with a checksum, holding
// the seeds in the clear. [New] takes it back.
func (t *TPM) Marshal() ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, ErrClosed
	}
	return t.nv.encode(t.clock()), nil
}

// Fail switches failure mode: every command answers TPM_RC_FAILURE (0x101)
// until it is switched off. Nothing is lost meanwhile.
func (t *TPM) Fail(on bool) {
	t.mu.Lock()
	t.failed = on
	t.mu.Unlock()
}

// Close forgets every key and releases the state file. The state was saved by
// the commands that changed it, so nothing is written. A second Close does
// nothing.
func (t *TPM) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	t.closed = true
	t.reset()
	t.nv = nvState{}
	if t.unlock == nil {
		return nil
	}
	return t.unlock()
}

// Format keeps keys out of logs, whatever the verb.
func (t *TPM) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "softtpm.TPM{...}") }

// random gives n random bytes. crypto/rand.Read never fails (it ends the
// process if the system has no randomness).
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}
