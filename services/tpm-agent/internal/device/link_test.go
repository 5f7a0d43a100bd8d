//go:build unix

package device

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// fakeWire answers what the test says.
type fakeWire struct {
	answer func() ([]byte, error)
	closed bool
}

func (f *fakeWire) exchange([]byte, time.Duration) ([]byte, error) { return f.answer() }
func (f *fakeWire) Close() error                                   { f.closed = true; return nil }

func sent(err error) bool {
	var n interface{ NotSent() bool }
	return !errors.As(err, &n) || !n.NotSent()
}

// TestALinkIsRepaired breaks a link in the middle of a command: that command fails
// and is not sent again, the next one dials.
func TestALinkIsRepaired(t *testing.T) {
	good := []byte{0x80, 1, 0, 0, 0, 10, 0, 0, 0, 0}
	breaks, commands, dials := true, 0, 0
	var wires []*fakeWire
	l := newLink(func(context.Context) (wire, error) {
		dials++
		w := &fakeWire{answer: func() ([]byte, error) {
			commands++
			if breaks {
				return nil, io.ErrUnexpectedEOF
			}
			return good, nil
		}}
		wires = append(wires, w)
		return w, nil
	}, time.Now)
	before := l.Epoch()
	if _, err := l.Send(good); !errors.Is(err, io.ErrUnexpectedEOF) || !sent(err) || commands != 1 {
		t.Errorf("%d commands, %v", commands, err)
	}
	if l.Epoch() == before || !wires[0].closed {
		t.Error("who keeps handles does not learn that they are gone")
	}
	breaks = false
	before = l.Epoch()
	if _, err := l.Send(good); err != nil || dials != 2 || l.Epoch() != before {
		t.Errorf("%d dials, %v", dials, err)
	}
	_ = l.Close()
	if _, err := l.Send(good); err == nil || sent(err) || dials != 2 {
		t.Errorf("a closed link: %d dials, %v", dials, err)
	}
}

// TestRepairsAreBounded asks a TPM that is down all the time for an hour.
func TestRepairsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dials := 0
		l := newLink(func(context.Context) (wire, error) {
			dials++
			return nil, &net.OpError{Op: "dial", Err: os.ErrNotExist}
		}, time.Now)
		defer func() { _ = l.Close() }()
		for range 36000 {
			if _, err := l.Send(make([]byte, 12)); err == nil || sent(err) || !absent(err) {
				t.Fatalf("got %v", err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		// Every 30 seconds, after some more at the beginning.
		if dials < 120 || dials > 135 {
			t.Errorf("%d dials in an hour", dials)
		}
	})
}

// TestALinkThatLastedBeginsAnew: only failures in a row make the pause longer.
func TestALinkThatLastedBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dials, breaks := 0, false
		l := newLink(func(context.Context) (wire, error) {
			dials++
			return &fakeWire{answer: func() ([]byte, error) {
				if breaks {
					return nil, io.EOF
				}
				return make([]byte, 10), nil
			}}, nil
		}, time.Now)
		defer func() { _ = l.Close() }()
		for i := range 50 {
			breaks = false
			if _, err := l.Send(make([]byte, 12)); err != nil {
				t.Fatalf("break %d: %v", i, err)
			}
			time.Sleep(stable)
			breaks = true
			if _, err := l.Send(make([]byte, 12)); err == nil {
				t.Fatal("no break")
			}
		}
		if dials != 50 {
			t.Errorf("%d dials", dials)
		}
	})
}

// TestAnIdleBreakIsSeen: what broke before a command is told from what broke in it.
func TestAnIdleBreakIsSeen(t *testing.T) {
	for name, before := range map[string]func(net.Conn){
		"closed":         func(c net.Conn) { _ = c.Close() },
		"says something": func(c net.Conn) { _, _ = c.Write([]byte{1}) },
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs, err := socketPair()
			if err != nil {
				t.Fatal(err)
			}
			peer, err := net.FileConn(theirs)
			if err != nil {
				t.Fatal(err)
			}
			if err := theirs.Close(); err != nil {
				t.Fatal(err)
			}
			before(peer)
			s := &stream{ours}
			if _, err := s.exchange(make([]byte, 12), time.Second); err == nil || sent(err) {
				t.Errorf("got %v", err)
			}
			_, _ = s.Close(), peer.Close()
		})
	}
}
