package device

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

const (
	headerSize = 10
	// tagOldFamily leads the answers of a TPM 1.2 (TPM_TAG_RSP_COMMAND). A TPM 2.0
	// uses it only for a command with a wrong tag, which is never sent here
	// (TCG Part 2, TPM_ST_RSP_COMMAND).
	tagOldFamily = 0x00C4

	// retryFirst is the pause before the second attempt at a TPM that is down; it
	// doubles up to retryMost.
	retryFirst = 250 * time.Millisecond
	retryMost  = 30 * time.Second
	// stable is how long a connection must last for its end to count as the first
	// failure again.
	stable = 10 * time.Second

	// commandTime bounds one command, and makeTime one that makes a key: an RSA key
	// takes the slowest TPMs some tens of seconds.
	commandTime = 20 * time.Second
	makeTime    = 120 * time.Second
)

var (
	errClosed = errors.New("the TPM was closed")
	// ErrOldFamily is the answer of a TPM 1.2.
	ErrOldFamily = errors.New("it answers as a TPM 1.2: only TPM 2.0 is used")
)

// wire is one connection to a TPM. After an error it is closed and not used again:
// the two ends may disagree about where an answer begins.
type wire interface {
	// exchange sends one command and gives its whole answer, or an error after limit.
	exchange(command []byte, limit time.Duration) ([]byte, error)
	io.Closer
}

type dialer func(context.Context) (wire, error)

// notSentError is a command that surely did not reach a TPM, so that it is safe to
// do the work again.
type notSentError struct{ cause error }

func (e *notSentError) Error() string { return e.cause.Error() }
func (e *notSentError) Unwrap() error { return e.cause }

// NotSent reports that the command had no effect.
func (e *notSentError) NotSent() bool { return true }

var _ transport.TPM = (*Link)(nil)

// Link is the way to a TPM outside this process. When it breaks, the next command
// dials, or starts the TPM, again: at once the first time, then after a pause that
// grows. A command that may have been executed is never sent again; its caller
// gets the error.
type Link struct {
	dial  dialer
	now   func() time.Time
	epoch atomic.Uint64

	mu       sync.Mutex
	wire     wire
	dialled  time.Time
	failures int
	notYet   time.Time
	last     error
	closed   bool
}

func newLink(dial dialer, now func() time.Time) *Link { return &Link{dial: dial, now: now} }

// Epoch changes whenever the link broke. What the TPM kept for the agent before,
// handles and sessions, is then gone or, worse, belongs to something else.
func (l *Link) Epoch() uint64 { return l.epoch.Load() }

// Send sends one command.
func (l *Link) Send(command []byte) ([]byte, error) {
	if len(command) < headerSize {
		return nil, &notSentError{errors.New("command is shorter than its header")}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.connect(); err != nil {
		return nil, &notSentError{err}
	}
	out, err := l.wire.exchange(command, limit(tpm2.TPMCC(binary.BigEndian.Uint32(command[6:]))))
	if err != nil {
		l.broke(err)
		return nil, err
	}
	if binary.BigEndian.Uint16(out) == tagOldFamily {
		return nil, ErrOldFamily
	}
	return out, nil
}

// limit is how long a command may take.
func limit(cc tpm2.TPMCC) time.Duration {
	switch cc {
	case tpm2.TPMCCCreate, tpm2.TPMCCCreatePrimary, tpm2.TPMCCCreateLoaded, tpm2.TPMCCClear:
		return makeTime
	}
	return commandTime
}

func (l *Link) connect() error {
	if l.closed {
		return errClosed
	}
	if l.wire != nil {
		return nil
	}
	if wait := l.notYet.Sub(l.now()); wait > 0 {
		return fmt.Errorf("the TPM is down, tried again in %v: %w", wait.Round(time.Millisecond), l.last)
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialTime)
	defer cancel()
	w, err := l.dial(ctx)
	if err != nil {
		l.failed(err)
		return err
	}
	l.wire, l.dialled = w, l.now()
	return nil
}

// broke gives up a connection.
func (l *Link) broke(err error) {
	_ = l.wire.Close() // it is broken: its own error says no more
	l.wire = nil
	l.epoch.Add(1)
	if l.now().Sub(l.dialled) >= stable {
		l.failures = 0
	}
	l.failed(err)
}

// failed counts a failure and sets the pause after it: none after the first.
func (l *Link) failed(err error) {
	l.last = err
	wait := time.Duration(0)
	if l.failures > 0 {
		wait = min(retryFirst<<min(l.failures-1, 16), retryMost)
	}
	l.failures++
	l.notYet = l.now().Add(wait)
}

// Close ends the link. A second Close does nothing.
func (l *Link) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.wire == nil {
		return nil
	}
	w := l.wire
	l.wire = nil
	return w.Close()
}
