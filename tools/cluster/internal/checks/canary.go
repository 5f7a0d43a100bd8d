package checks

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
)

// longestNeedle bounds what is searched for, so that a search keeps little between two
// pieces of what it reads.
const longestNeedle = 256

// needle is a text that must not be found, in one of its forms.
type needle struct {
	what string
	form []byte
}

// needles are the forms in which a secret may lie somewhere: as it is, in UTF-16 as
// Windows has it, in hexadecimal, and in base64 from each of the three offsets.
func needles(what, text string) []needle {
	raw := []byte(text)
	var wide []byte
	for _, u := range utf16.Encode([]rune(text)) {
		wide = append(wide, byte(u), byte(u>>8))
	}
	all := []needle{{what, raw}, {what + " in UTF-16", wide}, {what + " in hexadecimal", []byte(hex.EncodeToString(raw))}}
	for offset := range 3 {
		// What a character of base64 has of bytes beside the text is cut off.
		padded := append(make([]byte, offset), raw...)
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			coded := enc.EncodeToString(padded)
			from := (offset*8 + 5) / 6
			to := len(padded) * 8 / 6
			all = append(all, needle{what + " in base64", []byte(coded[from:to])})
		}
	}
	return all
}

// search looks for needles in a stream that is written to it.
type search struct {
	needles []needle
	found   map[string]int
	kept    []byte
	read    int64
	// keys collects what follows the head of a private key in PEM, so that one that is
	// meant to be there can be told from others.
	keys []string
	// heads says that tokens are looked for, and tokens are the beginnings of those found.
	heads  bool
	tokens []string
}

// tokenSample is how much of a token is compared.
const tokenSample = 80

// token is the beginning of what may stand in a token.
func token(p []byte) string {
	end := bytes.IndexFunc(p, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.", r)
	})
	if end >= 0 {
		p = p[:end]
	}
	return string(p)
}

// joseHeads are how a JOSE object begins, as tokens and PRTs are: {"alg":, {"typ":, {"kid":,
// {"enc":, {"ctx":.
func joseHeads() []string {
	return []string{"eyJhbGciOi", "eyJ0eXAiOi", "eyJraWQiOi", "eyJlbmMiOi", "eyJjdHgiOi"}
}

const (
	pemHead = "-----BEGIN "
	// labelMost is the longest label of a key in PEM, and keySample how much of the rest is
	// compared: a little more than its first line.
	labelMost, keySample = 32, 80
)

func newSearch(n []needle) *search { return &search{needles: n, found: map[string]int{}, heads: true} }

// Write searches. What may begin here and end in the next piece is looked at again.
func (s *search) Write(p []byte) (int, error) {
	s.read += int64(len(p))
	s.kept = append(s.kept, p...)
	// Only what begins before the last bytes is counted now.
	if len(s.kept) > longestNeedle {
		s.scan(len(s.kept) - longestNeedle)
	}
	return len(p), nil
}

// end searches the rest.
func (s *search) end() { s.scan(len(s.kept)) }

// scan counts the needles that begin in the first n bytes, and drops those bytes.
func (s *search) scan(n int) {
	for _, needle := range s.needles {
		reach := min(len(s.kept), n+len(needle.form)-1)
		s.found[needle.what] += bytes.Count(s.kept[:reach], needle.form)
	}
	for _, head := range joseHeads() {
		for from := 0; s.heads; {
			at := bytes.Index(s.kept[from:], []byte(head))
			if at < 0 || from+at >= n {
				break
			}
			from += at
			s.tokens = append(s.tokens, token(s.kept[from:min(len(s.kept), from+tokenSample)]))
			from += len(head)
		}
	}
	for from := 0; ; {
		at := bytes.Index(s.kept[from:], []byte(pemHead))
		if at < 0 || from+at >= n {
			break
		}
		from += at + len(pemHead)
		label, body, ok := strings.Cut(string(s.kept[from:min(len(s.kept), from+labelMost+keySample)]), "-----")
		if ok && len(label) <= labelMost && strings.HasSuffix(label, "PRIVATE KEY") {
			s.keys = append(s.keys, body)
		}
	}
	s.kept = slices.Clone(s.kept[n:])
}

// verdict is an error that names what was found, or nil. Private keys that begin as
// one of the allowed do not count.
func (s *search) verdict(where string, allowed [][]byte) error {
	var bad []string
	for what, n := range s.found {
		if n > 0 {
			bad = append(bad, fmt.Sprintf("%s, %d times", what, n))
		}
	}
	strange := 0
	for _, k := range s.keys {
		if body := strings.TrimSpace(k); len(body) < 16 || !slices.ContainsFunc(allowed, func(a []byte) bool { return bytes.Contains(a, []byte(body)) }) {
			strange++
		}
	}
	if strange > 0 {
		bad = append(bad, fmt.Sprintf("a private key in PEM, %d times", strange))
	}
	tokens := 0
	for _, t := range s.tokens {
		if !slices.ContainsFunc(allowed, func(a []byte) bool { return bytes.Contains(a, []byte(t)) }) {
			tokens++
		}
	}
	if tokens > 0 {
		bad = append(bad, fmt.Sprintf("the head of a JOSE object, as tokens and PRTs are, %d times", tokens))
	}
	slices.Sort(bad)
	if len(bad) > 0 {
		return fmt.Errorf("%s has %s", where, strings.Join(bad, "; "))
	}
	return nil
}
