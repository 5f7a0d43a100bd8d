package acceptance_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/swtpmtest"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// TestREG26_DEP08_ATPMOfAnotherMaker: the TPM is swtpm, manufactured by its own tools,
// and the tenant is strict and trusts that maker. The device joins and its user works,
// with both forms of session key.
func TestREG26_DEP08_ATPMOfAnotherMaker(t *testing.T) {
	for name, native := range map[string]bool{"wrapped to tkpub": false, "native": true} {
		t.Run(name, func(t *testing.T) {
			state, authority := swtpmtest.Manufacture(t)
			roots := filepath.Join(t.TempDir(), "roots.pem")
			if err := os.WriteFile(roots, authority, 0o600); err != nil {
				t.Fatal(err)
			}
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
