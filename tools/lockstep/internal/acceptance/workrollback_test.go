package acceptance_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// restoredWith stops a component, puts an older copy of some of its files over those of
// now, and starts it again.
func (w *world) restoredWith(component, old, folder string) {
	w.t.Helper()
	if err := w.device.Stop(component); err != nil {
		w.t.Fatal(err)
	}
	putBack(w.t, old, filepath.Join(w.device.StateDir(component), folder))
	if err := w.device.Resume(w.t.Context(), component); err != nil {
		w.t.Fatal(err)
	}
}

// copyOf is a copy of a folder of a component's state.
func (w *world) copyOf(component, folder string) string {
	w.t.Helper()
	old := filepath.Join(w.t.TempDir(), "state")
	copied(w.t, filepath.Join(w.device.StateDir(component), folder), old)
	return old
}

// TestFLT12_OldRefreshTokensAndDataKeysGainNothing: they are in no manifest, because an
// older copy opens no door that is not open anyway. A refresh token is sealed for its user
// and app and used under the session that is open, and the identity provider decides about
// each: one that it still takes brings what the app has anyway, and one that it revoked
// brings nothing. A data key of before opens nothing of now, and the PRT brings the token.
func TestFLT12_OldRefreshTokensAndDataKeysGainNothing(t *testing.T) {
	w := newWorld(t, lab.Config{Dir: t.TempDir(), TPM: "mem:"})
	w.join(w.device)
	desktop := w.signIn(w.device)
	w.wantFlows("the first token", w.tokenBy(w.device, desktop), "redeem_prt success", "data_key success")
	tokens, keys := w.copyOf("wam-broker", "tokens"), w.copyOf("lsa-cloudap", "datakeys")
	before := w.digest(w.tenant.User)
	if err := w.lab.Advance(t.Context(), 4*time.Hour+time.Minute); err != nil {
		t.Fatal(err)
	}
	w.until(w.device, "the PRT is renewed", func(p *lsav1.PartitionState) bool { return p.GetPrtDigest() != before })
	w.tokenBy(w.device, desktop)

	w.restoredWith("wam-broker", tokens, "tokens")
	w.wantFlows("with the refresh token of before", w.tokenBy(w.device, desktop), "redeem_refresh_token success")

	// Another data key, as after the file was lost; then the one of before comes back.
	signOut := func() {
		t.Helper()
		if err := w.device.LogonUI.SignOut(t.Context(), desktop); err != nil {
			t.Fatal(err)
		}
	}
	signOut() // locks the key
	if err := os.RemoveAll(filepath.Join(w.device.StateDir("lsa-cloudap"), "datakeys")); err != nil {
		t.Fatal(err)
	}
	desktop = w.signIn(w.device)
	w.wantFlows("without the data key", w.tokenBy(w.device, desktop), "data_key success", "redeem_prt success")
	w.wantFlows("with the new one", w.tokenBy(w.device, desktop), "redeem_refresh_token success")
	signOut()
	if err := os.MkdirAll(filepath.Join(w.device.StateDir("lsa-cloudap"), "datakeys"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.restoredWith("lsa-cloudap", keys, "datakeys")
	desktop = w.signIn(w.device)
	w.wantFlows("with the data key of before", w.tokenBy(w.device, desktop), "data_key success", "redeem_prt success")

	tokens = w.copyOf("wam-broker", "tokens")
	if _, err := w.admin().RevokeSessions(t.Context(), &directoryv1.RevokeSessionsRequest{UserPrincipalName: w.tenant.User}); err != nil {
		t.Fatal(err)
	}
	_, want := w.token(w.device, desktop)
	w.restoredWith("wam-broker", tokens, "tokens")
	_, got := w.token(w.device, desktop)
	if want == nil || got == nil || prterr.CodeOf(got) != prterr.CodeOf(want) {
		t.Errorf("after a revocation, with the refresh token of before: %v; without: %v", got, want)
	}
	signOut()
	w.restoredWith("wam-broker", tokens, "tokens")
	if _, err := w.token(w.device, desktop); prterr.KindOf(err) != prterr.Unauthenticated {
		t.Errorf("after the sign-off: %v", err)
	}
}

// TestFLT12_AnOldWorkAccountIsDetected: a copy of the work accounts of an earlier day has
// the PRT of that day, or an account that its user removed since. On the real agent it is
// found out, together with the agent's own files of that day too; the user adds the account
// again, and that is all.
func TestFLT12_AnOldWorkAccountIsDetected(t *testing.T) {
	for name, agentToo := range map[string]bool{"the accounts": false, "the accounts and the agent's files": true} {
		t.Run(name, func(t *testing.T) {
			w, desktop := registeredDevice(t, lab.Config{Dir: t.TempDir(), TPM: "soft:"})
			w.mustToken(desktop)
			old, oldAgent := w.copyOf("wam-broker", "."), w.copyOf("tpm-agent", ".")
			before := w.work().GetPrtDigest()
			w.advance(5 * time.Hour)
			w.mustToken(desktop) // the renewal is behind it
			w.awaitWork(func(a *wamv1.AccountState) bool { return !a.GetRenewalRunning() && a.GetPrtDigest() != before })

			if agentToo { // all but the TPM, which is a chip elsewhere
				if err := os.RemoveAll(filepath.Join(oldAgent, "tpm.state")); err != nil {
					t.Fatal(err)
				}
				w.restoredWith("tpm-agent", oldAgent, ".")
			}
			w.restoredWith("wam-broker", old, ".")
			if all, err := w.device.Operator.WorkAccounts(t.Context()); err != nil || len(all) != 0 {
				t.Errorf("there is %v, %v", all, err)
			}
			if _, err := w.token(w.device, desktop); prterr.KindOf(err) != prterr.Interaction {
				t.Errorf("with the old account: %v", err)
			}
			if aside, err := filepath.Glob(filepath.Join(w.device.StateDir("wam-broker"), "quarantine", "*.json.*")); err != nil || len(aside) != 1 {
				t.Errorf("in quarantine: %v, %v", aside, err)
			}
			if _, err := w.settings(w.device, desktop); err != nil {
				t.Fatal(err)
			}
			w.mustToken(desktop)
		})
	}
}
