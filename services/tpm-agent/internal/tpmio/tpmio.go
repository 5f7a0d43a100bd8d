// Package tpmio owns the one TPM of the agent: every command goes through one
// goroutine, in turn, because a TPM does one thing at a time and its slots are
// few.
//
// What lives here: the queue, the resend of commands that a TPM asks to have
// again, the count of commands by code, the hot commands encoded by hand, and the
// classes of TPM errors. What never may: knowledge of which key is for what;
// package keystore has that, and is the only caller.
package tpmio

import (
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

const (
	// queueLen bounds the callers that may wait for the TPM.
	queueLen = 64
	// resends bounds how often one command is sent again.
	resends = 5
	// resendWait is the pause before the first resend; it doubles.
	resendWait = 10 * time.Millisecond
)

// Owner is the goroutine that has the TPM.
type Owner struct {
	tpm transport.TPM
	// quick is served before slow: a key generation of seconds must not stand
	// before the signature somebody waits for at a sign-in.
	quick, slow chan job
	quit, done  chan struct{}

	mu     sync.Mutex
	counts map[tpm2.TPMCC]int
}

type job struct {
	ctx  context.Context
	do   func(*Conn) error
	done chan error
}

// New starts the owner of a TPM. Close ends it.
func New(tpm transport.TPM) *Owner {
	o := &Owner{
		tpm: tpm, quick: make(chan job, queueLen), slow: make(chan job, queueLen),
		quit: make(chan struct{}), done: make(chan struct{}), counts: map[tpm2.TPMCC]int{},
	}
	go o.serve()
	return o
}

// Do runs f with the TPM. It waits its turn no longer than ctx lasts; once begun,
// f is not abandoned, because a TPM command cannot be called back.
func (o *Owner) Do(ctx context.Context, f func(*Conn) error) error { return o.run(ctx, o.quick, f) }

// DoSlow is Do for work that may take seconds; quick work goes first.
func (o *Owner) DoSlow(ctx context.Context, f func(*Conn) error) error { return o.run(ctx, o.slow, f) }

func (o *Owner) run(ctx context.Context, queue chan job, f func(*Conn) error) error {
	j := job{ctx: ctx, do: f, done: make(chan error, 1)}
	select {
	case queue <- j:
	case <-o.quit:
		return prterr.New(prterr.Unavailable, "the tpm-agent is stopping")
	case <-ctx.Done():
		return prterr.New(prterr.Deadline, "the TPM is busy: try again")
	}
	select {
	case err := <-j.done:
		return err
	case <-o.done:
		// The owner may have taken the job just before it ended.
		select {
		case err := <-j.done:
			return err
		default:
			return prterr.New(prterr.Unavailable, "the tpm-agent is stopping")
		}
	}
}

func (o *Owner) serve() {
	defer close(o.done)
	for {
		select {
		case j := <-o.quick:
			o.do(j)
			continue
		default:
		}
		select {
		case j := <-o.quick:
			o.do(j)
		case j := <-o.slow:
			o.do(j)
		case <-o.quit:
			return
		}
	}
}

func (o *Owner) do(j job) {
	if err := prterr.FromContext(j.ctx); err != nil {
		j.done <- err
		return
	}
	j.done <- o.guarded(j)
}

// guarded keeps a bug in one job from taking down the component that holds the
// keys, as the RPC server does for its handlers.
func (o *Owner) guarded(j job) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = prterr.New(prterr.Internal, "the tpm-agent failed: this is a bug: %v", p)
		}
	}()
	return j.do(&Conn{o})
}

// Close ends the owner after the work under way. It does not close the TPM.
func (o *Owner) Close() {
	close(o.quit)
	<-o.done
}

// Counts is the command log: how many commands of each code were sent.
func (o *Owner) Counts() map[tpm2.TPMCC]int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.counts)
}

// Conn is the TPM in the hands of a running job. It is a go-tpm transport.
type Conn struct{ owner *Owner }

var _ transport.TPM = (*Conn)(nil)

// Send sends one command, again when the TPM says that it should be.
func (c *Conn) Send(command []byte) ([]byte, error) {
	if len(command) < 10 {
		return nil, errors.New("tpm command is shorter than its header")
	}
	c.owner.mu.Lock()
	c.owner.counts[tpm2.TPMCC(binary.BigEndian.Uint32(command[6:]))]++
	c.owner.mu.Unlock()
	wait := resendWait
	for try := 0; ; try++ {
		resp, err := c.owner.tpm.Send(command)
		if err != nil {
			return nil, &LinkError{err}
		}
		if len(resp) < 10 {
			return nil, &LinkError{errors.New("the answer is shorter than its header")}
		}
		if try == resends || !again(tpm2.TPMRC(binary.BigEndian.Uint32(resp[6:]))) {
			return resp, nil
		}
		time.Sleep(wait)
		wait *= 2
	}
}

// again are the codes with which a TPM asks for the same command once more.
func again(rc tpm2.TPMRC) bool {
	switch rc {
	case tpm2.TPMRCRetry, tpm2.TPMRCYielded, tpm2.TPMRCTesting, tpm2.TPMRCNVRate:
		return true
	}
	return false
}
