package jose_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/jose"
)

// Each of these characters is skipped, or was once skipped, by some base64 or
// JWT reader. At no position of a token does one get through.
func TestA34_InsertedCharacterRefused(t *testing.T) {
	tok, err := jose.SignHS256(jose.Header{Typ: "JWT", Ctx: make([]byte, 24), KDFVer: 2}, []byte(payload), newKey())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jose.Parse(tok); err != nil {
		t.Fatalf("the token itself: %v", err)
	}
	for _, ins := range []string{"\n", "\r", "\r\n", " ", "\t", "=", "==", "\x00", "+", "/", "%0A", "\u00a0", "."} {
		for i := 0; i <= len(tok); i++ {
			bad := tok[:i] + ins + tok[i:]
			if _, err := jose.Parse(bad); !errors.Is(err, jose.ErrMalformed) {
				t.Fatalf("%q inserted at %d of %d: error %v", ins, i, len(tok), err)
			}
		}
	}
}

// No two spellings decode to the same bytes: of the characters that differ only
// in bits beyond the last byte, one is taken.
func TestA34_OneSpellingPerValue(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	seen := map[string]string{}
	for _, a := range alphabet {
		for _, b := range alphabet {
			s := string(a) + string(b)
			raw, err := jose.DecodeSegment(s)
			if err != nil {
				continue
			}
			if other, dup := seen[string(raw)]; dup {
				t.Fatalf("%s and %s are both %x", s, other, raw)
			}
			seen[string(raw)] = s
		}
	}
	if len(seen) != 256 {
		t.Fatalf("%d values of one byte, want 256", len(seen))
	}
}

func TestDigestSeparatesParts(t *testing.T) {
	digest := func(h, p, s string) [32]byte {
		tok, err := jose.Parse(jose.EncodeSegment([]byte(h)) + "." + jose.EncodeSegment([]byte(p)) + "." + jose.EncodeSegment([]byte(s)))
		if err != nil {
			t.Fatal(err)
		}
		return tok.Digest()
	}
	a := digest(`{"alg":"HS256"}`, `{}`, "x")
	if a != digest(`{"alg":"HS256"}`, `{}`, "x") {
		t.Error("one token, two digests")
	}
	for name, d := range map[string][32]byte{
		"header":    digest(`{"alg":"HS256"} `, `{}`, "x"),
		"payload":   digest(`{"alg":"HS256"}`, ` {}`, "x"),
		"signature": digest(`{"alg":"HS256"}`, `{}`, " x"),
	} {
		if a == d {
			t.Errorf("another %s, same digest", name)
		}
	}
}

func TestCheckObject(t *testing.T) {
	deep := func(n int) string { return strings.Repeat(`{"a":`, n-1) + "{}" + strings.Repeat("}", n-1) }
	for _, c := range []struct {
		name, json string
		ok         bool
	}{
		{"empty object", `{}`, true},
		{"white space around", " \n{ } \t", true},
		{"one name in sibling objects", `{"a":{"x":1},"b":{"x":1},"c":[{"x":1},{"x":2}]}`, true},
		{"a string value equal to a name", `{"a":"a","b":["a","a"]}`, true},
		{"16 levels", deep(16), true},
		{"17 levels", deep(17), false},
		{"17 levels of arrays", `{"a":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`, false},
		{"unclosed bomb", strings.Repeat("[", 60000), false},
		{"nothing", ``, false},
		{"blanks", `  `, false},
		{"array", `[]`, false},
		{"string", `"a"`, false},
		{"null", `null`, false},
		{"two objects", `{}{}`, false},
		{"trailing comma", `{"a":1,}`, false},
		{"trailing text", `{}x`, false},
		{"comment", `{}/**/`, false},
		{"byte order mark", "\ufeff{}", false},
		{"name twice", `{"a":1,"b":2,"a":3}`, false},
		{"name twice after a nested object", `{"a":{"b":[{}]},"a":3}`, false},
		{"name twice inside an array", `{"l":[1,{"a":1,"a":1}]}`, false},
		{"empty name twice", `{"":1,"":1}`, false},
		{"name twice by escape", `{"a":1,"\u0061":1}`, false},
		{"name twice by case", `{"kid":1,"KID":1}`, false},
		{"name twice by Kelvin sign", `{"kid":1,"` + "\u212a" + `id":1}`, false},
		{"not UTF-8", "{\"a\":\"\xc3\x28\"}", false},
		{"65 KiB", `{"a":"` + strings.Repeat("x", 65<<10) + `"}`, false},
	} {
		if err := jose.CheckObject([]byte(c.json)); (err == nil) != c.ok || err != nil && !errors.Is(err, jose.ErrMalformed) {
			t.Errorf("%s: error %v", c.name, err)
		}
	}
}

func TestBounds(t *testing.T) {
	big := `{"a":"` + strings.Repeat("x", 50<<10) + `"}`
	tok, err := jose.SignHS256(jose.Header{}, []byte(big), newKey())
	if err != nil {
		t.Fatal(err)
	}
	if len(tok) <= jose.MaxToken {
		t.Fatalf("test token is only %d bytes", len(tok))
	}
	if _, err := jose.Parse(tok); !errors.Is(err, jose.ErrMalformed) {
		t.Errorf("token of %d bytes: %v", len(tok), err)
	}
	for name, h := range map[string]jose.Header{
		"ctx too short": {Alg: jose.HS256, Ctx: make([]byte, 15)},
		"ctx too long":  {Alg: jose.HS256, Ctx: make([]byte, 65)},
		"kdf_ver 4":     {Alg: jose.HS256, KDFVer: 4},
		"chain":         {Alg: jose.RS256, X5C: [][]byte{{1}, {2}}},
		"no alg":        {},
		"alg none":      {Alg: "none"},
	} {
		if in, err := jose.SigningInput(h, []byte(payload)); err == nil {
			t.Errorf("%s: signing input %s", name, in)
		}
	}
	if _, err := jose.SigningInput(jose.Header{Alg: jose.HS256}, []byte(`[1]`)); !errors.Is(err, jose.ErrMalformed) {
		t.Errorf("payload that is no object: %v", err)
	}
}

// Errors must not carry what a stranger wrote, or it ends up in logs.
func TestErrorsDoNotQuote(t *testing.T) {
	const canary = "CANARY"
	for _, h := range []string{`{"alg":"` + canary + `"}`, `{"alg":"HS256","x5c":"` + canary + `!"}`, `{"alg":"HS256","` + canary + `":1,"` + canary + `":2}`} {
		_, err := jose.Parse(jose.EncodeSegment([]byte(h)) + "." + jose.EncodeSegment([]byte(`{}`)) + ".AA")
		if err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("header %s: error %v", h, err)
		}
	}
	var v struct {
		N int `json:"n"`
	}
	if err := jose.DecodeObject([]byte(`{"n":"`+canary+`"}`), &v); err == nil || strings.Contains(err.Error(), canary) || !bytes.Contains([]byte(err.Error()), []byte("member n")) {
		t.Errorf("wrong type: error %v", err)
	}
}
