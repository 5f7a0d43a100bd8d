package tpmsocket

import (
	"encoding/binary"
	"errors"
	"sync"
)

// Response codes that stand for a TPM that cannot answer itself (TCG Part 2,
// 6.6.3).
const (
	rcFailure     = 0x101 // the TPM is in failure mode
	rcCommandSize = 0x142 // the size in the header cannot be
	rcLocality    = 0x907 // not from this locality
)

var errNoPower = errors.New("tpmsocket: this TPM's power cannot be cycled")

// device is the TPM with its power switch. Its zero state is switched on, as a
// TPM is that was just made.
type device struct {
	mu      sync.Mutex
	tpm     TPM
	power   Power
	off     bool
	failing bool
}

// command runs a command, one at a time. The response is nil when the power is
// off.
func (d *device) command(cmd []byte) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return nil, nil
	}
	if d.failing {
		return refusal(rcFailure), nil
	}
	rsp, err := d.tpm.Send(cmd)
	if err == nil && (len(rsp) < headerSize || len(rsp) > MaxMessage) {
		return nil, errors.New("tpmsocket: the TPM gave a response of impossible size")
	}
	return rsp, err
}

// fail brings the TPM into failure mode until the next power cycle.
func (d *device) fail() {
	d.mu.Lock()
	d.failing = true
	d.mu.Unlock()
}

// powerOff lets no command through until the power is on again.
func (d *device) powerOff() {
	d.mu.Lock()
	d.off = true
	d.mu.Unlock()
}

// powerOn ends powerOff with a power cycle; it does nothing when the power is on.
func (d *device) powerOn() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.off {
		return nil
	}
	return d.cycleLocked()
}

// reset cycles the power when it is on; without power there is nothing to reset.
func (d *device) reset() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return nil
	}
	return d.cycleLocked()
}

// cycle switches the power off, if it is on, and on.
func (d *device) cycle() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cycleLocked()
}

func (d *device) cycleLocked() error {
	if d.power == nil {
		return errNoPower
	}
	if err := d.power.PowerCycle(); err != nil {
		return err
	}
	d.off, d.failing = false, false
	return nil
}

// refusal is a response without parameters.
func refusal(code uint32) []byte {
	b := binary.BigEndian.AppendUint16(nil, 0x8001) // TPM_ST_NO_SESSIONS
	b = binary.BigEndian.AppendUint32(b, headerSize)
	return binary.BigEndian.AppendUint32(b, code)
}
