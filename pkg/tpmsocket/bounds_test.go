package tpmsocket_test

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/tpmsocket"
)

func TestConfigRefused(t *testing.T) {
	tpm := &alone{}
	for name, cfg := range map[string]tpmsocket.Config{
		"no TPM":        {Framing: tpmsocket.SWTPM},
		"no framing":    {TPM: tpm},
		"connections":   {TPM: tpm, Framing: tpmsocket.SWTPM, Conns: -1},
		"negative time": {TPM: tpm, Framing: tpmsocket.SWTPM, Idle: -1},
	} {
		if _, err := tpmsocket.New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := tpmsocket.ParseFraming("tis"); err == nil {
		t.Error("a framing that there is not was accepted")
	}
	for _, f := range []tpmsocket.Framing{tpmsocket.SWTPM, tpmsocket.MSSIM} {
		if got, err := tpmsocket.ParseFraming(f.String()); err != nil || got != f {
			t.Errorf("%v: %v, %v", f, got, err)
		}
	}
}

// alone is a TPM that notices a second command while the first is in it.
type alone struct {
	inside atomic.Int32
	twice  atomic.Bool
	size   int
}

func (a *alone) Send([]byte) ([]byte, error) {
	if a.inside.Add(1) > 1 {
		a.twice.Store(true)
	}
	time.Sleep(time.Millisecond) // room for a second one
	a.inside.Add(-1)
	return make([]byte, a.size), nil
}

func TestT14_OneCommandAtATime(t *testing.T) {
	tpm := &alone{size: 10}
	v := serve(t, tpmsocket.Config{Framing: tpmsocket.SWTPM, TPM: tpm}, "tcp")
	var all sync.WaitGroup
	for range 8 {
		c := dial(t, v.commands)
		all.Go(func() {
			for range 10 {
				if _, err := c.Write(append([]byte{0x80, 1}, words(10, 0x17b)...)); err != nil {
					t.Error(err)
					return
				}
				if _, err := c.Read(make([]byte, 10)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if tpm.twice.Load() {
		t.Error("two commands were in the TPM at once")
	}
}

// A response that no client could frame ends the connection.
func TestImpossibleResponse(t *testing.T) {
	for _, size := range []int{0, 9, tpmsocket.MaxMessage + 1} {
		v := serve(t, tpmsocket.Config{Framing: tpmsocket.SWTPM, TPM: &alone{size: size}}, "tcp")
		if got := ask(t, dial(t, v.commands), append([]byte{0x80, 1}, words(10, 0x17b)...), 1); len(got) != 0 {
			t.Errorf("%d bytes: %x", size, got)
		}
	}
}

func TestConnectionsBounded(t *testing.T) {
	v := serve(t, tpmsocket.Config{Framing: tpmsocket.SWTPM, Conns: 2}, "tcp")
	first, second := kept{dial(t, v.commands)}, kept{dial(t, v.commands)}
	ok(t, startup(first))
	ok(t, randomly(second))
	if err := randomly(kept{dial(t, v.commands)}); err == nil {
		t.Error("a third connection was served")
	}
	ok(t, randomly(first))
	_ = second.Close()
	for randomly(kept{dial(t, v.commands)}) != nil { // the place of the second is free soon
		time.Sleep(time.Millisecond)
	}
}

// Half a message holds its place for as long as Config.Message, not as Config.Idle.
func TestHalfAMessageEnds(t *testing.T) {
	for _, f := range []tpmsocket.Framing{tpmsocket.SWTPM, tpmsocket.MSSIM} {
		v := serve(t, tpmsocket.Config{Framing: f, Message: 20 * time.Millisecond}, "tcp")
		for _, a := range []net.Addr{v.commands, v.control} {
			if got := ask(t, dial(t, a), []byte{0}, 1); len(got) != 0 {
				t.Errorf("%v: %x", f, got)
			}
		}
	}
}

func TestIdleEnds(t *testing.T) {
	v := serve(t, tpmsocket.Config{Framing: tpmsocket.SWTPM, Idle: 20 * time.Millisecond}, "tcp")
	if _, err := dial(t, v.commands).Read(make([]byte, 1)); err == nil {
		t.Error("an idle connection got something")
	}
}

// The end of the context is no error, however many clients are connected.
func TestEndOfContext(t *testing.T) {
	v := serve(t, tpmsocket.Config{Framing: tpmsocket.MSSIM}, "unix")
	c := dial(t, v.commands)
	v.cancel()
	if err := v.wait(t); err != nil {
		t.Errorf("Serve returned %v", err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the connection outlived the server")
	}
}

// A listener that fails ends the server even while a client is connected.
func TestListenerFails(t *testing.T) {
	s, err := tpmsocket.New(tpmsocket.Config{TPM: &alone{size: 10}, Framing: tpmsocket.SWTPM})
	ok(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(t.Context(), l, nil) }()
	c := dial(t, l.Addr())
	ask(t, c, append([]byte{0x80, 1}, words(10, 0x17b)...), 10)
	ok(t, l.Close())
	select {
	case err := <-ended:
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve returned %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("Serve did not return")
	}
}
