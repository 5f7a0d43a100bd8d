package saml

import (
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// FuzzVerify: nobody without the key may change what an assertion says. Any
// bytes that are taken must say exactly what the golden assertions say.
func FuzzVerify(f *testing.F) {
	honest := map[string]bool{}
	for name, who := range map[string]string{"good.xml": goldenImmutableID, "escaped.xml": "++//AAECAwQFBgcICQoLDA=="} {
		f.Add(golden(f, name))
		honest[who] = true
	}
	for _, a := range attacks(f) {
		f.Add([]byte(a.xml))
	}
	fed := federation(f)
	goldens := map[Subject]bool{}
	for _, name := range []string{"good.xml", "escaped.xml"} {
		v, _ := newVerifier(f)
		s, err := v.Verify(fed, golden(f, name))
		if err != nil || !honest[s.ImmutableID] {
			f.Fatalf("%s: %+v, %v", name, s, err)
		}
		goldens[s] = true
	}
	f.Fuzz(func(t *testing.T, xml []byte) {
		v, _ := newVerifier(t)
		s, err := v.Verify(fed, xml)
		if err == nil && !goldens[s] {
			t.Errorf("a forgery was taken: %+v", s)
		}
		if err != nil && prterr.CodeOf(err) != aadsts.InvalidAssertion {
			t.Errorf("a forger sees %v", err)
		}
	})
}
