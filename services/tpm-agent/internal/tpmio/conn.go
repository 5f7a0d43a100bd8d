package tpmio

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

const (
	// resends bounds how often one command is sent again.
	resends = 5
	// resendWait is the pause before the first resend; it doubles.
	resendWait = 10 * time.Millisecond
)

var (
	errShortCommand = errors.New("tpm command is shorter than its header")
	errShortAnswer  = errors.New("the answer is shorter than its header")
	errReset        = errors.New("it broke during this work, and what was in the TPM is gone")
)

// Conn is the TPM in the hands of a running job. It is a go-tpm transport, and good
// for that job only.
type Conn struct {
	owner *Owner
	epoch uint64
	asked time.Time
	// sent is how many commands reached the TPM.
	sent int
	// inFull keeps the reaction to a full TPM from itself.
	inFull bool
	// failed is the last response code that was not success, and of which command.
	failed     tpm2.TPMRC
	failedCode tpm2.TPMCC
}

var _ transport.TPM = (*Conn)(nil)

// Epoch changes when the link to the TPM broke. Whoever keeps handles compares it
// at the start of a job, and forgets them all when it is another.
func (c *Conn) Epoch() uint64 { return c.epoch }

// unsent reports that the job did nothing, because the link had broken before.
func (c *Conn) unsent(err error) bool {
	var link *LinkError
	return c.sent == 0 && errors.As(err, &link) && link.NotSent() && c.owner.epoch() != c.epoch
}

// Send sends one command, again when the TPM says that it should be. Once the link
// broke, no further command of the job leaves: its handles mean nothing to the TPM
// that answers next.
func (c *Conn) Send(command []byte) ([]byte, error) {
	if len(command) < headerSize {
		return nil, errShortCommand
	}
	resp, err := c.sendAgain(command)
	if err != nil || classOf(code(resp)) != Resource || c.inFull {
		return resp, err
	}
	if !c.makeRoom(tpm2.TPMCC(binary.BigEndian.Uint32(command[6:]))) {
		return resp, nil
	}
	return c.sendAgain(command)
}

// makeRoom frees what the agent itself keeps in the TPM.
func (c *Conn) makeRoom(cc tpm2.TPMCC) bool {
	c.inFull = true
	defer func() { c.inFull = false }()
	made := false
	if cc == tpm2.TPMCCStartAuthSession {
		made = c.owner.bus.flush(c)
	}
	if full := c.owner.full.Load(); full != nil {
		(*full)(c)
		made = true
	}
	return made
}

func (c *Conn) sendAgain(command []byte) ([]byte, error) {
	wait := resendWait
	for try := 0; ; try++ {
		resp, err := c.sendOnce(command, try > 0)
		if err != nil || try == resends || classOf(code(resp)) != Again {
			return resp, err
		}
		time.Sleep(wait)
		wait *= 2
	}
}

func (c *Conn) sendOnce(command []byte, again bool) ([]byte, error) {
	o, cc := c.owner, tpm2.TPMCC(binary.BigEndian.Uint32(command[6:]))
	if o.epoch() != c.epoch {
		return nil, &LinkError{errReset, true}
	}
	begun := time.Now()
	o.dog.watch(cc, begun)
	resp, err := o.tpm.Send(command)
	o.dog.unwatch()
	took := time.Since(begun)
	if err == nil && len(resp) < headerSize {
		err = errShortAnswer
	}
	var link *LinkError
	class := OK
	if err != nil {
		link = linkError(err)
		class = Link
		o.bus.forget()
	} else if rc := code(resp); rc != tpm2.TPMRCSuccess {
		c.failed, c.failedCode = rc, cc
		class = classOf(rc)
		o.bus.failed(rc)
	}
	if link == nil || !link.notSent {
		c.sent++
	}
	wait := time.Duration(-1)
	if !c.asked.IsZero() {
		wait, c.asked = begun.Sub(c.asked), time.Time{}
	}
	o.record(cc, class, wait, took, again)
	if link != nil {
		return nil, link
	}
	return resp, nil
}

// code is the response code of an answer.
func code(resp []byte) tpm2.TPMRC { return tpm2.TPMRC(binary.BigEndian.Uint32(resp[6:])) }

// Sweep flushes every object and session in the TPM's slots that is not in keep:
// what an agent that died left behind. It is for a TPM that this agent has to
// itself, which a resource manager makes of a shared one.
func (c *Conn) Sweep(keep ...tpm2.TPMHandle) error {
	c.owner.bus.forget()
	for _, first := range []tpm2.TPMHandle{transientFirst, sessionFirst} {
		r, err := tpm2.GetCapability{Capability: tpm2.TPMCapHandles, Property: uint32(first), PropertyCount: maxHandles}.Execute(c)
		if err != nil {
			return err
		}
		list, err := r.CapabilityData.Data.Handles()
		if err != nil {
			return err
		}
		for _, h := range list.Handle {
			if !slices.Contains(keep, h) {
				if err := c.Flush(h); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

const (
	// The first handles of transient objects and of loaded sessions (Part 2, 7.2).
	transientFirst = 0x80000000
	sessionFirst   = 0x02000000
	// maxHandles is how many handles one GetCapability may list.
	maxHandles = 254
)
