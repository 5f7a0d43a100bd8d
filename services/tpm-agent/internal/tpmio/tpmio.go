// Package tpmio owns the one TPM of the agent: every command goes through one
// goroutine, in turn, because a TPM does one thing at a time and its slots are
// few.
//
// What lives here: the queue, the resend of commands that a TPM asks to have
// again, the one session that hides secrets on the bus, the log of commands by
// code, the hot commands encoded by hand, and the classes of TPM errors with what
// each leads to. What never may: knowledge of which key is for what; package
// keystore has that, and is the only caller.
package tpmio

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

const (
	// queueLen bounds the callers that may wait in each queue; more wait outside.
	queueLen = 64
	// quickRow is how many quick jobs may pass a waiting slow one.
	quickRow = 64
)

// Owner is the goroutine that has the TPM.
type Owner struct {
	tpm transport.TPM
	// epochs tells when the link broke; nil for a TPM whose link cannot.
	epochs interface{ Epoch() uint64 }
	// quick is served before slow: a key generation of seconds must not stand
	// before the signature somebody waits for at a sign-in.
	quick, slow chan *job
	quit, done  chan struct{}

	dog dog

	full atomic.Pointer[func(*Conn)]
	told atomic.Pointer[func(tpm2.TPMCC, Class, time.Duration)]
	bus  bus // belongs to the goroutine

	mu   sync.Mutex
	log  map[tpm2.TPMCC]*CommandStats
	wait WaitStats
}

// job is work that waits for the TPM.
type job struct {
	ctx   context.Context
	do    func(*Conn) error
	done  chan error
	asked time.Time
	// taken is set by who comes first: the owner to run it, or its caller to give up.
	taken atomic.Bool
	conn  Conn
}

// New starts the owner of a TPM. Close ends it.
func New(tpm transport.TPM) *Owner {
	o := &Owner{
		tpm: tpm, quick: make(chan *job, queueLen), slow: make(chan *job, queueLen),
		quit: make(chan struct{}), done: make(chan struct{}), log: map[tpm2.TPMCC]*CommandStats{},
	}
	o.epochs, _ = tpm.(interface{ Epoch() uint64 })
	o.dog.open()
	go o.serve()
	return o
}

// Do runs f with the TPM. It waits its turn no longer than ctx lasts; once begun,
// f is not abandoned, because a TPM command cannot be called back. When the link
// to the TPM turns out to have broken before f's first command could leave, f is
// begun again, once.
func (o *Owner) Do(ctx context.Context, f func(*Conn) error) error { return o.run(ctx, o.quick, f) }

// DoSlow is Do for work that may take seconds; quick work goes first.
func (o *Owner) DoSlow(ctx context.Context, f func(*Conn) error) error { return o.run(ctx, o.slow, f) }

func (o *Owner) run(ctx context.Context, queue chan *job, f func(*Conn) error) error {
	j := &job{ctx: ctx, do: f, done: make(chan error, 1), asked: time.Now()}
	hung := *o.dog.hung.Load()
	select {
	case <-hung:
		return errHung()
	default:
	}
	select {
	case queue <- j:
	case <-hung:
		return errHung()
	case <-o.quit:
		return errStopping()
	case <-ctx.Done():
		return prterr.New(prterr.Deadline, "the TPM is busy: try again")
	}
	var gaveUp error
	select {
	case err := <-j.done:
		return err
	case <-o.done:
		gaveUp = errStopping()
	case <-hung:
		gaveUp = errHung()
	case <-ctx.Done():
		gaveUp = prterr.New(prterr.Deadline, "the TPM is busy: try again")
	}
	if j.taken.CompareAndSwap(false, true) {
		return gaveUp
	}
	return <-j.done // it has begun, so it also ends
}

func errStopping() error { return prterr.New(prterr.Unavailable, "the tpm-agent is stopping") }

func errHung() error {
	return prterr.New(prterr.TPMFailed, "the TPM hangs in a command: restart it").WithHRESULT(hresultTPMInternal)
}

func (o *Owner) serve() {
	defer close(o.done)
	row := 0
	for {
		j, ok := o.next(&row)
		if !ok {
			return
		}
		if j.taken.CompareAndSwap(false, true) {
			j.done <- o.do(j)
		}
	}
}

// next takes a job: a quick one if there is any, unless a slow one has let too many
// pass.
func (o *Owner) next(row *int) (*job, bool) {
	if *row >= quickRow {
		*row = 0
		select {
		case j := <-o.slow:
			return j, true
		default:
		}
	}
	select {
	case j := <-o.quick:
		*row++
		return j, true
	default:
	}
	select {
	case j := <-o.quick:
		*row++
		return j, true
	case j := <-o.slow:
		*row = 0
		return j, true
	case <-o.quit:
		return nil, false
	}
}

func (o *Owner) do(j *job) error {
	if err := prterr.FromContext(j.ctx); err != nil {
		return err
	}
	c := &j.conn
	*c = Conn{owner: o, epoch: o.epoch(), asked: j.asked}
	err := o.guarded(j, c)
	if c.unsent(err) {
		*c = Conn{owner: o, epoch: o.epoch(), asked: j.asked}
		err = o.guarded(j, c)
	}
	var rc tpm2.TPMRC
	if errors.As(err, &rc) && rc == c.failed {
		err = &CommandError{c.failedCode, err}
	}
	return err
}

// guarded keeps a bug in one job from taking down the component that holds the
// keys, as the RPC server does for its handlers.
func (o *Owner) guarded(j *job, c *Conn) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = prterr.New(prterr.Internal, "the tpm-agent failed: this is a bug: %v", p)
		}
	}()
	return j.do(c)
}

// epoch is the state of the link.
func (o *Owner) epoch() uint64 {
	if o.epochs == nil {
		return 0
	}
	return o.epochs.Epoch()
}

// OnFull sets what to do when the TPM's slots are full: f flushes what its owner
// keeps there and can load again, except the storage root key, and forgets it. The
// command is then sent again, once.
func (o *Owner) OnFull(f func(*Conn)) { o.full.Store(&f) }

// OnCommand has f told of each command that was sent, the class of its answer and how
// long the TPM worked on it. f must not block.
func (o *Owner) OnCommand(f func(tpm2.TPMCC, Class, time.Duration)) { o.told.Store(&f) }

// Close ends the owner after the work under way. It does not close the TPM.
func (o *Owner) Close() {
	close(o.quit)
	<-o.done
	o.dog.close()
}

// Counts is the command log: how many commands of each code were sent.
func (o *Owner) Counts() map[tpm2.TPMCC]int {
	counts := map[tpm2.TPMCC]int{}
	for cc, s := range o.Stats().Commands {
		counts[cc] = s.Count
	}
	return counts
}
