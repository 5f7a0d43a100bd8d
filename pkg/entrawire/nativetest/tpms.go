package nativetest

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

// OnEvery runs f on every TPM that there is: softtpm, and swtpm where it is
// installed. Both have three slots for keys, as chips have.
func OnEvery(t *testing.T, f func(*testing.T, transport.TPM)) {
	t.Helper()
	t.Run("softtpm", func(t *testing.T) { f(t, Soft(t)) })
	t.Run("swtpm", func(t *testing.T) { f(t, SWTPM(t)) })
}

// Soft is a new TPM in pure Go.
func Soft(t testing.TB) transport.TPM {
	t.Helper()
	tpm, err := softtpm.New(softtpm.Config{})
	if err == nil {
		_, err = tpm2.Startup{StartupType: tpm2.TPMSUClear}.Execute(tpm)
	}
	if err != nil {
		t.Fatal(err)
	}
	return tpm
}

// SWTPM is a new TPM of somebody else's, or a skip that names the program. It ends
// with the test.
func SWTPM(t testing.TB) transport.TPM {
	t.Helper()
	program, err := exec.LookPath("swtpm")
	if err != nil {
		t.Skip("no program swtpm in PATH: install the package swtpm to compare with it")
	}
	ours, theirs := socketPair(t)
	control, theirControl := socketPair(t)
	cmd := exec.CommandContext(t.Context(), program, "socket", "--tpm2", "--tpmstate", "dir="+t.TempDir()+",mode=0600", //nolint:gosec // G204: the program is swtpm from the PATH
		"--fd", "3", "--ctrl", "type=unixio,clientfd=4", "--flags", "not-need-init,startup-clear")
	cmd.ExtraFiles = []*os.File{theirs, theirControl} // they become 3 and 4
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = theirs.Close(), theirControl.Close() // the child has its own
	t.Cleanup(func() {
		_, _ = ours.Close(), control.Close() // it ends when nobody is there any more
		_ = cmd.Wait()                       // by a signal, when the test was faster
	})
	return stream{ours}
}

func socketPair(t testing.TB) (ours net.Conn, theirs *os.File) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	mine, theirs := os.NewFile(uintptr(fds[0]), "tpm"), os.NewFile(uintptr(fds[1]), "tpm")
	ours, err = net.FileConn(mine)
	if err = errors.Join(err, mine.Close()); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

// stream is a TPM behind a connection: a response says its length in its header
// (TPM 2.0 Part 3, 4.4).
type stream struct{ rw io.ReadWriter }

func (s stream) Send(command []byte) ([]byte, error) {
	if _, err := s.rw.Write(command); err != nil {
		return nil, err
	}
	var head [10]byte
	if _, err := io.ReadFull(s.rw, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[2:6])
	if n < uint32(len(head)) || n > 1<<16 {
		return nil, errors.New("response has no sensible length")
	}
	out := append(make([]byte, 0, n), head[:]...)[:n]
	_, err := io.ReadFull(s.rw, out[len(head):])
	return out, err
}
