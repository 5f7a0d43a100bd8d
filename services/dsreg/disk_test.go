package dsreg_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/run"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	"github.com/lockstep-sso/lockstep/services/dsreg"
)

// breakDisk puts a file where the state folder is; repair puts the folder back.
func (w *world) breakDisk() (repair func()) {
	w.t.Helper()
	aside := filepath.Join(w.t.TempDir(), "aside")
	if err := os.Rename(w.dir, aside); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(w.dir, nil, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return func() {
		w.t.Helper()
		if err := os.Remove(w.dir); err != nil {
			w.t.Fatal(err)
		}
		if err := os.Rename(aside, w.dir); err != nil {
			w.t.Fatal(err)
		}
	}
}

func TestADiskThatFailsBeforeTheInstallation(t *testing.T) {
	w := newWorld(t)
	first := w.mustJoin()
	repair := w.breakDisk()
	if _, err := w.join(); prterr.KindOf(err) != prterr.Internal || !strings.Contains(err.Error(), "check the disk") {
		t.Errorf("join: %v", err)
	}
	if err := w.leave(true); prterr.KindOf(err) != prterr.Internal || !strings.Contains(err.Error(), "check the disk") {
		t.Errorf("leave: %v", err)
	}
	if s := w.consistent(); s.GetDeviceId() != first.GetDeviceId() {
		t.Errorf("state %v", s)
	}
	repair()
	w.mustJoin()
	w.consistent()
}

// The TPM has the new identity and the file cannot say so. Nothing is answered
// then; when the disk works again, the new identity is.
func TestADiskThatFailsAfterTheInstallation(t *testing.T) {
	w := newWorld(t)
	first := w.mustJoin()
	repair := func() {}
	w.restart(func(point string) {
		if point == "installed" {
			repair = w.breakDisk()
		}
	})
	if _, err := w.join(); prterr.KindOf(err) != prterr.Internal || !strings.Contains(err.Error(), "check the disk") {
		t.Errorf("join: %v", err)
	}
	if s, err := w.state(); prterr.KindOf(err) != prterr.Internal {
		t.Errorf("state: %v, %v", s, err)
	}
	repair()
	if s := w.consistent(); s.GetDeviceId() == first.GetDeviceId() {
		t.Error("the old identity is answered")
	}
}

func TestWire(t *testing.T) {
	ca, err := rpc.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	id, err := ca.Issue("dsreg")
	if err != nil {
		t.Fatal(err)
	}
	network := rpc.NewMem()
	cfg := run.Config{
		Name: "dsreg", Identity: id, Network: network, Listen: "mem:dsreg",
		Peers: map[string]string{"tpm-agent": "mem:tpm-agent"}, Env: run.Env{StateDir: t.TempDir()},
	}
	if _, err := run.Start(cfg, dsreg.Wire); err == nil || !strings.Contains(err.Error(), "idp") {
		t.Errorf("without idp: %v", err)
	}
	cfg.Peers["idp"] = "mem:idp"
	r, err := run.Start(cfg, dsreg.Wire)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
	}()
	caller, err := ca.Issue("operator")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := rpc.Dial(rpc.DialConfig{Network: network, Addr: "mem:dsreg", Identity: caller, Server: "dsreg"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	// With neither peer there, the state is answered and a join is not possible.
	s, err := dsregv1.NewDeviceStateServiceClient(conn).GetDeviceState(t.Context(), &dsregv1.GetDeviceStateRequest{})
	if err != nil || s.GetJoinState() != dsregv1.JoinState_JOIN_STATE_NONE {
		t.Errorf("state: %v, %v", s, err)
	}
	_, err = dsregv1.NewRegistrationServiceClient(conn).JoinDevice(t.Context(), &dsregv1.JoinDeviceRequest{
		UserPrincipalName: alice, Password: password, DisplayName: "DESKTOP-1",
	})
	if prterr.KindOf(err) != prterr.Unavailable {
		t.Errorf("join: %v", err)
	}
}
