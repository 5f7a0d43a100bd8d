// Package secret holds values that must not be seen: passwords, keys, tokens.
//
// What lives here: two types that carry a secret and print, log and marshal as
// "[redacted]". What never may: a way to reach the value other than Reveal, so
// that a search for Reveal finds every place where a secret is used. Everybody
// who touches a credential, a key or a token calls it.
package secret

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// ErrMarshal is returned when somebody tries to serialise a secret by accident.
var ErrMarshal = errors.New("a secret does not marshal: reveal it where it is meant to be written")

// Text is a secret string. The zero value is the empty secret.
type Text struct {
	_ [0]func() // not comparable with ==, which would leak by timing
	// Behind a pointer: fmt calls no methods on unexported fields of somebody
	// else's struct, and there it prints an address instead of the secret.
	s *string
}

// NewText wraps s.
func NewText(s string) Text { return Text{s: &s} }

// Reveal returns the secret itself.
func (t Text) Reveal() string {
	if t.s == nil {
		return ""
	}
	return *t.s
}

// Empty reports whether there is no secret.
func (t Text) Empty() bool { return t.Reveal() == "" }

// Equal compares in constant time for equal lengths.
func (t Text) Equal(o Text) bool {
	return subtle.ConstantTimeCompare([]byte(t.Reveal()), []byte(o.Reveal())) == 1
}

// String hides the secret.
func (Text) String() string { return redacted }

// GoString hides the secret from %#v.
func (Text) GoString() string { return redacted }

// Format hides the secret from every verb of fmt.
func (Text) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue hides the secret from slog.
func (Text) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText refuses, and with it encoding/json and YAML.
func (Text) MarshalText() ([]byte, error) { return nil, ErrMarshal }

// Bytes is a secret byte string, such as a key. The zero value is empty.
type Bytes struct {
	_ [0]func()
	b *[]byte
}

// NewBytes wraps b without copying: the caller gives it away.
func NewBytes(b []byte) Bytes { return Bytes{b: &b} }

// Reveal returns the secret itself; the caller must not keep it.
func (b Bytes) Reveal() []byte {
	if b.b == nil {
		return nil
	}
	return *b.b
}

// Len is the length in bytes.
func (b Bytes) Len() int { return len(b.Reveal()) }

// Empty reports whether there is no secret.
func (b Bytes) Empty() bool { return b.Len() == 0 }

// Equal compares in constant time for equal lengths.
func (b Bytes) Equal(o Bytes) bool { return subtle.ConstantTimeCompare(b.Reveal(), o.Reveal()) == 1 }

// Wipe overwrites the secret. Copies that the runtime made are out of reach.
func (b Bytes) Wipe() { clear(b.Reveal()) }

// String hides the secret.
func (Bytes) String() string { return redacted }

// GoString hides the secret from %#v.
func (Bytes) GoString() string { return redacted }

// Format hides the secret from every verb of fmt.
func (Bytes) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue hides the secret from slog.
func (Bytes) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText refuses, and with it encoding/json and YAML.
func (Bytes) MarshalText() ([]byte, error) { return nil, ErrMarshal }
