package dsreg_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

// trouble is lsa-cloudap, to which the tpm-agent has said that keys are lost.
func (w *world) trouble() (dsregv1.RecoveryOutcome, error) {
	w.t.Helper()
	w.clock.Advance(time.Second) // a computer signs its identity once a second
	conn, stop := w.door("lsa-cloudap")
	defer stop()
	resp, err := dsregv1.NewRecoveryServiceClient(conn).StartRecovery(w.t.Context(), &dsregv1.StartRecoveryRequest{})
	return resp.GetOutcome(), err
}

func (w *world) recovers(want dsregv1.RecoveryOutcome) {
	w.t.Helper()
	if got, err := w.trouble(); err != nil || got != want {
		w.t.Fatalf("got %v, %v, want %v", got, err, want)
	}
}

func (w *world) recover(user, password string) (*dsregv1.RecoverDeviceResponse, error) {
	return dsregv1.NewRegistrationServiceClient(w.conn).RecoverDevice(w.t.Context(), &dsregv1.RecoverDeviceRequest{UserPrincipalName: user, Password: password})
}

// health sees what dsregcmd /status would show of the keys.
func (w *world) health(test dsregv1.KeySignTest, recovery bool) {
	w.t.Helper()
	if s := w.mustState(); s.GetKeySignTest() != test || s.GetAadRecoveryEnabled() != recovery {
		w.t.Errorf("KeySignTest %v, AadRecoveryEnabled %v, want %v and %v", s.GetKeySignTest(), s.GetAadRecoveryEnabled(), test, recovery)
	}
}

const (
	notRun = dsregv1.KeySignTest_KEY_SIGN_TEST_NOT_RUN
	passed = dsregv1.KeySignTest_KEY_SIGN_TEST_PASSED
	failed = dsregv1.KeySignTest_KEY_SIGN_TEST_FAILED

	notNeeded = dsregv1.RecoveryOutcome_RECOVERY_OUTCOME_NOT_NEEDED
	recovered = dsregv1.RecoveryOutcome_RECOVERY_OUTCOME_RECOVERED
	pending   = dsregv1.RecoveryOutcome_RECOVERY_OUTCOME_PENDING
	byAdmin   = dsregv1.RecoveryOutcome_RECOVERY_OUTCOME_ADMINISTRATOR_NEEDED
)

func TestREG21_AHybridDeviceRecoversByItself(t *testing.T) {
	w := newWorld(t)
	w.mustHybrid()
	old := w.tpm.holds()
	w.recovers(notNeeded)
	w.health(passed, false)
	clear(w.toIdP.sent)
	w.tpm.wipe()
	for range 2 { // the second time it makes no keys
		w.recovers(pending)
		w.health(failed, true)
		w.restart(nil)
	}
	if w.tpm.made != 2 {
		t.Errorf("%d key sets made", w.tpm.made)
	}
	w.sync()
	w.recovers(recovered)
	w.isHybrid()
	w.health(notRun, false)
	if bytes.Equal(old, w.tpm.holds()) {
		t.Error("the keys stayed")
	}
	for method, data := range w.toIdP.sent {
		if bytes.Contains(data, []byte(password)) || strings.Contains(method, "Token") {
			t.Errorf("%s: a user took part", method)
		}
	}
	w.recovers(notNeeded)
}

// When nobody signs in again, the join goes on by itself; the next sign-in finds the
// keys well.
func TestREG21_TheRecoveryGoesOnByItself(t *testing.T) {
	w := newWorld(t)
	w.mustHybrid()
	w.tpm.wipe()
	w.recovers(pending)
	w.sync()
	w.later("it has joined", func() bool { return !w.mustState().GetAadRecoveryEnabled() })
	w.isHybrid()
	w.recovers(notNeeded)
}

