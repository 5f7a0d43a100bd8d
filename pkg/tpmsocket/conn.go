package tpmsocket

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"
)

var be = binary.BigEndian

// conn is a connection whose reads and writes are bounded in time: a message
// may be long in coming, but once it began it has to arrive.
type conn struct {
	net.Conn
	idle, limit time.Duration
}

// first fills b with the beginning of a message. io.EOF is the end between two
// messages.
func (c *conn) first(b []byte) error {
	if err := c.SetReadDeadline(time.Now().Add(c.idle)); err != nil {
		return err
	}
	n, err := io.ReadAtLeast(c.Conn, b, 1)
	if err != nil {
		return err
	}
	if err := c.SetReadDeadline(time.Now().Add(c.limit)); err != nil {
		return err
	}
	return c.rest(b[n:])
}

// rest fills b with more of the message that first began.
func (c *conn) rest(b []byte) error {
	_, err := io.ReadFull(c.Conn, b)
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF // in the middle of a message
	}
	return err
}

// some reads what is there of a message that first began: least bytes or more.
func (c *conn) some(b []byte, least int) (int, error) { return io.ReadAtLeast(c.Conn, b, least) }

// u32 reads a 32-bit number of the message that first began.
func (c *conn) u32() (uint32, error) {
	var b [4]byte
	err := c.rest(b[:])
	return be.Uint32(b[:]), err
}

// answer writes a whole response.
func (c *conn) answer(b []byte) error {
	if err := c.SetWriteDeadline(time.Now().Add(c.limit)); err != nil {
		return err
	}
	_, err := c.Write(b)
	return err
}
