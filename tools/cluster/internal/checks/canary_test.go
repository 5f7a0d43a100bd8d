package checks

import (
	"encoding/base64"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

// Whatever the form, and wherever a write ends, what is there is found once for each time.
func TestT6_SearchFindsEveryForm(t *testing.T) {
	const text = "correct horse battery staple"
	wide := make([]byte, 0, 2*len(text))
	for _, u := range utf16.Encode([]rune(text)) {
		wide = append(wide, byte(u), byte(u>>8))
	}
	for name, hidden := range map[string]string{
		"plain":       text,
		"UTF-16":      string(wide),
		"hexadecimal": "636f727265637420686f727365206261747465727920737461706c65",
		"base64":      base64.StdEncoding.EncodeToString([]byte(text)),
		"base64 + 1":  base64.StdEncoding.EncodeToString([]byte("x" + text + "yz")),
		"base64 + 2":  base64.URLEncoding.EncodeToString([]byte("xy" + text + "z")),
	} {
		for _, size := range []int{1, 7, 64, 1 << 20} {
			s := newSearch(needles("password", text))
			stream := strings.Repeat("filler ", 90) + hidden + strings.Repeat(" more", 200)
			for from := 0; from < len(stream); from += size {
				if _, err := s.Write([]byte(stream[from:min(len(stream), from+size)])); err != nil {
					t.Fatal(err)
				}
			}
			s.end()
			if err := s.verdict("the stream", nil); err == nil {
				t.Errorf("%s in pieces of %d: not found", name, size)
			}
			if size == 1 && name == "plain" && s.found["password"] != 1 {
				t.Errorf("found %d times, want once", s.found["password"])
			}
		}
	}
	s := newSearch(needles("password", text))
	_, _ = s.Write([]byte(strings.Repeat("correct horse battery stable ", 100)))
	s.end()
	if err := s.verdict("the stream", nil); err != nil {
		t.Errorf("found where it is not: %v", err)
	}
}

// A private key is found unless it is one that is meant to be there.
func TestT6_SearchFindsPrivateKeys(t *testing.T) {
	const mine = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgAAAAAAAAAAAAAAAA\nBBBB\n-----END PRIVATE KEY-----\n"
	other := strings.ReplaceAll(mine, "QgAAAA", "QgCCCC")
	for name, c := range map[string]struct {
		stream  string
		allowed [][]byte
		bad     bool
	}{
		"allowed":        {"x" + mine, [][]byte{[]byte(mine)}, false},
		"other":          {"x" + other, [][]byte{[]byte(mine)}, true},
		"cut at the end": {"x-----BEGIN PRIVATE KEY-----", [][]byte{[]byte(mine)}, true},
		"token":          {`"eyJhbGciOiJSUzI1NiJ9.e30."`, nil, true},
		"token allowed":  {`"eyJhbGciOiJSUzI1NiJ9.e30."`, [][]byte{[]byte(`x eyJhbGciOiJSUzI1NiJ9.e30. y`)}, false},
		"token of two":   {`"eyJhbGciOiJSUzI1NiJ9.e30." eyJhbGciOiJkaXIifQ.e30.`, [][]byte{[]byte(`x eyJhbGciOiJSUzI1NiJ9.e30. y`)}, true},
		"certificate":    {"-----BEGIN CERTIFICATE-----\nMIIB\n", nil, false},
	} {
		s := newSearch(nil)
		_, _ = s.Write([]byte(c.stream))
		s.end()
		if err := s.verdict(name, c.allowed); (err != nil) != c.bad {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is searched for are the passwords that the demo types, all of them.
func TestT6_CanariesAreTheDemosPasswords(t *testing.T) {
	text, err := os.ReadFile("../../../lockstep/internal/demo/summary.go")
	if err != nil {
		t.Fatal(err)
	}
	var typed []string
	for _, m := range regexp.MustCompile(`secret\.NewText\("([^"]+)"\)`).FindAllStringSubmatch(string(text), -1) {
		typed = append(typed, m[1])
	}
	known := canaries()
	slices.Sort(typed)
	slices.Sort(known)
	if typed = slices.Compact(typed); len(typed) == 0 || !slices.Equal(typed, known) {
		t.Errorf("the demo types %q, searched for are %q", typed, known)
	}
}
