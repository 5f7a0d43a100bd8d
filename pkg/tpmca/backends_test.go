package tpmca_test

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

// backend is a TPM whose power can be cycled, to be started again after it.
type backend struct {
	transport.TPM
	cycle func()
}

func (b backend) start(t *testing.T) {
	t.Helper()
	_, err := tpm2.Startup{StartupType: tpm2.TPMSUClear}.Execute(b)
	ok(t, err)
}

// onEach runs a test on the TPM of this repository and on another one.
func onEach(t *testing.T, test func(*testing.T, backend)) {
	t.Run("soft", func(t *testing.T) {
		tpm, err := softtpm.New(softtpm.Config{})
		ok(t, err)
		t.Cleanup(func() { _ = tpm.Close() })
		b := backend{tpm, func() { ok(t, tpm.PowerCycle()) }}
		b.start(t)
		test(t, b)
	})
	t.Run("swtpm", func(t *testing.T) {
		if _, err := exec.LookPath("swtpm"); err != nil {
			t.Skip("the program swtpm is not installed: no TPM of another maker to try this on")
		}
		b := swtpm(t, t.TempDir())
		b.start(t)
		test(t, b)
	})
}

// swtpm starts a swtpm on the state in dir.
func swtpm(t *testing.T, dir string) backend {
	t.Helper()
	commands, control := filepath.Join(dir, "s"), filepath.Join(dir, "c")
	cmd := exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+dir, "--server", "type=unixio,path="+commands,
		"--ctrl", "type=unixio,path="+control, "--flags", "not-need-init")
	cmd.Stderr = os.Stderr
	ok(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	dial := func(path string) net.Conn {
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			c, err := net.Dial("unix", path)
			if err == nil {
				t.Cleanup(func() { _ = c.Close() })
				ok(t, c.SetDeadline(time.Now().Add(time.Minute)))
				return c
			}
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
	}
	power := dial(control)
	return backend{stream{dial(commands)}, func() {
		_, err := power.Write([]byte{0, 0, 0, 2, 0, 0, 0, 0}) // CMD_INIT
		ok(t, err)
		_, err = io.ReadFull(power, make([]byte, 4))
		ok(t, err)
	}}
}

type stream struct{ net.Conn }

func (s stream) Send(cmd []byte) ([]byte, error) {
	if _, err := s.Write(cmd); err != nil {
		return nil, err
	}
	h := make([]byte, 10)
	if _, err := io.ReadFull(s, h); err != nil {
		return nil, err
	}
	rsp := make([]byte, binary.BigEndian.Uint32(h[2:]))
	copy(rsp, h)
	_, err := io.ReadFull(s, rsp[10:])
	return rsp, err
}