func TestREG22_AJoinedDeviceIsRecoveredByAnAdministrator(t *testing.T) {
	for name, enrol := range map[string]func(*world) error{
		"joined":     func(w *world) error { _, err := w.join(); return err },
		"registered": func(w *world) error { _, err := w.register(); return err },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if err := enrol(w); err != nil {
				t.Fatal(err)
			}
			before := w.mustState()
			if _, err := w.recover(alice, password); prterr.KindOf(err) != prterr.Conflict || !strings.Contains(err.Error(), "are well") {
				t.Errorf("with keys that are well: %v", err)
			}
			w.tpm.wipe()
			w.recovers(byAdmin)
			w.health(failed, true)
			w.restart(nil)
			file, made := w.file(), w.tpm.made
			if _, err := w.recover(bob, password); prterr.KindOf(err) != prterr.Denied || !strings.Contains(err.Error(), "not an administrator") {
				t.Errorf("a user who is no administrator: %v", err)
			}
			if _, err := w.recover(alice, "guess"); prterr.CodeOf(err) != aadsts.InvalidCredentials {
				t.Errorf("a wrong password: %v", err)
			}
			if !bytes.Equal(file, w.file()) || w.tpm.made != made {
				t.Error("a refused recovery changed something")
			}
			got, err := w.recover(alice, password)
			if err != nil {
				t.Fatal(err)
			}
			s := w.consistent()
			if s.GetJoinState() != before.GetJoinState() || s.GetDeviceId() != got.GetDeviceId() || s.GetDeviceId() == before.GetDeviceId() || s.GetDisplayName() != before.GetDisplayName() {
				t.Errorf("before %v, after %v", before, s)
			}
			if got.GetLeftBehindDeviceId() != "" || !w.idp.knows(s.GetDeviceId()) {
				t.Errorf("the old device is still at the tenant: %v", got)
			}
			w.health(notRun, false)
			w.recovers(notNeeded)
		})
	}
}

// A tenant that does not remove the old device for the administrator keeps it: the
// answer, the status and the event log name it.
func TestREG22_TheOldDeviceThatStaysIsNamed(t *testing.T) {
	w := newWorld(t)
	old := w.mustJoin()
	w.idp.keeps = true
	w.tpm.wipe()
	got, err := w.recover(alice, password)
	if err != nil || got.GetLeftBehindDeviceId() != old.GetDeviceId() {
		t.Fatalf("%v, %v", got, err)
	}
	if a := w.describe(false).GetLastAttempt(); a.GetRegistrationType() != "recover" || a.GetErrorPhase() != "" || a.GetLeftBehindDeviceId() != old.GetDeviceId() {
		t.Errorf("last attempt %v", a)
	}
	if e := w.newest(204); e.GetLevel() != warning || e.GetFields()[0].GetValue() != old.GetDeviceId() {
		t.Errorf("event %v", e)
	}
	// Only keys that can sign nothing leave it behind.
	w = newWorld(t)
	w.mustJoin()
	w.idp.keeps = true
	w.tpm.halfLost = true
	if got, err := w.recover(alice, password); err != nil || got.GetLeftBehindDeviceId() != "" || !w.idp.knows(got.GetDeviceId()) {
		t.Errorf("%v, %v", got, err)
	}
}

// Who administers the tenant administers its devices, whoever joined them.
func TestREG22_AnAdministratorOfTheTenant(t *testing.T) {
	w := newWorld(t)
	w.idp.administrators = []string{bob}
	w.mustJoin()
	w.tpm.wipe()
	if _, err := w.recover(bob, password); err != nil {
		t.Fatal(err)
	}
	if s := w.consistent(); s.GetJoinedBy() != bob {
		t.Errorf("state %v", s)
	}
}

// A device that an older release joined knows its administrator from the certificate.
func TestREG22_AStateFileOfTheFirstVersion(t *testing.T) {
	w := newWorld(t)
	w.mustJoin()
	w.olderFile()
	if s := w.consistent(); s.GetAttestedProtection() != "software" {
		t.Errorf("state %v", s)
	}
	w.tpm.wipe()
	if _, err := w.recover(bob, password); prterr.KindOf(err) != prterr.Denied {
		t.Errorf("a user who is no administrator: %v", err)
	}
	if _, err := w.recover(alice, password); err != nil {
		t.Error(err)
	}
}

