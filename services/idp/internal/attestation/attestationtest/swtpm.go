package attestationtest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2/transport"
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
	for _, program := range []string{"swtpm", "swtpm_setup", "swtpm_localca"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed: install swtpm and swtpm-tools", program)
		}
	}
	dir, err := os.MkdirTemp("", "swtpm") //nolint:usetesting // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	authority := manufacture(t, dir)
	s := &swtpm{t: t, dir: dir}
	if err := s.start(); err != nil {
		t.Fatalf("swtpm: %v", err)
	}
	return s, authority
}

func manufacture(t testing.TB, dir string) []byte {
	t.Helper()
	state, ca := filepath.Join(dir, "state"), filepath.Join(dir, "ca")
	for _, d := range []string{state, ca} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	localca, err := exec.LookPath("swtpm_localca")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"setup.conf": fmt.Sprintf("create_certs_tool=%s\ncreate_certs_tool_config=%s\ncreate_certs_tool_options=%s\n", localca, filepath.Join(dir, "ca.conf"), filepath.Join(dir, "ca.options")),
		"ca.conf": fmt.Sprintf("statedir=%s\nsigningkey=%s\nissuercert=%s\ncertserial=%s\n",
			ca, filepath.Join(ca, "signkey.pem"), filepath.Join(ca, "issuercert.pem"), filepath.Join(ca, "certserial")),
		"ca.options": "--platform-manufacturer Lockstep\n--platform-version 1\n--platform-model Test\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"--tpm2", "--tpmstate", state, "--createek", "--create-ek-cert", "--config", filepath.Join(dir, "setup.conf")}
	if os.Getuid() == 0 {
		args = append(args, "--runas", "root")
	}
	if out, err := exec.CommandContext(t.Context(), "swtpm_setup", args...).CombinedOutput(); err != nil { //nolint:gosec // G204: the program is swtpm_setup from the PATH
		t.Fatalf("swtpm_setup: %v\n%s", err, out)
	}
	var pem []byte
	for _, name := range []string{"swtpm-localca-rootca-cert.pem", "issuercert.pem"} {
		b, err := os.ReadFile(filepath.Join(ca, name))
		if err != nil {
			t.Fatal(err)
		}
		pem = append(pem, b...)
	}
	return pem
}

// swtpm is a child process behind a socket.
type swtpm struct {
	t    testing.TB
	dir  string
	conn net.Conn
}

func (s *swtpm) start() error {
	socket := filepath.Join(s.dir, "tpm")
	cmd := exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+filepath.Join(s.dir, "state"), //nolint:gosec,noctx // G204: the program is swtpm from the PATH; it ends with the test
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
