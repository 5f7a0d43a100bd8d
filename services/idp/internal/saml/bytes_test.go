package saml

import (
	"slices"
	"strings"
	"testing"
)

// TestFED06_Attack25_NoByteOutsideKeyInfoCanChange puts another character in the place of
// each character of a good assertion, and another bit in each, one at a time. What is taken
// all the same is KeyInfo alone (XML Signature 4.5: it is outside of what is signed, and the
// key is pinned): a change of it changes nothing that anybody reads.
func TestFED06_Attack25_NoByteOutsideKeyInfoCanChange(t *testing.T) {
	good := golden(t, "good.xml")
	const from, to = "<ds:KeyInfo>", "</ds:KeyInfo>"
	first, last := strings.Index(string(good), from)+len(from), strings.Index(string(good), to)
	if first < len(from) || last < first {
		t.Fatal("the assertion has no KeyInfo")
	}
	fed := federation(t)
	v, _ := newVerifier(t)
	want, err := v.verify(fed, good)
	if err != nil {
		t.Fatal(err)
	}
	taken := 0
	for i, b := range good {
		other := byte('x')
		if b == other {
			other = 'y'
		}
		for _, c := range []byte{other, b ^ 1<<(i%7)} {
			changed := slices.Clone(good)
			changed[i] = c
			v, _ := newVerifier(t)
			got, err := v.verify(fed, changed)
			switch inside := first <= i && i < last; {
			case err == nil && !inside:
				t.Errorf("byte %d may be %q in place of %q: ...%s...", i, c, b, good[max(0, i-20):min(len(good), i+20)])
			case err == nil && got != want:
				t.Errorf("byte %d as %q makes it say %+v", i, c, got)
			case err == nil:
				taken++
			}
		}
	}
	if taken == 0 {
		t.Error("not even KeyInfo can change: the test sees nothing")
	}
	t.Logf("%d changes of KeyInfo were taken", taken)
}
