package tpmsocket_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport/linuxudstpm"
	"github.com/lockstep-sso/lockstep/pkg/tpmsocket"
)

func TestSWTPMCommands(t *testing.T) {
	v := serve(t, tpmsocket.Config{Framing: tpmsocket.SWTPM}, "unix")
	tpm := kept{dial(t, v.commands)}
	wantRC(t, "before Startup", randomly(tpm), tpm2.TPMRCInitialize)
	ok(t, startup(tpm))
	ok(t, randomly(tpm))

	// This client opens a connection for every command.
	other, err := linuxudstpm.Open(v.commands.String())
	ok(t, err)
	for range 40 {
		ok(t, randomly(other))
	}
	ok(t, other.Close())
}

// A stop is failure mode until CMD_INIT, which is a power cycle.
func TestSWTPMPower(t *testing.T) {
	v := serve(t, tpmsocket.Config{Framing: tpmsocket.SWTPM}, "tcp")
	tpm, control := kept{dial(t, v.commands)}, dial(t, v.control)
	ok(t, startup(tpm))
	if got := ask(t, control, words(14), 4); !bytes.Equal(got, words(0)) {
		t.Fatalf("CMD_STOP: %x", got)
	}
	wantRC(t, "stopped", randomly(tpm), tpm2.TPMRCFailure)
	if got := ask(t, control, words(2, 0), 4); !bytes.Equal(got, words(0)) {
		t.Fatalf("CMD_INIT: %x", got)
	}
	wantRC(t, "after CMD_INIT", randomly(tpm), tpm2.TPMRCInitialize)
	ok(t, startup(tpm))
	ok(t, randomly(tpm))
	if got := ask(t, control, words(3), 4); !bytes.Equal(got, words(0)) {
		t.Fatalf("CMD_SHUTDOWN: %x", got)
	}
	if err := v.wait(t); !errors.Is(err, tpmsocket.ErrStopped) {
		t.Errorf("Serve returned %v", err)
	}
}

// controls are requests of the control channel with the answer of swtpm 0.7.1.
// ours is the answer here where it differs, with the reason.
func controls() []struct{ ask, swtpm, ours, because string } {
	return []struct{ ask, swtpm, ours, because string }{
		{ask: "00000001", swtpm: "000000000000ffff", ours: "0000000000002caf", because: "hashing, state blobs, data sockets and info are not served, and not offered"},
		{ask: "0000000100000000", swtpm: "000000000000ffff", ours: "00000003", because: "a body that nobody reads is a mistake of the client"},
		{ask: "00000004", swtpm: "0000000000000000"},
		{ask: "0000000400000000", swtpm: "00000003"},
		{ask: "0000000500", swtpm: "00000000"},
		{ask: "0000000500000000", swtpm: "00000000"},
		{ask: "0000000503", swtpm: "00000000", ours: "0000003d", because: "there is locality 0 and no other"},
		{ask: "00000009", swtpm: "00000000"},
		{ask: "0000000b03", swtpm: "00000000", ours: "0000003d", because: "there is locality 0 and no other"},
		{ask: "0000000f", swtpm: "0000000000000000"},
		{ask: "00000006", swtpm: "00000000", ours: "0000000a", because: "no dynamic launch"},
		{ask: "0000001100000000", swtpm: "000000000000100000000af800001000", ours: "00000000000010000000100000001000", because: "the size is fixed"},
		{ask: "00000013", swtpm: "0000000a"},
		{ask: "00000063", swtpm: "0000000a"},
	}
}

func TestSWTPMControl(t *testing.T) {
	v := serve(t, tpmsocket.Config{Framing: tpmsocket.SWTPM}, "unix")
	for _, c := range controls() {
		want := c.ours
		if want == "" {
			want = c.swtpm
		}
		checkControl(t, dial(t, v.control), c.ask, want)
	}
}

func checkControl(t *testing.T, c net.Conn, request, want string) {
	t.Helper()
	send, err := hex.DecodeString(request)
	ok(t, err)
	if got := hex.EncodeToString(ask(t, c, send, len(want)/2)); got != want {
		t.Errorf("%s: %s, want %s", request, got, want)
	}
	_ = c.Close()
}

// The table above says what swtpm answers; this asks it.
func TestSWTPMControlAsSwtpm(t *testing.T) {
	path, err := exec.LookPath("swtpm")
	if err != nil {
		t.Skip("the program swtpm is not installed: its control channel cannot be compared")
	}
	dir := t.TempDir()
	socket := filepath.Join(dir, "c")
	cmd := exec.Command(path, "socket", "--tpm2", "--tpmstate", "dir="+dir, "--server", "type=unixio,path="+filepath.Join(dir, "s"),
		"--ctrl", "type=unixio,path="+socket, "--flags", "not-need-init")
	ok(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(socket); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("swtpm does not listen")
		}
	}
	for _, c := range controls() {
		conn, err := net.Dial("unix", socket)
		ok(t, err)
		ok(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
		checkControl(t, conn, c.ask, c.swtpm)
	}
}

// Where a command with an impossible size ends cannot be known.
func TestSWTPMImpossibleSize(t *testing.T) {
	v := serve(t, tpmsocket.Config{Framing: tpmsocket.SWTPM}, "tcp")
	for _, size := range []uint32{0, 9, tpmsocket.MaxMessage + 1, 1 << 31} {
		cmd := append([]byte{0x80, 1}, words(size, 0x17b)...)
		got := ask(t, dial(t, v.commands), cmd, 11)
		if want := append([]byte{0x80, 1}, words(10, 0x142)...); !bytes.Equal(got, want) {
			t.Errorf("size %d: %x and the end, want %x", size, got, want)
		}
	}
}
