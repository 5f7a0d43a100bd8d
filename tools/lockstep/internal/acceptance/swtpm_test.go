package acceptance_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// manufactured is a TPM of swtpm's own maker: its state, with an RSA endorsement key
// kept in it and certified, and the certificates to trust for that.
func manufactured(t *testing.T) (state, roots string) {
	t.Helper()
	for _, program := range []string{"swtpm", "swtpm_setup", "swtpm_localca"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed: install swtpm and swtpm-tools", program)
		}
	}
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	state, ca := filepath.Join(dir, "state"), filepath.Join(dir, "ca")
	for _, d := range []string{state, ca} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	tool, err := exec.LookPath("swtpm_localca")
	if err != nil {
		t.Fatal(err)
	}
	options := file("options", "--platform-manufacturer Lockstep\n--platform-version 1\n--platform-model Test\n")
	issuer := file("ca.conf", fmt.Sprintf("statedir=%s\nsigningkey=%s/key.pem\nissuercert=%s/cert.pem\ncertserial=%s/serial\n", ca, ca, ca, ca))
	setup := file("setup.conf", fmt.Sprintf("create_certs_tool=%s\ncreate_certs_tool_config=%s\ncreate_certs_tool_options=%s\n", tool, issuer, options))
	args := []string{"--tpm2", "--tpmstate", state, "--createek", "--create-ek-cert", "--config", setup}
	if os.Getuid() == 0 {
		args = append(args, "--runas", "root")
	}
	if out, err := exec.CommandContext(t.Context(), "swtpm_setup", args...).CombinedOutput(); err != nil {
		t.Fatalf("swtpm_setup: %v\n%s", err, out)
	}
	var pem []byte
	for _, name := range []string{"swtpm-localca-rootca-cert.pem", "cert.pem"} {
		b, err := os.ReadFile(filepath.Join(ca, name))
		if err != nil {
			t.Fatal(err)
		}
		pem = append(pem, b...)
	}
	return state, file("roots.pem", string(pem))
}

// TestREG26_DEP08_ATPMOfAnotherMaker: the TPM is swtpm, manufactured by its own tools,
// and the tenant is strict and trusts that maker. The device joins and its user works,
// with both forms of session key.
func TestREG26_DEP08_ATPMOfAnotherMaker(t *testing.T) {
	for name, native := range map[string]bool{"wrapped to tkpub": false, "native": true} {
		t.Run(name, func(t *testing.T) {
			state, roots := manufactured(t)
			w := newWorld(t, lab.Config{
				TPM: "swtpm:" + state, Tenants: strictTenants(t), TPMMakers: "emulated=" + roots, NativeSessionKeys: native,
			})
			w.join(w.device)
			if s := w.state(w.device); s.GetAttestedProtection() != "emulated" || s.GetTpmProtected() {
				t.Errorf("state %v", s)
			}
			if w.mustToken(w.signIn(w.device)) == "" {
				t.Error("no token")
			}
		})
	}
}
