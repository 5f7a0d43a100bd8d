package dsreg_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
)

func (w *world) isGone(t *testing.T) {
	t.Helper()
	if s := w.mustState(); s.GetJoinState() != dsregv1.JoinState_JOIN_STATE_NONE {
		t.Errorf("state %v", s)
	}
	if w.file() != nil || w.tpm.holds() != nil || len(w.tpm.sets) != 0 {
		t.Error("the state file or keys are still there")
	}
}

// The device removes itself with a proof of its own key.
func TestREG19_LeaveRemovesTheDevice(t *testing.T) {
	w := newWorld(t)
	w.mustJoin()
	if err := w.leave(false); err != nil {
		t.Fatal(err)
	}
	w.isGone(t)
	if !w.idp.knows() {
		t.Error("the tenant still has the device")
	}
	if err := w.leave(false); prterr.KindOf(err) != prterr.Conflict {
		t.Errorf("leaving again: %v", err)
	}
	w.mustJoin()
}

func TestLeaveLocally(t *testing.T) {
	w := newWorld(t)
	if err := w.leave(true); prterr.KindOf(err) != prterr.Conflict {
		t.Errorf("not joined: %v", err)
	}
	joined := w.mustJoin()
	w.toIdP.cut(true)
	clear(w.toIdP.sent)
	if err := w.leave(true); err != nil {
		t.Fatal(err)
	}
	w.isGone(t)
	if len(w.toIdP.sent) != 0 || !w.idp.knows(joined.GetDeviceId()) {
		t.Error("the tenant was told")
	}
}

// Until the tenant was told nothing happens to the device.
func TestALeaveThatDoesNotReachTheTenant(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*world)
		kind  prterr.Kind
		want  string
	}{
		"no network":  {func(w *world) { w.toIdP.cut(true) }, prterr.Unavailable, "cannot be reached"},
		"bad nonce":   {func(w *world) { w.idp.badNonce = true }, prterr.Denied, "nonce"},
		"no tpm":      {func(w *world) { w.toTPM.cut(true) }, prterr.Unavailable, "cannot be reached"},
		"keys lost":   {func(w *world) { w.tpm.before["SignDeviceRemoval"] = prterr.New(prterr.KeysLost, "gone") }, prterr.KeysLost, "local_only"},
		"empty proof": {func(w *world) { w.tpm.before["SignDeviceRemoval"] = prterr.New(prterr.NotFound, "no set") }, prterr.NotFound, "no set"},
		"refused": {
			func(w *world) { w.idp.before["DeleteDevice"] = prterr.AADSTS(aadsts.DeviceAuthenticationFailed, "") },
			prterr.Denied, "AADSTS50155",
		},
		"not there": {
			func(w *world) { w.idp.before["DeleteDevice"] = prterr.New(prterr.Unavailable, "busy") },
			prterr.Unavailable, "leave again",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			joined := w.mustJoin()
			w.ages()
			c.spoil(w)
			if err := w.leave(false); prterr.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
			if s := w.mustState(); s.GetDeviceId() != joined.GetDeviceId() || w.tpm.holds() == nil || !w.idp.knows(joined.GetDeviceId()) {
				t.Errorf("state %v", s)
			}
			w.toIdP.cut(false)
			w.toTPM.cut(false)
			w.idp.badNonce = false
			clear(w.idp.before)
			clear(w.tpm.before)
			w.restart(nil)
			if err := w.leave(false); err != nil {
				t.Errorf("leaving again: %v", err)
			}
			w.isGone(t)
		})
	}
}

// The tenant forgot the device but its answer was lost: it is not known, so the
// device stays and a second leave brings it to an end.
func TestALostAnswerToALeave(t *testing.T) {
	for _, restart := range []bool{false, true} {
		w := newWorld(t)
		w.mustJoin()
		w.ages()
		w.idp.after["DeleteDevice"] = prterr.New(prterr.Deadline, "too slow")
		if err := w.leave(false); prterr.KindOf(err) != prterr.Deadline {
			t.Fatalf("got %v", err)
		}
		if restart {
			w.restart(nil)
		}
		if s := w.mustState(); s.GetJoinState() != dsregv1.JoinState_JOIN_STATE_JOINED {
			t.Errorf("state %v", s)
		}
		if err := w.leave(false); err != nil {
			t.Errorf("leaving again: %v", err)
		}
		w.isGone(t)
	}
}

func TestKeysThatDoNotGo(t *testing.T) {
	w := newWorld(t)
	w.mustJoin()
	w.tpm.before["DeleteDeviceKeys"] = prterr.New(prterr.TPMFailed, "broken")
	if err := w.leave(false); prterr.KindOf(err) != prterr.TPMFailed {
		t.Errorf("got %v", err)
	}
	clear(w.tpm.before)
	w.tpm.after["DeleteDeviceKeys"] = prterr.New(prterr.Unavailable, "answer lost")
	if err := w.leave(false); prterr.KindOf(err) != prterr.Unavailable {
		t.Errorf("got %v", err)
	}
	clear(w.tpm.after)
	w.isGone(t) // settled by asking the TPM
}

// TestOnlyTheOperatorEndsAJoin: wam-broker ends the registration for a work account with
// the last of them, and nothing else.
func TestOnlyTheOperatorEndsAJoin(t *testing.T) {
	leave := func(w *world) error {
		conn, stop := w.door("wam-broker")
		defer stop()
		_, err := dsregv1.NewRegistrationServiceClient(conn).LeaveDevice(t.Context(), &dsregv1.LeaveDeviceRequest{})
		return err
	}
	for name, prepare := range map[string]func(*world){
		"joined":  func(w *world) { w.mustJoin() },
		"hybrid":  func(w *world) { w.mustHybrid() },
		"waiting": func(w *world) { _, _ = w.hybrid() },
	} {
		w := newWorld(t)
		prepare(w)
		file := w.file()
		if err := leave(w); prterr.KindOf(err) != prterr.Denied || !bytes.Equal(file, w.file()) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w := newWorld(t)
	w.mustRegister()
	if err := leave(w); err != nil || w.file() != nil || !w.idp.knows() {
		t.Errorf("registered: %v", err)
	}
}
