package dsreg_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
)

// member is the membership that the device tells; the same after a restart.
func (w *world) member() string {
	w.t.Helper()
	before := w.mustState().GetMembershipId()
	w.restart(nil)
	after := w.mustState()
	if _, err := ids.ParseMembership(before); (err == nil) != (after.GetJoinState() != dsregv1.JoinState_JOIN_STATE_NONE) || after.GetMembershipId() != before {
		w.t.Errorf("membership %q, after a restart %v", before, after)
	}
	return before
}

// TestREG20_AJoinBeginsAMembershipAndALeaveEndsIt: each way in begins one, with an identity
// before it or without.
func TestREG20_AJoinBeginsAMembershipAndALeaveEndsIt(t *testing.T) {
	for name, enrol := range map[string]func(*world) error{
		"join":     func(w *world) error { _, err := w.join(); return err },
		"register": func(w *world) error { _, err := w.register(); return err },
		"hybrid":   func(w *world) error { w.mustHybrid(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			seen := map[string]bool{}
			for _, local := range []bool{false, true} {
				if err := enrol(w); err != nil {
					t.Fatal(err)
				}
				m := w.member()
				if seen[m] {
					t.Errorf("the membership %s is one of before", m)
				}
				seen[m] = true
				if err := w.leave(local); err != nil {
					t.Fatal(err)
				}
				if m := w.member(); m != "" {
					t.Errorf("a membership of nobody: %s", m)
				}
			}
			w.mustJoin()
			if first, _ := w.member(), w.mustJoin(); seen[first] || w.member() == first {
				t.Error("a join over a join goes on with its membership")
			}
		})
	}
}

// recoverBy is a recovery by an administrator, when the test after a start is over.
func recoverBy(w *world) error {
	w.until("the keys are tested", func() bool { return w.mustState().GetKeySignTest() != notRun })
	_, err := w.recover(alice, password)
	return err
}

// TestREG21_ARecoveryIsNoNewMembership: whoever makes the new keys, and whether or not the
// device gets a new id.
func TestREG21_ARecoveryIsNoNewMembership(t *testing.T) {
	for name, c := range map[string]struct {
		enrol, recover func(*world) error
	}{
		"by an administrator": {
			func(w *world) error { _, err := w.join(); return err },
			recoverBy,
		},
		"registered": {
			func(w *world) error { _, err := w.register(); return err },
			recoverBy,
		},
		"by itself": {
			func(w *world) error { w.mustHybrid(); return nil },
			func(w *world) error {
				w.recovers(pending)
				w.restart(nil)
				w.sync()
				w.recovers(recovered)
				return nil
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if err := c.enrol(w); err != nil {
				t.Fatal(err)
			}
			before, device := w.member(), w.tpm.holds()
			w.tpm.wipe()
			if m := w.member(); m != before {
				t.Errorf("lost keys end the membership: %s", m)
			}
			if err := c.recover(w); err != nil {
				t.Fatal(err)
			}
			if m := w.member(); m != before || string(device) == string(w.tpm.holds()) {
				t.Errorf("before %s, after %s", before, m)
			}
		})
	}
}

// TestPRO13_NewKeysAreNoNewMembership: also when the answer was lost on the way, and the
// exchange goes on after a restart.
func TestPRO13_NewKeysAreNoNewMembership(t *testing.T) {
	w := newWorld(t)
	onSoftware(w)
	before := w.member()
	w.tpm.before["InstallDeviceCertificate"] = prterr.New(prterr.Unavailable, "not now")
	if _, err := w.migrate(); err == nil {
		t.Fatal("migrated without the TPM")
	}
	if m := w.member(); m != before {
		t.Errorf("half way: %s", m)
	}
	delete(w.tpm.before, "InstallDeviceCertificate")
	if _, err := w.migrate(); err != nil {
		t.Fatal(err)
	}
	if m := w.member(); m != before {
		t.Errorf("before %s, after %s", before, m)
	}
}

// TestREG20_ALostAnswerIsOneMembership: what the TPM has installed is what was written down
// before, and a join that is asked again is the one that nobody was a member by yet.
func TestREG20_ALostAnswerIsOneMembership(t *testing.T) {
	w := newWorld(t)
	w.tpm.after["InstallDeviceCertificate"] = prterr.New(prterr.Unavailable, "answer lost")
	w.mustJoin()
	first := w.member()
	delete(w.tpm.after, "InstallDeviceCertificate")
	w.idp.after["RegisterDevice"] = prterr.New(prterr.Deadline, "too late")
	if _, err := w.join(); err == nil {
		t.Fatal("joined without an answer")
	}
	if m := w.member(); m != first {
		t.Errorf("a join that did not happen: %s, then %s", first, m)
	}
	delete(w.idp.after, "RegisterDevice")
	w.mustJoin()
	if m := w.member(); m == first || m == "" {
		t.Errorf("the new join: %s", m)
	}
}

// TestACrashInARecoveryKeepsTheMembership: at no point is it another one.
func TestACrashInARecoveryKeepsTheMembership(t *testing.T) {
	before := map[*world]string{}
	everyCrash(t, func(w *world) {
		w.mustJoin()
		before[w] = w.member()
	}, func(w *world) error {
		w.until("the keys are tested", func() bool { return w.mustState().GetKeySignTest() != notRun })
		w.tpm.wipe()
		_, err := w.recover(alice, password)
		return err
	}, func(t *testing.T, w *world) {
		if m := w.member(); m != before[w] {
			t.Errorf("before %s, after %s", before[w], m)
		}
		if err := recoverBy(w); err != nil && !strings.Contains(err.Error(), "are well") {
			t.Fatal(err)
		}
		if m := w.member(); m != before[w] {
			t.Errorf("before %s, after the recovery %s", before[w], m)
		}
	}, "pending-written", "installed", "current-written")
}

// TestAnOlderStateFileHasAMembership: the same one at each start, though nothing is written,
// and the same one when the file is written anew.
func TestAnOlderStateFileHasAMembership(t *testing.T) {
	for _, version := range []int{1, 2, 3} {
		w := newWorld(t)
		w.mustJoin()
		w.ofVersion(version)
		file := string(w.file())
		before := w.member()
		if before == "" || string(w.file()) != file {
			t.Errorf("version %d: membership %q, file %s", version, before, w.file())
		}
		w.tpm.wipe()
		w.recovers(byAdmin) // which is written down
		if m := w.member(); m != before || string(w.file()) == file {
			t.Errorf("version %d: before %s, when it is written %s", version, before, m)
		}
		if err := recoverBy(w); err != nil {
			t.Fatal(err)
		}
		if m := w.member(); m != before {
			t.Errorf("version %d: before %s, after a recovery %s", version, before, m)
		}
		w.mustJoin()
		if m := w.member(); m == before {
			t.Errorf("version %d: a new join is of the old membership", version)
		}
	}
}

// ofVersion puts the state file of a joined device into the form of an earlier version, and
// has dsreg start on it.
func (w *world) ofVersion(version int) {
	w.t.Helper()
	if version == 1 {
		w.olderFile()
		return
	}
	var m map[string]any
	if err := json.Unmarshal(w.file(), &m); err != nil {
		w.t.Fatal(err)
	}
	m["version"] = version
	delete(m["current"].(map[string]any), "membership_id")
	data, err := json.Marshal(m)
	if err == nil {
		err = os.WriteFile(filepath.Join(w.dir, "device.json"), data, 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.restart(nil)
}
