package main

import (
	"regexp"
	"testing"
)

// Every component has its stand-in tried with three rules, and every row can fail.
func TestFLT01_TableOfFaults(t *testing.T) {
	rows, err := faultRows()
	if err != nil {
		t.Fatal(err)
	}
	per := map[string]int{}
	for _, r := range rows {
		per[r.Component]++
		if err := r.compare(0, "nothing that is expected"); r.Outcome == fails && err == nil {
			t.Errorf("%s %s: a play that works passes for one that fails", r.Component, r.Rules)
		}
		if err := r.compare(1, "nothing that is expected"); err == nil {
			t.Errorf("%s %s: any failure passes", r.Component, r.Rules)
		}
		if r.Outcome == fails && regexp.MustCompile(r.Says).MatchString("") {
			t.Errorf("%s %s: %q fits no output at all", r.Component, r.Rules, r.Says)
		}
	}
	for _, c := range []string{"tpm-agent", "dsreg", "lsa-cloudap", "wam-broker", "browsercore", "idp", "adfs"} {
		if per[c] < 3 {
			t.Errorf("%s: %d rules, want three", c, per[c])
		}
	}
}
