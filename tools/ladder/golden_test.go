package ladder_test

import (
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/step"
	"github.com/lockstep-sso/lockstep/tools/ladder"
)

// TestCompareNamesTheFirstDifference: a row more or less, another order, a call more or
// less are each found and named.
func TestCompareNamesTheFirstDifference(t *testing.T) {
	for name, f := range map[string]struct {
		change func(*ladder.Form)
		want   string
	}{
		"the same":        {func(*ladder.Form) {}, ""},
		"a row less":      {func(f *ladder.Form) { f.Rows = f.Rows[:3] }, `row 4 is "nothing"`},
		"a row more":      {func(f *ladder.Form) { f.Rows = append(f.Rows, "Z") }, `row 5 is "Z"`},
		"another order":   {func(f *ladder.Form) { f.Rows[1], f.Rows[2] = f.Rows[2], f.Rows[1] }, `row 2 is "D`},
		"a call less":     {func(f *ladder.Form) { delete(f.Calls, "wam-broker -> idp  C") }, `"wam-broker -> idp  C" was made 0 times`},
		"a call more":     {func(f *ladder.Form) { f.Calls["wam-broker -> idp  C"]++ }, "was made 2 times"},
		"another call":    {func(f *ladder.Form) { f.Calls["app -> tpm-agent  PRTKeyService/SignPRTCookie"]++ }, "app -> tpm-agent"},
		"an optional one": {func(f *ladder.Form) { delete(f.Calls, "lsa-cloudap -> idp  DataKeyService/RequestDataKey") }, ""},
	} {
		want, err := ladder.Golden("app_token")
		if err != nil {
			t.Fatal(err)
		}
		want.Maybe["lsa-cloudap -> idp  DataKeyService/RequestDataKey"] = true
		got, err := ladder.Golden("app_token")
		if err != nil {
			t.Fatal(err)
		}
		f.change(&got)
		if err := want.Compare(got); (err == nil) != (f.want == "") || err != nil && !strings.Contains(err.Error(), f.want) {
			t.Errorf("%s: %v, want %q", name, err, f.want)
		}
	}
}

// TestGoldenLaddersAreTheTables: each flow has a golden ladder, and its letters are those
// of a document's table.
func TestGoldenLaddersAreTheTables(t *testing.T) {
	want := map[string]string{"first_sign_in": "ABCDEF", "renewal": "ABCDEFG", "app_token": "ACDE", "app_token_again": "ABE", "browser_sso": "ABCDEF"}
	if names := ladder.GoldenNames(); len(names) != len(want) {
		t.Errorf("golden ladders: %v", names)
	}
	for name, letters := range want {
		f, err := ladder.Golden(name)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, r := range f.Rows {
			got += r[:1]
		}
		if got != letters || len(f.Calls) < 3 {
			t.Errorf("%s has rows %s and %d calls", name, got, len(f.Calls))
		}
	}
	if _, err := ladder.Golden("../ladder"); err == nil {
		t.Error("a golden ladder of another folder was read")
	}
	for _, f := range step.Flows() {
		if _, err := ladder.Golden(string(f)); err != nil {
			t.Error(err)
		}
	}
}
