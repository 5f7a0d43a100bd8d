package tpmsocket

import (
	"fmt"
	"io"
)

// Messages of the reference simulator: on the command port,
const (
	simSendCommand = 8
	simHandshake   = 15
)

// on the platform port,
const (
	simPowerOn     = 1
	simPowerOff    = 2
	simPresenceOff = 4
	simCancelOn    = 9
	simCancelOff   = 10
	simNVOn        = 11
	simNVOff       = 12
	simCacheOn     = 13
	simCacheOff    = 14
	simReset       = 17
	simRestart     = 18
	simFailureMode = 30
)

// and on both.
const (
	simSessionEnd = 20
	simStop       = 21
)

// What the handshake answers: version 1 of the protocol, a platform port, and
// commands that pass as they are.
const (
	simVersion  = 1
	simEndpoint = 1<<0 | 1<<2
)

// Acknowledgements that end every answer but that to the end of a session.
const (
	simDone    = 0
	simRefused = 1
)

// mssimCommand serves one message of the command port.
func (s *Server) mssimCommand(c *conn) error {
	code, err := simCode(c)
	if err != nil {
		return err
	}
	switch code {
	case simSendCommand:
		return s.mssimSend(c)
	case simHandshake: // the client's version; every one there is reads on
		if _, err := c.u32(); err != nil {
			return err
		}
		return c.answer(words(simVersion, simEndpoint, simDone))
	case simSessionEnd:
		return io.EOF
	case simStop:
		return ErrStopped
	}
	return fmt.Errorf("message %d on the command port", code)
}

// mssimSend serves a command: locality, size and bytes, answered by size, bytes
// and an acknowledgement. Without power the answer is empty.
func (s *Server) mssimSend(c *conn) error {
	var locality [1]byte
	if err := c.rest(locality[:]); err != nil {
		return err
	}
	size, err := c.u32()
	if err != nil {
		return err
	}
	if size > MaxMessage {
		return fmt.Errorf("a command of %d bytes", size)
	}
	cmd := make([]byte, size)
	if err := c.rest(cmd); err != nil {
		return err
	}
	rsp := refusal(rcLocality) // commands reach the TPM in locality 0 and in no other
	if locality[0] == 0 {
		if rsp, err = s.dev.command(cmd); err != nil {
			return err
		}
	}
	out := append(words(uint32(len(rsp))), rsp...)
	return c.answer(append(out, words(simDone)...))
}

// mssimPlatform serves one message of the platform port.
func (s *Server) mssimPlatform(c *conn) error {
	code, err := simCode(c)
	if err != nil {
		return err
	}
	switch code {
	case simSessionEnd:
		return io.EOF
	case simStop:
		return ErrStopped
	case simPowerOn:
		err = s.dev.powerOn()
	case simPowerOff:
		s.dev.powerOff()
	case simReset, simRestart:
		err = s.dev.reset()
	case simFailureMode:
		s.dev.fail()
	case simCancelOn, simCancelOff, simNVOn, simNVOff, simCacheOn, simCacheOff, simPresenceOff:
		// Commands are finished rather than cancelled; the store has power when
		// the TPM has; there is no cache of keys to switch, and nobody present.
	default:
		return c.answer(words(simRefused))
	}
	if err != nil {
		s.cfg.Log.Warn("power", "error", err)
		return c.answer(words(simRefused))
	}
	return c.answer(words(simDone))
}

// simCode reads the code that a message begins with.
func simCode(c *conn) (uint32, error) {
	var b [4]byte
	err := c.first(b[:])
	return be.Uint32(b[:]), err
}
