package tpmagent_test

import (
	"os"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	tpmagent "github.com/lockstep-sso/lockstep/services/tpm-agent"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/tpmagenttest"
)

const (
	stateCurrent = tpmv1.StateOutcome_STATE_OUTCOME_CURRENT
	stateStale   = tpmv1.StateOutcome_STATE_OUTCOME_STALE
	stateUnknown = tpmv1.StateOutcome_STATE_OUTCOME_NO_RECORD
)

// TestA43_FLT12_AnOldStateRecordDoesNotPass: whoever brings back a component's old files
// brings back the agent's of the same day too, at every point of a write.
func TestA43_FLT12_AnOldStateRecordDoesNotPass(t *testing.T) {
	onBoth(t, func(t *testing.T, tpm transport.TPM) {
		dir := t.TempDir()
		a := tpmagenttest.Start(t, tpmagent.Config{StateDir: dir, Transport: tpm})
		if got := a.Outcome(t, "one"); got != stateUnknown {
			t.Fatalf("before the first write: %v", got)
		}
		a.Write(t, "one")
		confirmed := files(t, dir, "*.record")
		a.Begin(t, "two")
		begun := files(t, dir, "*.record")
		if got := a.Outcome(t, "one"); got != stateCurrent {
			t.Errorf("between the phases: %v", got)
		}
		a.Write(t, "three")
		fresh := files(t, dir, "*.record")
		for name, old := range map[string]map[string][]byte{"confirmed": confirmed, "begun": begun} {
			restore(t, old)
			for _, s := range []string{"one", "two"} {
				if got := a.Outcome(t, s); got != stateStale {
					t.Errorf("%s, with the record of when that was %s: %v", s, name, got)
				}
			}
		}
		restore(t, fresh)
		if got := a.Outcome(t, "three"); got != stateCurrent {
			t.Errorf("the newest record: %v", got)
		}
		for path, raw := range fresh { // edited, then removed
			edited := append([]byte(nil), raw...)
			edited[len(edited)-6] ^= 1
			if err := os.WriteFile(path, edited, 0o600); err != nil {
				t.Fatal(err)
			}
			if got := a.Outcome(t, "three"); got != stateStale {
				t.Errorf("an edited record: %v", got)
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if got := a.Outcome(t, "three"); got != stateStale {
				t.Errorf("a record that was removed: %v", got)
			}
		}
		a.Write(t, "four") // its owner goes on
		if got := a.Outcome(t, "four"); got != stateCurrent {
			t.Errorf("after that: %v", got)
		}
		restore(t, fresh)
		if got := a.Outcome(t, "three"); got != stateStale {
			t.Errorf("the record from before: %v", got)
		}
	})
}

// TestAStateRecordSurvivesACrashBeforeTheTPMCounts: the record is one ahead then.
func TestAStateRecordSurvivesACrashBeforeTheTPMCounts(t *testing.T) {
	dir := t.TempDir()
	tpm, err := softtpm.New(softtpm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	crash := &refuseIncrement{TPM: tpm}
	a := tpmagenttest.Start(t, tpmagent.Config{StateDir: dir, Transport: crash})
	a.Write(t, "one")
	old := files(t, dir, "*.record")
	a.Begin(t, "two")
	crash.on = true
	if _, err := a.Records().ConfirmState(t.Context(), &tpmv1.ConfirmStateRequest{Digest: tpmagenttest.State("two")}); err == nil {
		t.Fatal("the crash did not happen")
	}
	if _, err := a.Records().CheckState(t.Context(), &tpmv1.CheckStateRequest{Digest: tpmagenttest.State("two")}); prterr.KindOf(err) != prterr.TPMFailed {
		t.Errorf("while the TPM fails, which is no outcome: %v", err)
	}
	crash.on = false
	if got := a.Outcome(t, "two"); got != stateCurrent {
		t.Errorf("the state that was written: %v", got)
	}
	restore(t, old)
	if got := a.Outcome(t, "one"); got != stateStale {
		t.Errorf("the one before: %v", got)
	}
}

// TestAClearedTPMHasNoRecord: its keys are gone too, so there is nothing to protect.
func TestAClearedTPMHasNoRecord(t *testing.T) {
	onBoth(t, func(t *testing.T, tpm transport.TPM) {
		a := tpmagenttest.Start(t, tpmagent.Config{Transport: tpm})
		a.Write(t, "one")
		if _, err := (tpm2.Clear{AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHLockout, Auth: tpm2.PasswordAuth(nil)}}).Execute(tpm); err != nil {
			t.Fatal(err)
		}
		if got := a.Outcome(t, "one"); got != stateUnknown {
			t.Errorf("after TPM2_Clear: %v", got)
		}
		a.Write(t, "two")
		if got := a.Outcome(t, "two"); got != stateCurrent {
			t.Errorf("the next write: %v", got)
		}
	})
}
