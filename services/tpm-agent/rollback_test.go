package tpmagent_test

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	tpmagent "github.com/lockstep-sso/lockstep/services/tpm-agent"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/device"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/tpmagenttest"
)

// files are the agent's files by name, without the TPM's own.
func files(t *testing.T, dir, pattern string) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		all[n] = b
	}
	return all
}

func restore(t *testing.T, old map[string][]byte) {
	t.Helper()
	for name, b := range old {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func onBoth(t *testing.T, f func(*testing.T, transport.TPM)) {
	t.Run("soft", func(t *testing.T) {
		tpm, err := softtpm.New(softtpm.Config{})
		if err != nil {
			t.Fatal(err)
		}
		f(t, tpm)
	})
	t.Run("swtpm", func(t *testing.T) {
		needSWTPM(t)
		m, err := device.Open(t.Context(), device.Config{Addr: "swtpm:", Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.Close() })
		f(t, m.TPM)
	})
}

// TestA43_AnOldPINDoesNotComeBackWithOldFiles: somebody who knows an old PIN brings
// the agent's files of then back. The TPM has counted since.
func TestA43_AnOldPINDoesNotComeBackWithOldFiles(t *testing.T) {
	onBoth(t, func(t *testing.T, tpm transport.TPM) {
		dir := t.TempDir()
		a := tpmagenttest.Start(t, tpmagent.Config{StateDir: dir, Transport: tpm})
		a.Register()
		helloKey(t, a, tpmagenttest.UserA)
		helloKey(t, a, tpmagenttest.UserB)
		old := files(t, dir, "*.hello")
		user := tpmagenttest.HelloUser(tpmagenttest.UserA)
		if _, err := a.Hello().ChangeHelloPIN(t.Context(), &tpmv1.ChangeHelloPINRequest{User: user, Pin: goodPIN, NewPin: "864200"}); err != nil {
			t.Fatal(err)
		}
		fresh := files(t, dir, "*.hello")
		restore(t, old)
		if err := signHello(t, a, tpmagenttest.UserA, goodPIN); prterr.KindOf(err) != prterr.Denied {
			t.Errorf("the old PIN with its old file: %v", err)
		}
		if err := signHello(t, a, tpmagenttest.UserB, goodPIN); err != nil {
			t.Errorf("a user who changed nothing: %v", err)
		}
		restore(t, fresh)
		if err := signHello(t, a, tpmagenttest.UserA, "864200"); err != nil {
			t.Errorf("the newest file: %v", err)
		}
		if _, err := a.Hello().DeleteHelloKey(t.Context(), &tpmv1.DeleteHelloKeyRequest{User: user}); err != nil {
			t.Fatal(err)
		}
		restore(t, fresh)
		if err := signHello(t, a, tpmagenttest.UserA, "864200"); prterr.KindOf(err) != prterr.Denied {
			t.Errorf("a key that was deleted: %v", err)
		}
		if _, err := a.Hello().DeleteHelloKey(t.Context(), &tpmv1.DeleteHelloKeyRequest{User: user}); err != nil {
			t.Fatal(err)
		}
		helloKey(t, a, tpmagenttest.UserA)
		if err := signHello(t, a, tpmagenttest.UserA, goodPIN); err != nil {
			t.Errorf("the key that was set up again: %v", err)
		}
	})
}

// TestAChangeOfPINSurvivesACrashBetweenFileAndCounter: the file is one ahead of the
// TPM then, and the next use sets that right.
func TestAChangeOfPINSurvivesACrashBetweenFileAndCounter(t *testing.T) {
	dir := t.TempDir()
	tpm, err := softtpm.New(softtpm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	crash := &refuseIncrement{TPM: tpm}
	a := tpmagenttest.Start(t, tpmagent.Config{StateDir: dir, Transport: crash})
	a.Register()
	helloKey(t, a, tpmagenttest.UserA)
	old := files(t, dir, "*.hello")
	crash.on = true
	_, err = a.Hello().ChangeHelloPIN(t.Context(), &tpmv1.ChangeHelloPINRequest{User: tpmagenttest.HelloUser(tpmagenttest.UserA), Pin: goodPIN, NewPin: "864200"})
	if err == nil || maps.EqualFunc(old, files(t, dir, "*.hello"), func(x, y []byte) bool { return string(x) == string(y) }) {
		t.Fatalf("the crash did not happen: %v", err)
	}
	crash.on = false
	if err := signHello(t, a, tpmagenttest.UserA, "864200"); err != nil {
		t.Errorf("the new PIN: %v", err)
	}
	restore(t, old)
	if err := signHello(t, a, tpmagenttest.UserA, goodPIN); prterr.KindOf(err) != prterr.Denied {
		t.Errorf("the old PIN with its old file: %v", err)
	}
}

// refuseIncrement is a TPM that fails when it shall count.
type refuseIncrement struct {
	transport.TPM
	on bool
}

func (r *refuseIncrement) Send(command []byte) ([]byte, error) {
	if r.on && len(command) > 9 && command[8] == byte(tpm2.TPMCCNVIncrement>>8) && command[9] == byte(tpm2.TPMCCNVIncrement&0xff) {
		return []byte{0x80, 1, 0, 0, 0, 10, 0, 0, 1, 1}, nil // TPM_RC_FAILURE
	}
	return r.TPM.Send(command)
}
