package acceptance_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/demo"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// inSoftware sees that the keys are in software, and that the status says so.
func (w *world) inSoftware(d *lab.Device) {
	w.t.Helper()
	s := w.state(d)
	if s.GetTpmProtected() || !strings.Contains(strings.ToLower(s.GetKeyProvider()), "software") || s.GetSoftwareReason() == "" || s.GetAttestedProtection() != "software" {
		w.t.Errorf("state %v", s)
	}
}

func TestREG03_WithoutATPMTheKeysAreInSoftwareAndTheStatusSaysSo(t *testing.T) {
	w := newWorld(t, lab.Config{TPM: "unix:" + socket(t), SoftwareKeys: "allow"})
	w.join(w.device)
	w.inSoftware(w.device)
	if w.mustToken(w.signIn(w.device)) == "" {
		t.Error("no token")
	}
	if err := w.device.Restart(t.Context(), "dsreg"); err != nil {
		t.Fatal(err)
	}
	w.inSoftware(w.device)
}

func TestREG04_ATPMOfFamily12IsLikeNone(t *testing.T) {
	for name, c := range map[string]struct {
		change   func([]byte) []byte
		software bool
	}{"1.2": {oldFamily, true}, "2.0": {nil, false}} {
		t.Run(name, func(t *testing.T) {
			path := socket(t)
			plugIn(t, path, c.change)
			w := newWorld(t, lab.Config{TPM: "unix:" + path, SoftwareKeys: "allow"})
			w.join(w.device)
			s := w.state(w.device)
			if s.GetTpmProtected() || (s.GetSoftwareReason() != "") != c.software {
				t.Errorf("state %v", s)
			}
			if c.software {
				w.inSoftware(w.device)
			}
			if w.mustToken(w.signIn(w.device)) == "" {
				t.Error("no token")
			}
		})
	}
}

// TestREG26_AStrictTenantTakesAttestedKeysOnly: the TPM of the first device has the
// certificate of a maker whom the tenant trusts.
func TestREG26_AStrictTenantTakesAttestedKeysOnly(t *testing.T) {
	tenants := strictTenants(t)
	for _, native := range []bool{false, true} {
		w := newWorld(t, lab.Config{TPM: "mem:", Tenants: tenants, NativeSessionKeys: native})
		w.join(w.device)
		if s := w.state(w.device); s.GetAttestedProtection() != "emulated" || s.GetTpmProtected() {
			t.Errorf("state %v", s)
		}
		if got := w.only().GetKeyProtection(); got != "emulated" {
			t.Errorf("the directory says %q", got)
		}
	}
	bare := socket(t)
	plugIn(t, bare, nil)
	for name, cfg := range map[string]lab.Config{
		"keys in software":              {TPM: "unix:" + socket(t), SoftwareKeys: "allow"},
		"a TPM that nobody vouches for": {TPM: "unix:" + bare},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Tenants = tenants
			w := newWorld(t, cfg)
			_, err := w.device.Operator.Join(t.Context(), w.tenant.User, w.tenant.Password, "DESKTOP")
			if prterr.KindOf(err) != prterr.Denied || prterr.CodeOf(err) != aadsts.RegistrationNotAllowed {
				t.Errorf("got %s: %v", prterr.KindOf(err), err)
			}
			if s := w.state(w.device); s.GetDeviceId() != "" || len(w.directory()) != 0 {
				t.Errorf("state %v, directory %v", s, w.directory())
			}
		})
	}
}

// A device that was joined before it had a TPM moves its keys there: it stays the same
// device, and its user goes on working.
func TestPRO13_KeysMoveToTheTPMAndTheUserGoesOn(t *testing.T) {
	for name, cfg := range map[string]lab.Config{"gRPC": {}, "HTTPS": {HTTPS: true}, "native": {NativeSessionKeys: true}} {
		t.Run(name, func(t *testing.T) { keysMove(t, cfg) })
	}
}

func keysMove(t *testing.T, cfg lab.Config) {
	path := socket(t)
	cfg.TPM, cfg.SoftwareKeys = "unix:"+path, "allow"
	w := newWorld(t, cfg)
	w.join(w.device)
	desktop := w.signIn(w.device)
	w.mustToken(desktop)
	old, _ := w.prt(w.device)
	id, _ := w.device.ID(t.Context())
	if _, err := w.device.Operator.MigrateKeys(t.Context()); prterr.KindOf(err) != prterr.Conflict {
		t.Errorf("without a TPM: %v", err)
	}

	plugIn(t, path, nil)
	if err := w.device.Restart(t.Context(), "tpm-agent"); err != nil {
		t.Fatal(err)
	}
	if w.mustToken(desktop) == "" {
		t.Error("the TPM is there, and the keys in software do not work any more")
	}
	provider, err := w.device.Operator.MigrateKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := w.state(w.device)
	if s.GetDeviceId() != id || s.GetKeyProvider() != provider || s.GetSoftwareReason() != "" || strings.Contains(strings.ToLower(provider), "software") {
		t.Errorf("keys are with %q, state %v", provider, s)
	}
	if d := w.only(); d.GetDeviceId() != id || d.GetCertificateThumbprint() != s.GetCertificateThumbprint() {
		t.Errorf("the directory has %v", d)
	}
	if _, err := w.token(w.device, desktop); err == nil {
		t.Error("the PRT of the old keys still gives tokens")
	}
	again := w.signIn(w.device)
	if !again.FromCache {
		t.Error("the user could not sign in from the cache meanwhile")
	}
	w.settle(w.device)
	if now, _ := w.prt(w.device); now == old || w.mustToken(again) == "" {
		t.Error("no new PRT after the next sign-in")
	}
	if _, err := w.device.Operator.MigrateKeys(t.Context()); prterr.KindOf(err) != prterr.Conflict {
		t.Errorf("migrating again: %v", err)
	}
}

// only is the directory's one device.
func (w *world) only() *directoryv1.Device {
	w.t.Helper()
	list := w.directory()
	if len(list) != 1 {
		w.t.Fatalf("the directory has %v", list)
	}
	return list[0]
}

// TestT13_ADeviceIsItsTPMAndNotItsName: two devices of one name are two; and one that
// has all files of the other, but for the TPM, is neither.
func TestT13_ADeviceIsItsTPMAndNotItsName(t *testing.T) {
	w := newWorld(t, lab.Config{})
	other := w.addDevice()
	w.join(w.device)
	w.join(other)
	list := w.directory()
	if len(list) != 2 || list[0].GetDeviceId() == list[1].GetDeviceId() || list[0].GetDisplayName() != list[1].GetDisplayName() {
		t.Fatalf("the directory has %v", list)
	}
	w.signIn(w.device)
	w.signIn(other)
	for _, component := range []string{"tpm-agent", "dsreg", "lsa-cloudap"} {
		from, to := w.device.StateDir(component), other.StateDir(component)
		if err := other.Stop(component); err != nil {
			t.Fatal(err)
		}
		own, err := os.ReadFile(filepath.Join(to, "tpm.state"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if err := errors.Join(os.RemoveAll(to), os.CopyFS(to, os.DirFS(from))); err != nil {
			t.Fatal(err)
		}
		if component == "tpm-agent" {
			state := filepath.Join(to, "tpm.state")
			if err := errors.Join(os.Remove(state), os.WriteFile(state, own, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		if err := other.Resume(t.Context(), component); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := other.LogonUI.SignIn(t.Context(), demo.People()["bob"].UPN, demo.People()["bob"].Password); prterr.KindOf(err) != prterr.KeysLost {
		t.Errorf("the copy signs in: %v", err)
	}
	w.mustToken(w.signIn(w.device))
}
