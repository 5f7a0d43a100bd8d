package flows_test

import (
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/flows"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// TestFlows runs the scripts under testdata, each in a lab of its own. The
// output of a command is the ladder of what ran, read from the spans. A row that a
// script proves is a subtest, such as TestFlows/30_registered_device/REG10. Run with
// -rewrite to renew the files, and commit only what you understand.
func TestFlows(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		t.Parallel()
		r := runner(t, lab.Config{TPM: "mem:"})
		if rewriting() {
			datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return r.Run(t.Context(), d) })
			return
		}
		play(t, path, func(t testing.TB, d *datadriven.TestData) string { return r.Run(t.Context(), d) })
	})
}

// TestFlowsOverHTTPS runs the same scripts with the device speaking Entra's HTTPS
// protocol to the cloud, and WS-Trust to the federation provider. Every lettered
// row and every outcome must be the same; how many calls carry a row may differ.
func TestFlowsOverHTTPS(t *testing.T) {
	sameRows(t, lab.Config{TPM: "mem:", HTTPS: true})
}

// TestFlowsWithNativeSessionKeys runs them with session keys that only the TPM
// derives from, over both carriers.
func TestFlowsWithNativeSessionKeys(t *testing.T) {
	for name, https := range map[string]bool{"gRPC": false, "HTTPS": true} {
		t.Run(name, func(t *testing.T) { sameRows(t, lab.Config{TPM: "mem:", HTTPS: https, NativeSessionKeys: true}) })
	}
}

func sameRows(t *testing.T, cfg lab.Config) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		t.Parallel()
		r := runner(t, cfg)
		play(t, path, func(t testing.TB, d *datadriven.TestData) string {
			got := r.Run(t.Context(), d)
			if lettered(got) == lettered(d.Expected) {
				return d.Expected
			}
			t.Fatalf("%s: %s\ngot\n%s\nwant, but for the lines without a letter,\n%s", d.Pos, d.Cmd, got, d.Expected)
			return ""
		})
	})
}

func runner(t *testing.T, cfg lab.Config) *flows.Runner {
	t.Helper()
	r := flows.New(cfg)
	r.OnCrash(func(at string) { panic("killed at " + at) })
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// lettered leaves out the calls that no table gives a letter to.
func lettered(output string) string {
	var b strings.Builder
	for line := range strings.Lines(output) {
		if !strings.HasPrefix(line, "   ") {
			b.WriteString(line)
		}
	}
	return b.String()
}
