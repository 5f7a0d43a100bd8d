package tpmsocket_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
	"github.com/lockstep-sso/lockstep/pkg/tpmsocket"
)

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// served is a TPM behind two sockets.
type served struct {
	tpm               *softtpm.TPM
	commands, control net.Addr
	ended             chan error
	cancel            context.CancelFunc
}

// serve serves a TPM in software until the test ends.
func serve(t *testing.T, cfg tpmsocket.Config, network string) *served {
	t.Helper()
	tpm, err := softtpm.New(softtpm.Config{})
	ok(t, err)
	if cfg.TPM == nil {
		cfg.TPM = tpm
	}
	cfg.Power = tpm
	s, err := tpmsocket.New(cfg)
	ok(t, err)
	listen := func(name string) net.Listener {
		address := "127.0.0.1:0"
		if network == "unix" {
			address = filepath.Join(t.TempDir(), name)
		}
		l, err := net.Listen(network, address)
		ok(t, err)
		return l
	}
	commands, control := listen("s"), listen("c")
	ctx, cancel := context.WithCancel(context.Background())
	v := &served{tpm, commands.Addr(), control.Addr(), make(chan error, 1), cancel}
	go func() { v.ended <- s.Serve(ctx, commands, control) }()
	t.Cleanup(func() {
		cancel()
		_ = v.wait(t)
		_ = tpm.Close()
	})
	return v
}

// wait gives what Serve returned; it may be called more than once.
func (v *served) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-v.ended:
		v.ended <- err
		return err
	case <-time.After(30 * time.Second):
		t.Fatal("Serve did not return")
		return nil
	}
}

func dial(t *testing.T, a net.Addr) net.Conn {
	t.Helper()
	c, err := net.Dial(a.Network(), a.String())
	ok(t, err)
	ok(t, c.SetDeadline(time.Now().Add(30*time.Second)))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// ask sends bytes and reads as many as expected; fewer is the end of the stream.
func ask(t *testing.T, c net.Conn, send []byte, expect int) []byte {
	t.Helper()
	_, err := c.Write(send)
	ok(t, err)
	b := make([]byte, expect)
	n, err := io.ReadFull(c, b)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	return b[:n]
}

func words(w ...uint32) []byte {
	var b []byte
	for _, v := range w {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

// kept is the swtpm framing over one connection.
type kept struct{ net.Conn }

func (k kept) Send(cmd []byte) ([]byte, error) {
	if _, err := k.Write(cmd); err != nil {
		return nil, err
	}
	h := make([]byte, 10)
	if _, err := io.ReadFull(k, h); err != nil {
		return nil, err
	}
	rsp := make([]byte, binary.BigEndian.Uint32(h[2:]))
	copy(rsp, h)
	_, err := io.ReadFull(k, rsp[10:])
	return rsp, err
}

func startup(tpm transport.TPM) error {
	_, err := tpm2.Startup{StartupType: tpm2.TPMSUClear}.Execute(tpm)
	return err
}

func randomly(tpm transport.TPM) error {
	_, err := tpm2.GetRandom{BytesRequested: 8}.Execute(tpm)
	return err
}

func wantRC(t *testing.T, what string, err error, want tpm2.TPMRC) {
	t.Helper()
	var rc tpm2.TPMRC
	if !errors.As(err, &rc) || rc != want {
		t.Errorf("%s: %v, want %#x", what, err, uint32(want))
	}
}
