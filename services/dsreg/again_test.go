package dsreg_test

import (
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// lostAnswers are the ways in which a registration that was carried out does not arrive.
func lostAnswers() map[string]func(*world) {
	return map[string]func(*world){
		"timed out":   func(w *world) { w.idp.after["RegisterDevice"] = prterr.New(prterr.Deadline, "too late") },
		"unavailable": func(w *world) { w.idp.after["RegisterDevice"] = prterr.New(prterr.Unavailable, "cut off") },
		"corrupt": func(w *world) {
			w.idp.lie = func(r *idpv1.RegisterDeviceResponse) { r.Certificate[len(r.Certificate)-1] ^= 1 }
		},
		"delivered twice, the second refused": func(w *world) {
			w.idp.after["RegisterDevice"] = prterr.New(prterr.Invalid, "answered before")
		},
	}
}

func (w *world) heal() { w.idp.lie = nil; delete(w.idp.after, "RegisterDevice") }

// TestT9_ALostAnswerIsHadAgain: the tenant has one device in the end, and it is this one;
// also when dsreg was started anew in between.
func TestT9_ALostAnswerIsHadAgain(t *testing.T) {
	for name, lose := range lostAnswers() {
		for _, restart := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t)
				lose(w)
				if _, err := w.join(); err == nil {
					t.Fatal("joined without an answer")
				}
				if s := w.mustState(); s.GetJoinState() != dsregv1.JoinState_JOIN_STATE_NONE {
					t.Errorf("in between: %v", s)
				}
				w.heal()
				if restart {
					w.restart(nil)
				}
				if id := w.mustJoin().GetDeviceId(); !w.idp.knows(id) {
					t.Errorf("the tenant has %d devices, and not only %s", len(w.idp.devices), id)
				}
				w.consistent()
				if id := w.mustJoin().GetDeviceId(); !w.idp.knows(id) {
					t.Error("a join after that is no new device in the place of the old one")
				}
			})
		}
	}
}

// TestT9_OneLostAnswerIsNotSeen: the question is put once more by itself.
func TestT9_OneLostAnswerIsNotSeen(t *testing.T) {
	w := newWorld(t)
	w.idp.after["RegisterDevice"] = prterr.New(prterr.Deadline, "too late")
	asked := 0
	w.idp.lie = func(*idpv1.RegisterDeviceResponse) {
		if asked++; asked == 2 {
			delete(w.idp.after, "RegisterDevice")
		}
	}
	if id := w.mustJoin().GetDeviceId(); !w.idp.knows(id) {
		t.Error("the tenant has another device")
	}
}

// TestT9_OtherJoinsHaveOtherKeys: what was offered for one is offered for no other, and
// not for ever; nor is what the tenant's rules refuse.
func TestT9_OtherJoinsHaveOtherKeys(t *testing.T) {
	for name, next := range map[string]func(*world) error{
		"of another user": func(w *world) error { return w.joinAs(bob, "DESKTOP-1") },
		"another name":    func(w *world) error { return w.joinAs(alice, "DESKTOP-2") },
		"another kind":    func(w *world) error { _, err := w.register(); return err },
		"too late":        func(w *world) error { w.clock.Advance(10 * time.Minute); return w.joinAs(alice, "DESKTOP-1") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			lostAnswers()["timed out"](w)
			if _, err := w.join(); err == nil {
				t.Fatal("joined without an answer")
			}
			first := w.idp.got.GetTransportKey()
			w.heal()
			if err := next(w); err != nil {
				t.Fatal(err)
			}
			if string(first) == string(w.idp.got.GetTransportKey()) {
				t.Error("the keys are those of the join before")
			}
		})
	}
	w := newWorld(t)
	w.idp.after["RegisterDevice"] = prterr.New(prterr.Denied, "not with these keys")
	if _, err := w.join(); err == nil {
		t.Fatal("joined without an answer")
	}
	first := w.idp.got.GetTransportKey()
	w.heal()
	w.mustJoin()
	if string(first) == string(w.idp.got.GetTransportKey()) {
		t.Error("the keys are those that were refused")
	}
}

func (w *world) joinAs(user, name string) error {
	_, err := dsregv1.NewRegistrationServiceClient(w.conn).JoinDevice(w.t.Context(), &dsregv1.JoinDeviceRequest{UserPrincipalName: user, Password: password, DisplayName: name})
	return err
}
