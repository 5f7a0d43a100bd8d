package tpmio

import (
	"encoding/binary"
	"errors"

	"github.com/google/go-tpm/tpm2"
)

// The commands of every request are encoded by hand: go-tpm's codec works by
// reflection and costs some 50 to 200 microseconds a command, more than an
// emulated TPM needs for the command itself. They authorise with a password,
// which for these keys is a random value that only the agent knows. On the bus to
// a chip they show that value, what is signed or derived, and the result.

const (
	tagNoSessions = 0x8001
	tagSessions   = 0x8002
	algSHA256     = 0x000B
	algNull       = 0x0010
	algRSASSA     = 0x0014
	tagHashcheck  = 0x8024
	rhNull        = 0x40000007
	headerSize    = 10
)

// errShort is an answer that ends too early.
var errShort = errors.New("tpm answer ends too early")

// command builds one command.
type command struct{ b []byte }

func newCommand(tag uint16, cc tpm2.TPMCC) *command {
	c := &command{make([]byte, 0, 512)}
	c.u16(tag)
	c.u32(0) // the size, filled in by send
	c.u32(uint32(cc))
	return c
}

func (c *command) u16(v uint16) { c.b = binary.BigEndian.AppendUint16(c.b, v) }
func (c *command) u32(v uint32) { c.b = binary.BigEndian.AppendUint32(c.b, v) }
func (c *command) sized(p []byte) {
	c.u16(uint16(len(p)))
	c.b = append(c.b, p...)
}

func (c *command) flag(v bool) {
	if v {
		c.b = append(c.b, 1)
		return
	}
	c.b = append(c.b, 0)
}

// password is the authorisation area with one password session.
func (c *command) password(auth []byte) {
	c.u32(uint32(9 + len(auth)))
	c.u32(uint32(tpm2.TPMRSPW))
	c.sized(nil)
	c.b = append(c.b, 0) // session attributes
	c.sized(auth)
}

// send returns what follows the header of a good answer.
func (c *command) send(conn *Conn) ([]byte, error) {
	binary.BigEndian.PutUint32(c.b[2:], uint32(len(c.b)))
	resp, err := conn.Send(c.b)
	clear(c.b)
	if err != nil {
		return nil, err
	}
	if rc := tpm2.TPMRC(binary.BigEndian.Uint32(resp[6:])); rc != tpm2.TPMRCSuccess {
		return nil, rc
	}
	if int(binary.BigEndian.Uint32(resp[2:])) != len(resp) {
		return nil, errShort
	}
	return resp[headerSize:], nil
}

// sizedAt reads a sized buffer at an offset.
func sizedAt(b []byte, at int) ([]byte, error) {
	if len(b) < at+2 {
		return nil, errShort
	}
	n := int(binary.BigEndian.Uint16(b[at:]))
	if len(b) < at+2+n {
		return nil, errShort
	}
	return b[at+2 : at+2+n], nil
}

// handleAt reads the handle that an answer begins with.
func handleAt(b []byte) (tpm2.TPMHandle, error) {
	if len(b) < 4 {
		return 0, errShort
	}
	return tpm2.TPMHandle(binary.BigEndian.Uint32(b)), nil
}

// Load puts a key into a slot and returns its handle. The parent has an empty
// authorisation value.
func (c *Conn) Load(parent tpm2.TPMHandle, public, private []byte) (tpm2.TPMHandle, error) {
	return c.LoadUnder(parent, nil, public, private)
}

// LoadUnder is Load for a parent with an authorisation value.
func (c *Conn) LoadUnder(parent tpm2.TPMHandle, auth, public, private []byte) (tpm2.TPMHandle, error) {
	cmd := newCommand(tagSessions, tpm2.TPMCCLoad)
	cmd.u32(uint32(parent))
	cmd.password(auth)
	cmd.sized(private)
	cmd.sized(public)
	resp, err := cmd.send(c)
	if err != nil {
		return 0, err
	}
	return handleAt(resp)
}

// Flush frees a slot.
func (c *Conn) Flush(handle tpm2.TPMHandle) error {
	cmd := newCommand(tagNoSessions, tpm2.TPMCCFlushContext)
	cmd.u32(uint32(handle))
	_, err := cmd.send(c)
	return err
}

// HMAC is HMAC-SHA256 of at most 1,024 bytes under a key in a slot.
func (c *Conn) HMAC(key tpm2.TPMHandle, auth, message []byte) ([]byte, error) {
	cmd := newCommand(tagSessions, tpm2.TPMCCHMAC)
	cmd.u32(uint32(key))
	cmd.password(auth)
	cmd.sized(message)
	cmd.u16(algSHA256)
	resp, err := cmd.send(c)
	if err != nil {
		return nil, err
	}
	return sizedAt(resp, 4)
}

// SignRSA signs a SHA-256 digest, PKCS#1 v1.5, with a key in a slot.
func (c *Conn) SignRSA(key tpm2.TPMHandle, auth, digest []byte) ([]byte, error) {
	cmd := newCommand(tagSessions, tpm2.TPMCCSign)
	cmd.u32(uint32(key))
	cmd.password(auth)
	cmd.sized(digest)
	cmd.u16(algRSASSA)
	cmd.u16(algSHA256)
	cmd.u16(tagHashcheck)
	cmd.u32(rhNull)
	cmd.sized(nil)
	resp, err := cmd.send(c)
	if err != nil {
		return nil, err
	}
	return sizedAt(resp, 8)
}
