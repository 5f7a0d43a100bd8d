// Package tpmfront is the side of the stand-in that stands before a TPM: it takes the
// commands of a tpm-agent on a socket, lets the rules of pkg/tpmfault strike them, and hands
// the others on to the socket of the TPM.
//
// It knows nothing of a command but what the rules look at. Who may connect is the socket's
// to say, as at the TPM itself: it is one of the machine, for its own user.
// The door of the stand-in calls it.
package tpmfront

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/fault"
	"github.com/lockstep-sso/lockstep/pkg/tpmfault"
	"github.com/lockstep-sso/lockstep/pkg/tpmsocket"
)

// commandTime bounds one command of the TPM below: making an RSA key takes longest.
const commandTime = 5 * time.Minute

// Config is what a Front needs.
type Config struct {
	// Listener is the socket at which the agent finds a TPM.
	Listener net.Listener
	// Dial connects to the TPM, which takes commands as swtpm does.
	Dial func(context.Context) (net.Conn, error)
	Log  *slog.Logger
}

// Front is a TPM that fails by rules. It serves from New to Close.
type Front struct {
	tpm   *tpmfault.TPM
	below *socket
	stop  context.CancelFunc
	done  chan error

	mu sync.Mutex
	// of has for each rule of the stand-in how many rules of the TPM it is.
	of []int
}

// New serves a TPM without rules.
func New(cfg Config) (*Front, error) {
	if cfg.Listener == nil || cfg.Dial == nil {
		return nil, errors.New("tpm front: Listener and Dial are both needed")
	}
	f := &Front{below: &socket{dial: cfg.Dial}, done: make(chan error, 1)}
	var err error
	if f.tpm, err = tpmfault.New(tpmfault.Config{Below: f.below}); err != nil {
		return nil, err
	}
	server, err := tpmsocket.New(tpmsocket.Config{TPM: f.tpm, Framing: tpmsocket.SWTPM, Log: cfg.Log})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	f.stop = stop
	go func() { f.done <- server.Serve(ctx, cfg.Listener, nil) }()
	return f, nil
}

// Can says why a rule can break nothing here; nil is that it can.
func (f *Front) Can(r fault.Rule) error {
	if r.Action != fault.TPM {
		return fmt.Errorf("before a TPM rules are as (tpm \"Sign:gone\"), not %s", r)
	}
	_, err := tpmfault.Parse(r.TPM)
	return err
}

// Set takes the rules for the TPM out of all rules, in the place of those before.
func (f *Front) Set(rules fault.Rules) error {
	var all []tpmfault.Rule
	of := make([]int, len(rules))
	for i, r := range rules {
		if r.Action != fault.TPM {
			continue
		}
		some, err := tpmfault.Parse(r.TPM)
		if err != nil {
			return err
		}
		of[i] = len(some)
		all = append(all, some...)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.of = of
	return f.tpm.Set(all...)
}

// Hits is how often the nth rule struck.
func (f *Front) Hits(n int) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	hits, at := f.tpm.Hits(), 0
	var sum uint64
	for i, count := range f.of {
		for range count {
			if i == n && at < len(hits) {
				sum += uint64(hits[at])
			}
			at++
		}
	}
	return sum
}

// Close ends serving and every connection.
func (f *Front) Close() error {
	f.stop()
	return errors.Join(<-f.done, f.below.Close())
}

// socket is the TPM below. One command is on it at a time.
type socket struct {
	dial func(context.Context) (net.Conn, error)
	mu   sync.Mutex
	conn net.Conn
}

const headerSize = 10

// Send runs one command. A connection on which something went wrong is not used again; the
// next command makes a new one.
func (s *socket) Send(command []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), commandTime)
	defer cancel()
	if s.conn == nil {
		var err error
		if s.conn, err = s.dial(ctx); err != nil {
			return nil, fmt.Errorf("the TPM behind the stand-in: %w", err)
		}
	}
	answer, err := exchange(s.conn, command)
	if err != nil {
		_ = s.conn.Close()
		s.conn = nil
		return nil, fmt.Errorf("the TPM behind the stand-in: %w", err)
	}
	return answer, nil
}

func exchange(c net.Conn, command []byte) ([]byte, error) {
	if err := c.SetDeadline(time.Now().Add(commandTime)); err != nil {
		return nil, err
	}
	if _, err := c.Write(command); err != nil {
		return nil, err
	}
	head := make([]byte, headerSize)
	if _, err := io.ReadFull(c, head); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[2:])
	if size < headerSize || size > tpmsocket.MaxMessage {
		return nil, fmt.Errorf("an answer of %d bytes", size)
	}
	answer := make([]byte, size)
	copy(answer, head)
	_, err := io.ReadFull(c, answer[headerSize:])
	return answer, err
}

// Close ends the connection to the TPM.
func (s *socket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return nil
	}
	err := s.conn.Close()
	s.conn = nil
	return err
}
