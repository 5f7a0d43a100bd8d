package flows_test

import (
	"path/filepath"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/lockstep-sso/lockstep/services/idp/idptest"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// TestDEP06_FlowsOverReplicas runs the scripts of the core, and some of what ends a PRT,
// with three identity providers behind one address. Each ladder must be the one that a
// single identity provider has. With HTTPS, where connections differ, every lettered row.
func TestDEP06_FlowsOverReplicas(t *testing.T) {
	if rewriting() {
		t.Skip("a run with -rewrite is about one identity provider")
	}
	database := idptest.Databases(t)
	for _, script := range []string{"1_first_sign_in", "2_app_token", "3_renewal", "4_browser_sso", "6_federated", "7_end_of_trust", "9_recovery_by_administrator", "54_new_keys_in_the_cloud"} {
		t.Run(script, func(t *testing.T) {
			r := runner(t, lab.Config{TPM: "mem:", Replicas: 3, Database: database(t)})
			play(t, filepath.Join("testdata", script+".txt"), func(t testing.TB, d *datadriven.TestData) string { return r.Run(t.Context(), d) })
		})
	}
	t.Run("HTTPS/2_app_token", func(t *testing.T) {
		r := runner(t, lab.Config{TPM: "mem:", HTTPS: true, Replicas: 3, Database: database(t)})
		play(t, filepath.Join("testdata", "2_app_token.txt"), func(t testing.TB, d *datadriven.TestData) string {
			got := r.Run(t.Context(), d)
			if lettered(got) == lettered(d.Expected) {
				return d.Expected
			}
			return got
		})
	})
}
