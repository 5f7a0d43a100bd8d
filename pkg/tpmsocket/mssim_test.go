package tpmsocket_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport/tcp"
	"github.com/lockstep-sso/lockstep/pkg/tpmsocket"
)

func TestMSSIMClient(t *testing.T) {
	v := serve(t, tpmsocket.Config{Framing: tpmsocket.MSSIM}, "tcp")
	tpm, err := tcp.Open(tcp.Config{CommandAddress: v.commands.String(), PlatformAddress: v.control.String()})
	ok(t, err)
	defer func() { _ = tpm.Close() }()
	ok(t, tpm.PowerOn()) // it is on: no power cycle
	ok(t, startup(tpm))
	ok(t, tpm.PowerOn())
	ok(t, randomly(tpm))
	ok(t, tpm.Reset())
	wantRC(t, "after a reset", randomly(tpm), tpm2.TPMRCInitialize)
	ok(t, startup(tpm))
	ok(t, tpm.PowerOff())
	if err := randomly(tpm); !errors.Is(err, tcp.ErrEmptyResponse) {
		t.Errorf("without power: %v", err)
	}
	ok(t, tpm.Reset()) // does nothing without power
	if err := randomly(tpm); !errors.Is(err, tcp.ErrEmptyResponse) {
		t.Errorf("without power: %v", err)
	}
	ok(t, tpm.PowerOn())
	wantRC(t, "after power on", randomly(tpm), tpm2.TPMRCInitialize)
	if got := ask(t, dial(t, v.control), words(30), 4); !bytes.Equal(got, words(0)) {
		t.Errorf("failure mode: %x", got)
	}
	wantRC(t, "in failure mode", randomly(tpm), tpm2.TPMRCFailure)
	ok(t, tpm.Reset())
	ok(t, startup(tpm))
}

func TestMSSIMMessages(t *testing.T) {
	v := serve(t, tpmsocket.Config{Framing: tpmsocket.MSSIM}, "tcp")
	c := dial(t, v.commands)
	if got, want := ask(t, c, words(15, 1), 12), words(1, 5, 0); !bytes.Equal(got, want) {
		t.Errorf("handshake: %x, want %x", got, want)
	}
	command := append([]byte{0x80, 1}, words(10, 0x17b)...)
	inLocality := func(l byte) []byte { return append(append(append(words(8), l), words(10)...), command...) }
	refused := func(code uint32) []byte {
		return append(append(append(words(10), 0x80, 1), words(10, code)...), words(0)...)
	}
	if got, want := ask(t, c, inLocality(0), 18), refused(0x100); !bytes.Equal(got, want) {
		t.Errorf("before Startup: %x, want %x", got, want)
	}
	if got, want := ask(t, c, inLocality(1), 18), refused(0x907); !bytes.Equal(got, want) {
		t.Errorf("in locality 1: %x, want %x", got, want)
	}
	for name, send := range map[string][]byte{
		"the end of a session": words(20),
		"no message":           words(99),
		"too large":            append(append(words(8), 0), words(tpmsocket.MaxMessage+1)...),
	} {
		if got := ask(t, dial(t, v.commands), send, 1); len(got) != 0 {
			t.Errorf("%s: %x", name, got)
		}
	}
	p := dial(t, v.control)
	for code, want := range map[uint32]uint32{1: 0, 11: 0, 12: 0, 4: 0, 9: 0, 10: 0, 3: 1, 99: 1} {
		if got := ask(t, p, words(code), 4); !bytes.Equal(got, words(want)) {
			t.Errorf("platform message %d: %x, want %d", code, got, want)
		}
	}
	_, err := p.Write(words(21))
	ok(t, err)
	if err := v.wait(t); !errors.Is(err, tpmsocket.ErrStopped) {
		t.Errorf("Serve returned %v", err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the other connection: %v", err)
	}
}
