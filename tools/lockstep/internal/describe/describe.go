// Package describe tells what is in a token, a PRT cookie, a signed request or an
// encrypted answer, for people who look at one.
//
// What lives here: the parts of a compact token made readable, and what must not be seen
// left out: signatures, keys, passwords, refresh tokens, tokens inside tokens. What never
// may: a judgement. Nothing is verified, so nothing that is shown is proven, and it says
// so. The command describe calls it.
package describe

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
)

// MaxInput bounds what is read, in bytes.
const MaxInput = 256 << 10

// Member is one member of a header or of claims.
type Member struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	// Note is what it is for, or empty.
	Note string `json:"note,omitempty"`
	// Hidden is true when the value is left out.
	Hidden bool `json:"hidden,omitempty"`
}

// Token is what can be told.
type Token struct {
	// Kind in words, such as "PRT cookie".
	Kind   string   `json:"kind"`
	Header []Member `json:"header,omitempty"`
	Claims []Member `json:"claims,omitempty"`
	// Parts that are not shown, in words.
	Parts []string `json:"parts,omitempty"`
	// Verified is always false.
	Verified bool `json:"verified"`
}

// ErrEmpty is the error for nothing at all.
var ErrEmpty = errors.New("describe: there is nothing to describe")

// Read tells what a text is. What is no compact token is opaque: only its length is told.
func Read(text string) (Token, error) {
	if len(text) > MaxInput {
		return Token{}, fmt.Errorf("describe: it is longer than %d bytes", MaxInput)
	}
	text = bare(text)
	if text == "" {
		return Token{}, ErrEmpty
	}
	parts := strings.Split(text, ".")
	switch len(parts) {
	case 3:
		return signed(parts, text)
	case 5:
		return encrypted(parts, text)
	default:
		return opaque(text), nil
	}
}

// bare takes off what stands round a token where people copy it from: the name of a
// header or cookie, the word Bearer, quotes.
func bare(text string) string {
	text = strings.Trim(strings.TrimSpace(text), `"'`)
	for _, cut := range []string{"authorization:", "bearer ", "cookie:", "set-cookie:"} {
		if len(text) >= len(cut) && strings.EqualFold(text[:len(cut)], cut) {
			text = strings.TrimSpace(text[len(cut):])
		}
	}
	if name, value, found := strings.Cut(text, "="); found && strings.HasPrefix(strings.ToLower(name), "x-ms-") {
		text, _, _ = strings.Cut(value, ";")
	} else if name, value, found := strings.Cut(text, ":"); found && strings.HasPrefix(strings.ToLower(name), "x-ms-") {
		text = value
	}
	return strings.TrimSpace(text)
}

func opaque(text string) Token {
	return Token{Kind: "opaque value", Parts: []string{
		fmt.Sprintf("%d characters that only who issued them can read: a nonce, an authorization code, a refresh token or a PRT; not shown", len(text)),
	}}
}

// signed is a JWS in compact form (RFC 7515 7.1), or an unsigned one (RFC 7519 6).
func signed(parts []string, text string) (Token, error) {
	header, err := members(parts[0])
	if err != nil {
		return opaque(text), nil //nolint:nilerr // three parts by chance
	}
	claims, err := members(parts[1])
	if err != nil {
		return Token{}, fmt.Errorf("describe: the claims: %w", err)
	}
	t := Token{Header: shown(header), Claims: shown(claims), Parts: []string{"no signature: anybody can have written it"}}
	if parts[2] != "" {
		t.Parts[0] = fmt.Sprintf("a signature of %d bytes, not shown and not verified", base64.RawURLEncoding.DecodedLen(len(parts[2])))
	}
	t.Kind = kind(header, claims)
	return t, nil
}

