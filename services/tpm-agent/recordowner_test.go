package tpmagent_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	tpmagent "github.com/lockstep-sso/lockstep/services/tpm-agent"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/tpmagenttest"
)

// TestA43_EachCallerHasARecordOfItsOwn: what wam-broker writes, or confirms, is nothing to
// lsa-cloudap's record, and neither can be given the other's, not even by whoever may write
// the agent's folder.
func TestA43_EachCallerHasARecordOfItsOwn(t *testing.T) {
	onBoth(t, func(t *testing.T, tpm transport.TPM) {
		dir := t.TempDir()
		a := tpmagenttest.Start(t, tpmagent.Config{StateDir: dir, Transport: tpm})
		wam := tpmv1.NewStateRecordServiceClient(a.Dial("wam-broker"))
		outcome := func(state string) tpmv1.StateOutcome {
			t.Helper()
			r, err := wam.CheckState(t.Context(), &tpmv1.CheckStateRequest{Digest: tpmagenttest.State(state)})
			if err != nil {
				t.Fatal(err)
			}
			return r.GetOutcome()
		}
		a.Write(t, "lsa")
		lsas := files(t, dir, "*.record")
		if got := outcome("lsa"); got != stateUnknown {
			t.Errorf("lsa-cloudap's state is %v to wam-broker", got)
		}
		a.Begin(t, "lsa's next")
		if _, err := wam.ConfirmState(t.Context(), &tpmv1.ConfirmStateRequest{Digest: tpmagenttest.State("lsa's next")}); prterr.KindOf(err) != prterr.Conflict {
			t.Errorf("wam-broker confirms what lsa-cloudap announced: %v", err)
		}
		for _, state := range []string{"wam", "wam 2"} {
			if _, err := wam.BeginState(t.Context(), &tpmv1.BeginStateRequest{Digest: tpmagenttest.State(state)}); err != nil {
				t.Fatal(err)
			}
			if _, err := wam.ConfirmState(t.Context(), &tpmv1.ConfirmStateRequest{Digest: tpmagenttest.State(state)}); err != nil {
				t.Fatal(err)
			}
		}
		if got := a.Outcome(t, "lsa"); got != stateCurrent {
			t.Errorf("after wam-broker has written lsa-cloudap's state is %v", got)
		}
		if got := outcome("wam 2"); got != stateCurrent {
			t.Errorf("wam-broker's state is %v", got)
		}
		all := files(t, dir, "*.record")
		path := slices.Collect(maps.Keys(lsas))[0]
		for other, raw := range all {
			if other != path {
				restore(t, map[string][]byte{path: raw})
			}
		}
		for _, state := range []string{"lsa", "wam 2"} {
			if got := a.Outcome(t, state); len(all) != 2 || got != stateStale {
				t.Errorf("with wam-broker's record in the place of lsa-cloudap's %q is %v", state, got)
			}
		}
	})
}
