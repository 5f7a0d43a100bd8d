package device

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// maxResponse bounds an answer in bytes; TPM answers stay below 4 KiB.
	maxResponse = 8 << 10
	// commandTime bounds one command: making an RSA key in a slow TPM takes the
	// longest, some tens of seconds on the worst.
	commandTime = 60 * time.Second
)

// stream is a TPM behind a connection that is kept open: command in, then an
// answer whose header says how long it is. After any error the two ends may
// disagree about where an answer begins, so the connection is not used again.
type stream struct {
	mu     sync.Mutex
	c      net.Conn
	broken error
}

// Send sends one command.
func (s *stream) Send(command []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return nil, s.broken
	}
	out, err := s.exchange(command)
	if err != nil {
		s.broken = err
		_ = s.c.Close()
	}
	return out, err
}

func (s *stream) exchange(command []byte) ([]byte, error) {
	if err := s.c.SetDeadline(time.Now().Add(commandTime)); err != nil {
		return nil, err
	}
	if _, err := s.c.Write(command); err != nil {
		return nil, err
	}
	var head [10]byte
	if _, err := io.ReadFull(s.c, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[2:])
	if n < uint32(len(head)) || n > maxResponse {
		return nil, fmt.Errorf("answer of %d bytes", n)
	}
	out := append(make([]byte, 0, n), head[:]...)[:n]
	_, err := io.ReadFull(s.c, out[len(head):])
	return out, err
}

// packets is the kernel's device: one write a command, one read an answer.
type packets struct {
	mu sync.Mutex
	rw io.ReadWriter
}

// Send sends one command.
func (p *packets) Send(command []byte) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := p.rw.Write(command); err != nil {
		return nil, err
	}
	out := make([]byte, maxResponse)
	n, err := p.rw.Read(out)
	if err != nil {
		return nil, err
	}
	return out[:n], nil
}
