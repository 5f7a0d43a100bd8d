package main

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/linuxudstpm"
	"github.com/google/go-tpm/tpm2/transport/tcp"
)

func start(t *testing.T, tpm transport.TPM) {
	t.Helper()
	_, err := tpm2.Startup{StartupType: tpm2.TPMSUClear}.Execute(tpm)
	ok(t, err)
}

// storageRoot is the Name of the storage root key, which tells TPMs apart.
func storageRoot(t *testing.T, tpm transport.TPM) string {
	t.Helper()
	r, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(tpm)
	ok(t, err)
	_, err = tpm2.FlushContext{FlushHandle: r.ObjectHandle}.Execute(tpm)
	ok(t, err)
	return string(r.Name.Buffer)
}

// One state is the same TPM, whatever the framing and the socket.
func TestServeBothFramings(t *testing.T) {
	dir := t.TempDir()
	state := filepath.Join(dir, "state")

	first := serving(t, "--state", state, "--listen", "unix:"+filepath.Join(dir, "s"))
	if !strings.Contains(first.What, "emulated") || !strings.Contains(first.What, "memory") {
		t.Errorf("it calls itself %q", first.What)
	}
	if first.Started {
		t.Error("a TPM without an authority says that it was started")
	}
	uds, err := linuxudstpm.Open(filepath.Join(dir, "s"))
	ok(t, err)
	start(t, uds)
	name := storageRoot(t, uds)
	ok(t, uds.Close())
	ok(t, first.end(t))

	second := serving(t, "--state", state, "--framing", "mssim", "--listen", "tcp:127.0.0.1:0")
	sim, err := tcp.Open(tcp.Config{CommandAddress: strings.TrimPrefix(second.Commands, "tcp:"), PlatformAddress: strings.TrimPrefix(second.Control, "tcp:")})
	ok(t, err)
	start(t, sim)
	if storageRoot(t, sim) != name {
		t.Error("another TPM after the restart")
	}
	ok(t, sim.Close())
	ok(t, second.end(t))
}

// The end that a client asks for is orderly, and the sockets are gone.
func TestServeStoppedByClient(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	s := serving(t, "--listen", "unix:"+path)
	c, err := net.Dial("unix", path+".ctrl")
	ok(t, err)
	defer func() { _ = c.Close() }()
	_, err = c.Write([]byte{0, 0, 0, 3}) // CMD_SHUTDOWN
	ok(t, err)
	_, err = io.ReadFull(c, make([]byte, 4))
	ok(t, err)
	if err := <-s.ended; err != nil {
		t.Errorf("softtpm serve: %v", err)
	}
	s.ended <- nil // for the clean-up
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func TestServeRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	ok(t, os.WriteFile(file, []byte("mine"), 0o600))
	taken := serving(t, "--state", filepath.Join(dir, "state"), "--listen", "unix:"+filepath.Join(dir, "s"))
	for want, args := range map[string][]string{
		"must be a loopback one":     {"--listen", "tcp:0.0.0.0:0"},
		"whoever connects owns":      {"--listen", "tcp:example.test:2321"},
		"the port must be a number":  {"--listen", "tcp:127.0.0.1:65535"},
		"unix:PATH or tcp:HOST:PORT": {"--listen", "127.0.0.1:2321"},
		"names no path":              {"--listen", "unix:"},
		"is no socket":               {"--listen", "unix:" + file},
		"is served by another":       {"--listen", taken.Commands},
		"is not swtpm or mssim":      {"--framing", "tis"},
		"in use by another process":  {"--state", filepath.Join(dir, "state"), "--listen", "tcp:127.0.0.1:0"},
	} {
		if _, err := run(t, append([]string{"serve"}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "mine" {
		t.Errorf("the file was touched: %q, %v", b, err)
	}
}

// A socket that a killed server left does not keep the next one from serving.
func TestServeOverStaleSocket(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	ok(t, err)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	ok(t, l.Close())
	s := serving(t, "--listen", "unix:"+path)
	info, err := os.Stat(path)
	ok(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the socket has mode %#o", info.Mode().Perm())
	}
	ok(t, s.end(t))
}

func TestReadyMessageForPeople(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- serve(ctx, w, io.Discard, serveFlags{listen: "tcp:localhost:0", framing: "mssim", log: "off"})
		_ = w.Close()
	}()
	b := make([]byte, 4096)
	n, err := r.Read(b)
	ok(t, err)
	go func() { _, _ = io.Copy(io.Discard, r) }()
	for _, want := range []string{"an emulated TPM, no hardware", "export TPM2TOOLS_TCTI=mssim:host=127.0.0.1,port=", "thrown away at the end"} {
		if !strings.Contains(string(b[:n]), want) {
			t.Errorf("%q is not in\n%s", want, b[:n])
		}
	}
	cancel()
	ok(t, <-ended)
}