func TestREG23_TheSelfTestAfterAStart(t *testing.T) {
	for _, how := range []tpmv1.KeyTestOutcome{tpmv1.KeyTestOutcome_KEY_TEST_OUTCOME_KEY_DAMAGED, tpmv1.KeyTestOutcome_KEY_TEST_OUTCOME_KEYS_LOST} {
		w := newWorld(t)
		w.mustJoin()
		w.health(notRun, false)
		w.restart(nil)
		w.until("the keys are tested", func() bool { return w.mustState().GetKeySignTest() != notRun })
		w.health(passed, false)
		w.tpm.damage(how)
		w.restart(nil)
		w.until("the keys are tested", func() bool { return w.mustState().GetAadRecoveryEnabled() })
		w.health(failed, true)
		for range 5 {
			w.mustState()
		}
		if w.tpm.tests != 2 {
			t.Errorf("the state of the device cost %d tests", w.tpm.tests)
		}
		w.recovers(byAdmin)
	}
}

// Nothing is thrown away when it is not known whether the keys are lost.
func TestPRO07_ATPMThatDoesNotWorkIsNoLossOfKeys(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*world)
		kind  prterr.Kind
	}{
		"failed":      {func(w *world) { w.tpm.dead = true }, prterr.TPMFailed},
		"unreachable": {func(w *world) { w.toTPM.cut(true) }, prterr.Unavailable},
		"unclear": {func(w *world) {
			w.tpm.damage(tpmv1.KeyTestOutcome(99))
		}, prterr.TPMFailed},
	} {
		for _, hybrid := range []bool{false, true} {
			w := newWorld(t)
			if hybrid {
				w.mustHybrid()
			} else {
				w.mustJoin()
			}
			file, cert, made := w.file(), w.tpm.holds(), w.tpm.made
			c.spoil(w)
			if got, err := w.trouble(); prterr.KindOf(err) != c.kind {
				t.Errorf("%s: %v, %v", name, got, err)
			}
			if _, err := w.recover(alice, password); prterr.KindOf(err) != c.kind && !hybrid {
				t.Errorf("%s: recovered by hand: %v", name, err)
			}
			if !bytes.Equal(file, w.file()) || !bytes.Equal(cert, w.tpm.holds()) || w.tpm.made != made {
				t.Errorf("%s: something was thrown away", name)
			}
			w.health(notRun, false)
		}
	}
}

func TestACrashInARecovery(t *testing.T) {
	everyCrash(t, func(w *world) { w.mustHybrid() }, func(w *world) error {
		// The test after the start is over before, so that it is the recovery that dies.
		w.until("the keys are tested", func() bool { return w.mustState().GetKeySignTest() != notRun })
		w.tpm.wipe()
		got, err := w.trouble()
		if err == nil && got == pending {
			w.sync()
			_, err = w.trouble()
		}
		return err
	}, func(t *testing.T, w *world) {
		w.consistent()
		for range 3 {
			if got, err := w.trouble(); err != nil {
				t.Fatalf("trying again: %v", err)
			} else if got != pending {
				break
			}
			w.sync()
		}
		w.isHybrid()
		w.recovers(notNeeded)
	})
}

func TestWhatIsNotRecovered(t *testing.T) {
	w := newWorld(t)
	if _, err := w.trouble(); prterr.KindOf(err) != prterr.Conflict {
		t.Errorf("no device: %v", err)
	}
	if _, err := w.recover(alice, password); prterr.KindOf(err) != prterr.Conflict {
		t.Errorf("no device: %v", err)
	}
	for field, req := range map[string]*dsregv1.RecoverDeviceRequest{
		"user_principal_name": {UserPrincipalName: "alice", Password: password}, "password": {UserPrincipalName: alice},
	} {
		if _, err := dsregv1.NewRegistrationServiceClient(w.conn).RecoverDevice(t.Context(), req); prterr.KindOf(err) != prterr.Invalid || !strings.HasPrefix(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	w.mustHybrid()
	w.tpm.wipe()
	if _, err := w.recover(alice, password); prterr.KindOf(err) != prterr.Conflict || !strings.Contains(err.Error(), "by itself") {
		t.Errorf("a hybrid device: %v", err)
	}
}
