package dsreg_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
)

// crashAt panics at the n-th point and tells the name of every point.
func crashAt(n int, names *[]string) durable.Points {
	return func(point string) {
		*names = append(*names, point)
		if len(*names) == n+1 {
			panic("killed at " + point)
		}
	}
}

// consistent reports what the device says it is, and sees that the TPM holds the
// key for it.
func (w *world) consistent() *dsregv1.GetDeviceStateResponse {
	w.t.Helper()
	s := w.mustState()
	held := w.tpm.holds()
	if s.GetJoinState() == dsregv1.JoinState_JOIN_STATE_NONE {
		if held != nil {
			w.t.Error("the TPM holds an identity that the state does not know")
		}
		return s
	}
	if got := thumbprint(held); s.GetCertificateThumbprint() != got {
		w.t.Errorf("the state names certificate %s, the TPM holds %s", s.GetCertificateThumbprint(), got)
	}
	return s
}

// everyCrash kills dsreg at each point of a change, one world each, starts it
// again and hands over what is left. points are those that have to be among them.
func everyCrash(t *testing.T, prepare func(*world), change func(*world) error, check func(*testing.T, *world), points ...string) {
	t.Helper()
	var all []string
	dry := newWorld(t)
	prepare(dry)
	dry.restart(crashAt(-1, &all))
	if err := change(dry); err != nil {
		t.Fatal(err)
	}
	for _, p := range append(points, "temp-created", "temp-written", "renamed") {
		if !slices.Contains(all, p) {
			t.Errorf("%s is not among the points %v", p, all)
		}
	}
	for n, name := range all {
		t.Run(fmt.Sprintf("%d-%s", n, name), func(t *testing.T) {
			var reached []string
			w := newWorld(t)
			prepare(w)
			w.restart(crashAt(n, &reached))
			if err := change(w); prterr.KindOf(err) != prterr.Internal || len(reached) != n+1 {
				t.Fatalf("not killed at %s: %v, %v", name, err, reached)
			}
			w.restart(nil)
			check(t, w)
		})
	}
}

func TestACrashInAnEnrolmentLeavesOldOrNew(t *testing.T) {
	for name, way := range enrolments() {
		t.Run(name, func(t *testing.T) {
			prepare := func(w *world) {
				if err := way.prepare(w); err != nil {
					w.t.Fatal(err)
				}
			}
			everyCrash(t, prepare, way.enrol, func(t *testing.T, w *world) {
				s := w.consistent()
				if strings.Contains(name, " ") && s.GetDeviceId() == "" {
					t.Error("neither the old identity nor the new one is there")
				}
				if d := s.GetDeviceId(); d != "" && w.idp.devices[deviceID(d)] == nil {
					t.Error("the tenant does not have the device")
				}
				if name == "register" && s.GetDeviceId() != "" {
					w.isRegistered(t, s.GetDeviceId())
					return
				}
				if err := way.enrol(w); err != nil {
					t.Fatalf("trying again: %v", err)
				}
				if again := w.consistent(); again.GetDeviceId() == s.GetDeviceId() || len(w.tpm.sets) != 1 {
					t.Errorf("after trying again: %v, %d key sets", again, len(w.tpm.sets))
				}
			}, "keys-created", "enrolling-written", "registered", "pending-written", "installed", "current-written")
		})
	}
}

func TestACrashInALeaveLeavesOldOrNothing(t *testing.T) {
	for _, local := range []bool{false, true} {
		t.Run(fmt.Sprintf("local-%v", local), func(t *testing.T) {
			points := []string{"leaving", "keys-destroyed"}
			if !local {
				points = append(points, "tenant-told")
			}
			everyCrash(t, func(w *world) { w.mustJoin() }, func(w *world) error { return w.leave(local) }, func(t *testing.T, w *world) {
				if s := w.consistent(); s.GetJoinState() == dsregv1.JoinState_JOIN_STATE_JOINED {
					if err := w.leave(local); err != nil {
						t.Errorf("leaving again: %v", err)
					}
				}
				w.isGone(t)
				if !local && !w.idp.knows() {
					t.Error("the tenant still has the device")
				}
				w.mustJoin()
			}, points...)
		})
	}
}

// The TPM installed the certificate and its answer got lost.
func TestALostAnswerToAnInstallation(t *testing.T) {
	w := newWorld(t)
	w.mustJoin()
	old := w.tpm.holds()
	w.tpm.after["InstallDeviceCertificate"] = prterr.New(prterr.Unavailable, "answer lost")
	joined := w.mustJoin()
	if s := w.consistent(); s.GetDeviceId() != joined.GetDeviceId() || bytes.Equal(old, w.tpm.holds()) {
		t.Errorf("state %v", s)
	}
	if !w.idp.knows(joined.GetDeviceId()) {
		t.Error("the old device was not removed")
	}
}

// After a crash only the TPM knows who the device is. Without it no identity is
// answered, neither the old nor the new; with it the new one.
func TestAnInterruptedJoinWaitsForTheTPM(t *testing.T) {
	w := newWorld(t)
	w.mustJoin()
	w.restart(func(point string) {
		if point == "installed" {
			panic("killed")
		}
	})
	if _, err := w.join(); prterr.KindOf(err) != prterr.Internal {
		t.Fatalf("got %v", err)
	}
	w.toTPM.cut(true)
	w.restart(nil)
	if s, err := w.state(); prterr.KindOf(err) != prterr.Unavailable {
		t.Errorf("without the tpm-agent: %v, %v", s, err)
	}
	if _, err := w.join(); prterr.KindOf(err) != prterr.Unavailable {
		t.Errorf("a join without the tpm-agent: %v", err)
	}
	if err := w.leave(true); prterr.KindOf(err) != prterr.Unavailable {
		t.Errorf("a leave without the tpm-agent: %v", err)
	}
	w.toTPM.cut(false)
	if s := w.consistent(); s.GetJoinState() != dsregv1.JoinState_JOIN_STATE_JOINED {
		t.Errorf("state %v", s)
	}
	w.toTPM.cut(true) // and from here on without it
	w.restart(nil)
	if s := w.mustState(); s.GetJoinState() != dsregv1.JoinState_JOIN_STATE_JOINED {
		t.Errorf("state %v", s)
	}
}
