package tpmio

import (
	"encoding/binary"

	"github.com/google/go-tpm/tpm2"
)

// MaxBuffer bounds the data of one command, in bytes (TPM2B_MAX_BUFFER).
const MaxBuffer = 1024

// HMACLong is HMAC-SHA256 of a message of any length under a key in a slot. One that
// is longer than 1,024 bytes takes a sequence, which needs a free slot.
func (c *Conn) HMACLong(key tpm2.TPMHandle, auth, message []byte) ([]byte, error) {
	if len(message) <= MaxBuffer {
		return c.HMAC(key, auth, message)
	}
	sequence, err := c.startHMAC(key, auth)
	if err != nil {
		return nil, err
	}
	for len(message) > MaxBuffer {
		cmd := newCommand(tagSessions, tpm2.TPMCCSequenceUpdate)
		cmd.u32(uint32(sequence))
		cmd.password(nil)
		cmd.sized(message[:MaxBuffer])
		if _, err := cmd.send(c); err != nil {
			_ = c.Flush(sequence)
			return nil, err
		}
		message = message[MaxBuffer:]
	}
	cmd := newCommand(tagSessions, tpm2.TPMCCSequenceComplete)
	cmd.u32(uint32(sequence))
	cmd.password(nil)
	cmd.sized(message)
	cmd.u32(rhNull)
	resp, err := cmd.send(c)
	if err != nil {
		_ = c.Flush(sequence)
		return nil, err
	}
	return sizedAt(resp, 4)
}

func (c *Conn) startHMAC(key tpm2.TPMHandle, auth []byte) (tpm2.TPMHandle, error) {
	cmd := newCommand(tagSessions, tpm2.TPMCCHMACStart)
	cmd.u32(uint32(key))
	cmd.password(auth)
	cmd.sized(nil) // no authorisation value for the sequence: it lives in this job only
	cmd.u16(algSHA256)
	resp, err := cmd.send(c)
	if err != nil {
		return 0, err
	}
	return handleAt(resp)
}

// SetLockoutParameters sets the defence against guessing, with the authorisation
// value of the lockout (Part 3, DictionaryAttackParameters). Times in seconds.
func (c *Conn) SetLockoutParameters(auth []byte, tries, recovery, lockoutRecovery uint32) error {
	cmd := newCommand(tagSessions, ccLockoutParameters)
	cmd.u32(uint32(tpm2.TPMRHLockout))
	cmd.password(auth)
	for _, v := range []uint32{tries, recovery, lockoutRecovery} {
		cmd.b = binary.BigEndian.AppendUint32(cmd.b, v)
	}
	_, err := cmd.send(c)
	return err
}

// ccLockoutParameters is TPM2_DictionaryAttackParameters, which go-tpm 0.9.8 has no
// name for.
const ccLockoutParameters tpm2.TPMCC = 0x13a
