package tpmagenttest

import (
	"crypto/sha256"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

// Records is the agent's door for lsa-cloudap's state record.
func (a *Agent) Records() tpmv1.StateRecordServiceClient {
	return tpmv1.NewStateRecordServiceClient(a.Dial("lsa-cloudap"))
}

// State is a digest that stands for a state.
func State(name string) []byte {
	sum := sha256.Sum256([]byte(name))
	return sum[:]
}

// Write goes through both phases of a write.
func (a *Agent) Write(t testing.TB, state string) {
	t.Helper()
	a.Begin(t, state)
	if _, err := a.Records().ConfirmState(t.Context(), &tpmv1.ConfirmStateRequest{Digest: State(state)}); err != nil {
		t.Fatal(err)
	}
}

// Begin is the first phase.
func (a *Agent) Begin(t testing.TB, state string) {
	t.Helper()
	if _, err := a.Records().BeginState(t.Context(), &tpmv1.BeginStateRequest{Digest: State(state)}); err != nil {
		t.Fatal(err)
	}
}

// Outcome of a check.
func (a *Agent) Outcome(t testing.TB, state string) tpmv1.StateOutcome {
	t.Helper()
	r, err := a.Records().CheckState(t.Context(), &tpmv1.CheckStateRequest{Digest: State(state)})
	if err != nil {
		t.Fatal(err)
	}
	return r.GetOutcome()
}

// stateRecord is what a component relies on: the last confirmed digest is current, a
// write between its phases has two current digests until one is found, and nothing
// older ever is.
func (a *Agent) stateRecord(t *testing.T) {
	const current, stale = tpmv1.StateOutcome_STATE_OUTCOME_CURRENT, tpmv1.StateOutcome_STATE_OUTCOME_STALE
	expect := func(when string, want tpmv1.StateOutcome, states ...string) {
		t.Helper()
		for _, s := range states {
			if got := a.Outcome(t, s); got != want {
				t.Errorf("%s, %s is %v", when, s, got)
			}
		}
	}
	if got := a.Outcome(t, "never"); got == current {
		t.Errorf("a state that was never written is %v", got)
	}
	a.Write(t, "one")
	expect("after one", current, "one", "one")
	expect("after one", stale, "never")
	a.Write(t, "two")
	expect("after two", stale, "one")
	a.Begin(t, "three")
	expect("three was announced and did not happen", current, "two")
	expect("that was settled", stale, "three")
	a.Begin(t, "four")
	expect("four was announced and happened", current, "four")
	expect("that was settled", stale, "two")
	a.Begin(t, "five")
	a.Begin(t, "six")
	expect("five was given up for six", stale, "five")
	expect("five was given up for six", current, "six")
	for name, call := range map[string]func([]byte) error{
		"begin": func(d []byte) error {
			_, err := a.Records().BeginState(t.Context(), &tpmv1.BeginStateRequest{Digest: d})
			return err
		},
		"confirm": func(d []byte) error {
			_, err := a.Records().ConfirmState(t.Context(), &tpmv1.ConfirmStateRequest{Digest: d})
			return err
		},
		"check": func(d []byte) error {
			_, err := a.Records().CheckState(t.Context(), &tpmv1.CheckStateRequest{Digest: d})
			return err
		},
	} {
		if err := call(State("x")[:31]); prterr.KindOf(err) != prterr.Invalid {
			t.Errorf("%s with 31 bytes: %v", name, err)
		}
	}
	if _, err := a.Records().ConfirmState(t.Context(), &tpmv1.ConfirmStateRequest{Digest: State("seven")}); prterr.KindOf(err) != prterr.Conflict {
		t.Errorf("a digest that nobody announced was confirmed: %v", err)
	}
	expect("at the end", current, "six")
}
