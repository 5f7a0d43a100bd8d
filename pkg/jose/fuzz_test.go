package jose_test

import (
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/jose"
)

// FuzzParseJWT: nothing makes Parse panic, and what it takes has one spelling.
func FuzzParseJWT(f *testing.F) {
	_, _, cases := loadCases(f)
	for _, c := range cases {
		f.Add(c.Token)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, parse := range []func(string) (*jose.Token, error){jose.Parse, jose.ParseUnsigned} {
			tok, err := parse(s)
			if err != nil {
				continue
			}
			if tok.Compact() != s {
				t.Fatalf("%q comes back as %q", s, tok.Compact())
			}
			if in := tok.SigningInput(); !strings.HasSuffix(in, "."+jose.EncodeSegment(tok.Payload)) {
				t.Fatalf("signing input %q does not end in the payload", in)
			}
			var claims map[string]any
			if err := tok.Claims(&claims); err != nil {
				t.Fatalf("parsed, but claims: %v", err)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	tok := benchToken(b)
	b.SetBytes(int64(len(tok)))
	for b.Loop() {
		if _, err := jose.Parse(tok); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyHS256(b *testing.B) {
	key := newKey()
	tok, err := jose.Parse(benchToken(b))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := tok.VerifyHS256(key); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyRS256(b *testing.B) {
	dk := newRSA(b, 2048)
	s, err := jose.SignRS256(jose.Header{}, []byte(payload), dk)
	if err != nil {
		b.Fatal(err)
	}
	tok, err := jose.Parse(s)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := tok.VerifyRS256(&dk.PublicKey); err != nil {
			b.Fatal(err)
		}
	}
}

func benchToken(b *testing.B) string {
	b.Helper()
	p := `{"refresh_token":"0.` + strings.Repeat("A", 1500) + `","request_nonce":"n0nce","scope":"openid aza ugs"}`
	tok, err := jose.SignHS256(jose.Header{Typ: "JWT", Ctx: make([]byte, 24), KDFVer: 2}, []byte(p), newKey())
	if err != nil {
		b.Fatal(err)
	}
	return tok
}
