package tpmsocket

import (
	"errors"
	"fmt"
)

// headerSize is the size of a TPM command or response header: tag, size, code.
const headerSize = 10

// Requests of swtpm's control channel: a 32-bit code and, for some, a body.
const (
	ctlCapability       = 1
	ctlInit             = 2
	ctlShutdown         = 3
	ctlEstablished      = 4
	ctlSetLocality      = 5
	ctlCancel           = 9
	ctlResetEstablished = 11
	ctlStop             = 14
	ctlConfig           = 15
	ctlBufferSize       = 17
)

// Results of the control channel, which are TPM 1.2's.
const (
	ctlOK           = 0
	ctlBadParameter = 3
	ctlFail         = 9
	ctlBadOrdinal   = 10
	ctlBadLocality  = 0x3d
)

// ctlCapabilities says which requests are served: init, shutdown, established,
// locality, cancel, reset of established, stop, config, buffer size.
const ctlCapabilities = 1<<0 | 1<<1 | 1<<2 | 1<<3 | 1<<5 | 1<<7 | 1<<10 | 1<<11 | 1<<13

// maxControl is the size of the largest request that swtpm knows and this
// server reads, in bytes.
const maxControl = 64

// swtpmCommand serves one command. Its header tells where it ends.
func (s *Server) swtpmCommand(c *conn) error {
	var head [headerSize]byte
	if err := c.first(head[:]); err != nil {
		return err
	}
	size := be.Uint32(head[2:])
	if size < headerSize || size > MaxMessage {
		// Where the next command begins cannot be known, so there is none.
		return errors.Join(fmt.Errorf("a command of %d bytes", size), c.answer(refusal(rcCommandSize)))
	}
	cmd := make([]byte, size)
	copy(cmd, head[:])
	if err := c.rest(cmd[headerSize:]); err != nil {
		return err
	}
	rsp, err := s.dev.command(cmd)
	if err != nil {
		return err
	}
	return c.answer(rsp)
}

// swtpmControl serves one request of the control channel. A request has no
// length: it is what one read gives, after the bytes that its code demands.
func (s *Server) swtpmControl(c *conn) error {
	var buf [maxControl]byte
	if err := c.first(buf[:1]); err != nil {
		return err
	}
	n, err := c.some(buf[1:], 3)
	if err != nil {
		return err
	}
	n++
	code := be.Uint32(buf[:])
	if need := 4 + bodySize(code); n < need {
		more, err := c.some(buf[n:], need-n)
		if err != nil {
			return err
		}
		n += more
	}
	rsp, end := s.control(code, buf[4:n])
	if err := c.answer(rsp); err != nil {
		return err
	}
	return end
}

// bodySize is the least that follows the code of a request.
func bodySize(code uint32) int {
	switch code {
	case ctlInit, ctlBufferSize:
		return 4
	case ctlSetLocality, ctlResetEstablished:
		return 1
	}
	return 0
}

// control acts on a request. The error is ErrStopped for the one that ends the
// server.
func (s *Server) control(code uint32, body []byte) (rsp []byte, end error) {
	need := bodySize(code)
	if len(body) < need || len(body) > 4 || need == 0 && len(body) > 0 {
		return words(ctlBadParameter), nil
	}
	switch code {
	case ctlCapability:
		return words(0, ctlCapabilities), nil
	case ctlInit: // its flag asks for volatile state to be thrown away, and it always is
		return words(result(s.dev.cycle())), nil
	case ctlShutdown:
		return words(ctlOK), ErrStopped
	case ctlEstablished, ctlConfig: // no dynamic launch was ever measured; no file is encrypted
		return words(ctlOK, 0), nil
	case ctlSetLocality, ctlResetEstablished:
		if body[0] != 0 { // commands reach the TPM without a locality, which is locality 0
			return words(ctlBadLocality), nil
		}
		return words(ctlOK), nil
	case ctlCancel: // as a TPM may, the command is finished rather than cancelled
		return words(ctlOK), nil
	case ctlStop:
		s.dev.fail()
		return words(ctlOK), nil
	case ctlBufferSize: // result, size, smallest, largest: it cannot be changed
		return words(ctlOK, MaxMessage, MaxMessage, MaxMessage), nil
	}
	return words(ctlBadOrdinal), nil
}

func result(err error) uint32 {
	if err != nil {
		return ctlFail
	}
	return ctlOK
}

// words are 32-bit numbers on the wire.
func words(w ...uint32) []byte {
	var b []byte
	for _, v := range w {
		b = be.AppendUint32(b, v)
	}
	return b
}
