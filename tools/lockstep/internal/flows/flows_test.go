package flows_test

import (
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/flows"
)

// TestFlows runs the scripts under testdata, each in a lab of its own. The
// output of a command is the ladder of what ran, read from the spans. Run with
// -rewrite to renew the files, and commit only what you understand.
func TestFlows(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		t.Parallel()
		r, err := flows.New(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		})
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			return r.Run(t.Context(), d)
		})
	})
}
