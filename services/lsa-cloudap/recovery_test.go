package lsacloudap_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
)

var errKeysLost = prterr.New(prterr.KeysLost, "the TPM does not know this key any more")

// lose has the tpm-agent say in an operation that keys are lost, until recovery.
func (w *world) lose(operation string, outcome dsregv1.RecoveryOutcome) {
	w.tpm.set(func(f *faults) { f.on = map[string]error{operation: errKeysLost} })
	w.dsreg.outcome = outcome
	w.dsreg.recovered = func() {
		if outcome == dsregv1.RecoveryOutcome_RECOVERY_OUTCOME_RECOVERED {
			w.tpm.set(func(f *faults) { f.on = nil })
		}
	}
}

func count(calls []string, name string) (n int) {
	for _, c := range calls {
		if c == name {
			n++
		}
	}
	return n
}

// A first sign-in that meets lost keys starts recovery once and goes on, with nobody
// asked for anything again.
func TestREG21_ASignInGoesOnAfterRecovery(t *testing.T) {
	for _, operation := range []string{"tpm:SignPRTRequest", "tpm:ImportSessionKey"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.lose(operation, dsregv1.RecoveryOutcome_RECOVERY_OUTCOME_RECOVERED)
			got := w.start().signIn(alice)
			calls := w.took()
			if got.GetFromCache() || got.GetLogonSession() == "" || count(calls, "dsreg:StartRecovery") != 1 || len(w.stored()) != 1 {
				t.Errorf("%s: %v, calls %v", operation, got, calls)
			}
		})
	}
}

// A user who is known signs in from the cache meanwhile; recovery goes on behind it.
func TestREG21_ACachedSignInStartsRecoveryBehindIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.logoff(m.signIn(alice).GetLogonSession())
		before := m.only().GetPrtDigest()
		w.took()
		w.tpm.set(func(f *faults) {
			f.on = map[string]error{"tpm:SignTokenRequest": errKeysLost, "tpm:SignPRTRequest": errKeysLost, "tpm:SignPRTRenewal": errKeysLost}
		})
		w.dsreg.outcome = dsregv1.RecoveryOutcome_RECOVERY_OUTCOME_RECOVERED
		w.dsreg.recovered = func() { w.tpm.set(func(f *faults) { f.on = nil }) }
		session := m.signIn(alice).GetLogonSession()
		if _, err := m.sign(session); prterr.KindOf(err) != prterr.KeysLost {
			t.Fatalf("the PRT of lost keys: %v", err)
		}
		got := m.signIn(alice)
		synctest.Wait()
		if !got.GetFromCache() || m.only().GetPrtDigest() == before || count(w.took(), "dsreg:StartRecovery") != 1 {
			t.Errorf("from the cache %v, state %v", got.GetFromCache(), m.only())
		}
		if _, err := m.sign(got.GetLogonSession()); err != nil {
			t.Errorf("after the recovery: %v", err)
		}
	})
}

// What does not end well says who has to do what, and is tried once.
func TestREG22_ASignInThatCannotRecoverSaysWhoCan(t *testing.T) {
	for name, c := range map[string]struct {
		outcome dsregv1.RecoveryOutcome
		fail    error
		kind    prterr.Kind
		want    string
	}{
		"a sync is needed":          {outcome: dsregv1.RecoveryOutcome_RECOVERY_OUTCOME_PENDING, kind: prterr.KeysLost, want: "sync of its domain"},
		"an administrator":          {outcome: dsregv1.RecoveryOutcome_RECOVERY_OUTCOME_ADMINISTRATOR_NEEDED, kind: prterr.KeysLost, want: "administrator of the device"},
		"nobody knows":              {outcome: 99, kind: prterr.Unavailable, want: "outcome is not known"},
		"well, and lost once again": {outcome: dsregv1.RecoveryOutcome_RECOVERY_OUTCOME_NOT_NEEDED, kind: prterr.KeysLost, want: "does not know this key"},
		"the TPM does not work":     {fail: prterr.New(prterr.TPMFailed, "repair it"), kind: prterr.TPMFailed, want: "repair it"},
		"dsreg is away":             {fail: errNetwork, kind: prterr.Unavailable, want: ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.lose("tpm:SignPRTRequest", c.outcome)
			if c.fail != nil {
				w.dsreg.set(func(f *faults) { f.on = map[string]error{"dsreg:StartRecovery": c.fail} })
			}
			got, err := w.start().try(alice, password)
			if prterr.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) || got.GetLogonSession() != "" {
				t.Errorf("%s: %v, %v", name, got, err)
			}
			if n := count(w.took(), "dsreg:StartRecovery"); n != 1 || len(w.stored()) != 0 {
				t.Errorf("%s: recovery was started %d times", name, n)
			}
		})
	}
}

// A TPM that does not work today may work tomorrow: nothing is recovered.
func TestPRO07_ABrokenTPMStartsNoRecovery(t *testing.T) {
	for _, kind := range []prterr.Kind{prterr.TPMFailed, prterr.Unavailable, prterr.Denied, prterr.Deadline, prterr.Internal} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.tpm.set(func(f *faults) { f.on = map[string]error{"tpm:SignPRTRequest": prterr.New(kind, "no")} })
			if _, err := w.start().try(alice, password); prterr.KindOf(err) != kind {
				t.Errorf("%s: %v", kind, err)
			}
			if calls := w.took(); slices.Contains(calls, "dsreg:StartRecovery") {
				t.Errorf("%s: calls %v", kind, calls)
			}
		})
	}
}

// TestASmartCardProvesOnce: its proof was used at the federation provider before the
// keys were found to be lost, and would be a replay there. What was lost is recovered,
// and the user is told to use the card again.
func TestASmartCardProvesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		w.lose("tpm:SignPRTRequest", dsregv1.RecoveryOutcome_RECOVERY_OUTCOME_RECOVERED)
		_, err := m.byCard(ada)
		calls := w.took()
		if prterr.KindOf(err) != prterr.Conflict || !strings.Contains(err.Error(), "once more") || count(calls, "adfs:IssueToken") != 1 {
			t.Errorf("%v, after %v", err, calls)
		}
		if _, err := m.byCard(ada); err != nil {
			t.Errorf("once more: %v", err)
		}
	})
}