// encrypted is a JWE in compact form (RFC 7516 7.1).
func encrypted(parts []string, text string) (Token, error) {
	header, err := members(parts[0])
	if err != nil {
		return opaque(text), nil //nolint:nilerr // five parts by chance
	}
	t := Token{Kind: "encrypted token", Header: shown(header)}
	switch value(header, "alg") {
	case "RSA-OAEP", "RSA-OAEP-256", "RSA1_5":
		t.Kind = "key that is wrapped for a device or server"
	case "dir":
		t.Kind = "answer under the session key of a PRT"
	}
	if parts[1] != "" {
		t.Parts = append(t.Parts, fmt.Sprintf("a wrapped key of %d bytes, not shown", base64.RawURLEncoding.DecodedLen(len(parts[1]))))
	}
	t.Parts = append(t.Parts, fmt.Sprintf("a content of %d bytes, encrypted: only who has the key can read it", base64.RawURLEncoding.DecodedLen(len(parts[3]))))
	return t, nil
}

// kind guesses from the members what a signed token is for.
func kind(header, claims []pair) string {
	has := func(name string) bool { return value(claims, name) != "" }
	switch {
	case value(claims, "is_primary") != "":
		return "PRT cookie (x-ms-RefreshTokenCredential)"
	case value(header, "ctx") != "" && has("refresh_token"):
		return "request signed with the session key of a PRT"
	case has("grant_type") && has("request_nonce"):
		return "PRT request, signed with a device key"
	case has("grant_type"):
		return "signed request"
	case has("deviceid") && has("request_nonce"):
		return "device proof, signed with a device key"
	case has("nonce") && has("aud") && !has("scp") && !has("appid"):
		return "ID token"
	case has("scp") || has("roles") || has("appid") || has("azp"):
		return "access token"
	case value(header, "alg") == "none":
		return "unsigned token"
	default:
		return "signed token"
	}
}

// pair is one member as it stands there.
type pair struct {
	name string
	raw  json.RawMessage
}

func value(all []pair, name string) string {
	for _, p := range all {
		if p.name == name {
			return strings.Trim(string(p.raw), `"`)
		}
	}
	return ""
}

// members reads an object in its order. One with a name twice is refused: two readers
// could see two tokens.
func members(part string) ([]pair, error) {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(part, "="))
	if err != nil {
		return nil, errors.New("they are not base64url")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New("they are not a JSON object")
	}
	var all []pair
	names := map[string]bool{}
	for d.More() {
		name, err := d.Token()
		text, ok := name.(string)
		if err != nil || !ok {
			return nil, errors.New("they are not a JSON object")
		}
		if names[text] {
			return nil, fmt.Errorf("the member %.40q is there twice", text)
		}
		names[text] = true
		p := pair{name: text}
		if err := d.Decode(&p.raw); err != nil {
			return nil, errors.New("they are not a JSON object")
		}
		all = append(all, p)
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("they are not whole JSON")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON object")
	}
	return all, nil
}

// shown makes members readable.
func shown(all []pair) []Member {
	out := make([]Member, 0, len(all))
	for _, p := range all {
		m := Member{Name: printable(p.name), Note: note(p.name)}
		if why := secretValue(p.name, p.raw); why != "" {
			m.Value, m.Hidden = why, true
		} else {
			m.Value = readable(p.name, p.raw)
		}
		out = append(out, m)
	}
	return out
}

// readable is a value on one line; times are written out.
func readable(name string, raw json.RawMessage) string {
	var seconds json.Number
	if isTime(name) && json.Unmarshal(raw, &seconds) == nil {
		if n, err := seconds.Int64(); err == nil && n > 0 && n < 1<<40 {
			return fmt.Sprintf("%d (%s)", n, time.Unix(n, 0).UTC().Format(time.RFC3339))
		}
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return printable(text)
	}
	var flat bytes.Buffer
	if json.Compact(&flat, raw) != nil {
		return "?"
	}
	return printable(flat.String())
}

func isTime(name string) bool {
	switch name {
	case "exp", "iat", "nbf", "auth_time", "mfa_time", "pwd_exp", "expires_on":
		return true
	}
	return false
}

// printable keeps a text from doing anything to a screen.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
