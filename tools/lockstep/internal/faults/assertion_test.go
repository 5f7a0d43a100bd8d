package faults_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/fault"
)

// Parts of an assertion as AD FS writes it, from 0 to 1: what it says comes first and is
// signed, KeyInfo comes last and is not (services/idp/internal/saml tries every byte).
const (
	saidFrom, saidTo       = 0.1, 0.3
	keyInfoFrom, keyInfoTo = 0.75, 0.95
)

// assertionKinds are the kinds of every table, with the field of an assertion corrupted at a
// part that is chosen.
func assertionKinds() []kind {
	all := kinds()
	i := slices.IndexFunc(all, func(k kind) bool { return k.name == "corrupt field" })
	all[i].rule = func(v vital) string { return corruptAt(v, saidFrom, saidTo) }
	return slices.Insert(all, i+1, kind{"corrupt KeyInfo", func(v vital) string { return corruptAt(v, keyInfoFrom, keyInfoTo) }, byItself})
}

// corruptAt is a rule that corrupts a part of the field. What a rule draws depends on its
// place among the rules, so others that never strike stand before it.
func corruptAt(v vital, from, to float64) string {
	text := fmt.Sprintf("(corrupt %q (method %q))", v.field, v.method)
	for range mostBefore {
		if at, ok := drawn(v, text); ok && from < at && at < to {
			return text
		}
		text = fmt.Sprintf("(unavailable (method %q) (nth 1000000))\n", v.method) + text
	}
	return "no place among the rules draws that part"
}

// mostBefore is how many rules may stand before another one.
const mostBefore = 60

// drawn is where in a field the first strike of rules falls, from 0 to 1.
func drawn(v vital, text string) (float64, bool) {
	rules, err := fault.Parse(text)
	if err != nil {
		return 0, false
	}
	e, err := fault.New(fault.Config{Rules: rules, Seed: seed})
	if err != nil {
		return 0, false
	}
	strikes := e.Strike(fault.Call{Method: "/prt.federation.v1." + v.method})
	if len(strikes) != 1 {
		return 0, false
	}
	return float64(strikes[0].Draw) / math.MaxUint64, true
}

// TestCorruptAtFindsAPlace: both parts of an assertion are drawn by some rule.
func TestCorruptAtFindsAPlace(t *testing.T) {
	v := vital{method: "FederationService/IssueToken", field: "saml_assertion"}
	for _, part := range [][2]float64{{saidFrom, saidTo}, {keyInfoFrom, keyInfoTo}} {
		if at, ok := drawn(v, corruptAt(v, part[0], part[1])); !ok || at < part[0] || at > part[1] {
			t.Errorf("%v: the draw falls at %v", part, at)
		}
	}
}
