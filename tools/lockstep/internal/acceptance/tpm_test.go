package acceptance_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/softtpm"
	"github.com/lockstep-sso/lockstep/pkg/tpmsocket"
)

// socket is the path of a TPM's socket; there is nobody behind it yet.
func socket(t testing.TB) string { return filepath.Join(t.TempDir(), "tpm") }

// plugIn puts a TPM behind a socket, as an emulator in a process of its own is. Its
// maker gave it no certificate.
func plugIn(t testing.TB, path string, change func([]byte) []byte) {
	t.Helper()
	tpm, err := softtpm.New(softtpm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := tpmsocket.New(tpmsocket.Config{TPM: &changed{tpm, change}, Framing: tpmsocket.SWTPM})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l, nil) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// changed is a TPM whose answers are changed on the way.
type changed struct {
	*softtpm.TPM
	change func([]byte) []byte
}

func (c *changed) Send(command []byte) ([]byte, error) {
	answer, err := c.TPM.Send(command)
	if c.change != nil {
		answer = c.change(answer)
	}
	return answer, err
}

// oldFamily has a TPM say that it is of family 1.2.
func oldFamily(answer []byte) []byte {
	return bytes.ReplaceAll(answer, []byte("2.0\x00"), []byte("1.2\x00"))
}

// strictTenants is the embedded tenants, all of them strict.
func strictTenants(t testing.TB) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.FromSlash("../../../../services/idp/internal/tenant/default.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(raw), "profile: today", "profile: strict")
	if strings.Count(text, "profile: strict") != 2 {
		t.Fatal("the embedded tenants are not two of today")
	}
	path := filepath.Join(t.TempDir(), "tenants.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
