package attestationtest

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/lockstep-sso/lockstep/pkg/swtpmtest"
)

// Where swtpm_setup leaves endorsement keys and their certificates.
const (
	SwtpmRSA             = 0x81010001
	SwtpmRSACertificate  = 0x01c00002
	SwtpmP384            = 0x81010016
	SwtpmP384Certificate = 0x01c00016
)

// Swtpm manufactures a TPM with swtpm_setup and an authority of its own, and starts
// it for the test. It returns the certificates of the authority in PEM. Where swtpm
// is not installed the test is skipped.
func Swtpm(t testing.TB) (transport.TPM, []byte) {
	t.Helper()
	state, authority := swtpmtest.Manufacture(t)
	dir, err := os.MkdirTemp("", "swtpm") //nolint:usetesting // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &swtpm{t: t, dir: dir, state: state}
	if err := s.start(); err != nil {
		t.Fatalf("swtpm: %v", err)
	}
	return s, authority
}

// swtpm is a child process behind a socket.
type swtpm struct {
	t          testing.TB
	dir, state string
	conn       net.Conn
}

func (s *swtpm) start() error {
	socket := filepath.Join(s.dir, "tpm")
	cmd := exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+s.state, //nolint:gosec,noctx // G204: the program is swtpm from the PATH; it ends with the test
		"--server", "type=unixio,path="+socket, "--flags", "not-need-init,startup-clear", "--terminate")
	if err := cmd.Start(); err != nil {
		return err
	}
	s.t.Cleanup(func() {
		if s.conn != nil {
			_ = s.conn.Close()
		}
		_ = cmd.Process.Kill() // this one and no other
		_ = cmd.Wait()
	})
	var err error
	for range 500 {
		if s.conn, err = net.Dial("unix", socket); err == nil { //nolint:noctx // a socket of the test's own
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}

// retry is TPM_RC_RETRY: the first use of a key that counts wrong passwords after a
// start has swtpm save its counter, and wants the command again.
const retry = 0x922

// Send implements transport.TPM.
func (s *swtpm) Send(command []byte) ([]byte, error) {
	for range 3 {
		out, err := s.once(command)
		if err != nil || binary.BigEndian.Uint32(out[6:]) != retry {
			return out, err
		}
	}
	return nil, errors.New("the TPM wants the command again and again")
}

// once sends a command. An answer is ten bytes that say how long it is, and the rest.
func (s *swtpm) once(command []byte) ([]byte, error) {
	if _, err := s.conn.Write(command); err != nil {
		return nil, err
	}
	var head [10]byte
	if _, err := io.ReadFull(s.conn, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[2:])
	if n < 10 || n > 1<<16 {
		return nil, errors.New("the TPM's answer has no length")
	}
	out := make([]byte, n)
	copy(out, head[:])
	_, err := io.ReadFull(s.conn, out[10:])
	return out, err
}
