package whatif_test

import (
	"slices"
	"testing"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/whatif"
)

// world is a simulation with the embedded people.
func world(t testing.TB, cfg whatif.Config) *whatif.World {
	t.Helper()
	cfg.Dir = t.TempDir()
	w, err := whatif.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// under runs a part of the lattice under a policy file.
func under(t testing.TB, w *whatif.World, policies string, n whatif.Narrow) []whatif.Ran {
	t.Helper()
	cells, err := w.Cells(n)
	if err != nil {
		t.Fatal(err)
	}
	document := []byte(policies)
	if len(policies) < 64 {
		if document, err = whatif.PolicyFile(policies); err != nil {
			t.Fatal(err)
		}
	}
	ran, err := w.Under(t.Context(), document, cells)
	if err != nil {
		t.Fatal(err)
	}
	return ran
}

const compliant = `policies:
  - {id: c4d2e8f1-6a37-4b95-9e08-1d7f5c3b2a03, name: Compliant, include_users: [All], include_resources: [All], grant: compliant_device}
`

func TestNEW08_ADifferenceBetweenTwoPolicySetsIsWhatTheyChange(t *testing.T) {
	w := world(t, whatif.Config{})
	n := whatif.Narrow{Users: []string{"ben"}, Credentials: []whatif.Credential{whatif.Password}, Modes: []whatif.Mode{whatif.Native, whatif.Browser}, Apps: []string{"Microsoft Graph"}}
	open, closed := under(t, w, "none", n), under(t, w, compliant, n)
	if len(open) != 2*len(whatif.DeviceStates()) {
		t.Fatalf("%d cells", len(open))
	}
	changes := whatif.Diff(open, closed)
	changed := func(r whatif.Ran) bool {
		return slices.ContainsFunc(changes, func(c whatif.Change) bool { return c.Cell.Key() == r.Cell.Key() })
	}
	for i, r := range closed {
		ok := r.Device == whatif.JoinedCompliant || r.Device == whatif.HybridCompliant
		switch {
		case ok && (r.Outcome.Result != whatif.Silent || changed(r)):
			t.Errorf("%s: %s", r.Key(), r.Outcome)
		case (r.Device == whatif.Joined || r.Device == whatif.Hybrid) && (r.Outcome.Code != 53000 || open[i].Outcome.Result != whatif.Silent || !changed(r)):
			t.Errorf("%s: %s, without the policy %s", r.Key(), r.Outcome, open[i].Outcome)
		}
	}
	if again := whatif.Diff(closed, closed); len(again) != 0 {
		t.Errorf("the same run differs from itself in %d cells", len(again))
	}
}
