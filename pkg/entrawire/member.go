package entrawire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// FieldError says which member of which shape is wrong, and why. It never quotes
// the value.
type FieldError struct {
	// Shape such as "PRT request".
	Shape string
	// Field is the member's name on the wire.
	Field string
	// Problem such as "is missing".
	Problem string
}

func (e *FieldError) Error() string {
	return fmt.Sprintf("%s: member %s %s", e.Shape, e.Field, e.Problem)
}

// member ties one JSON member to one struct field. A list of members is both the
// reader and the writer of a shape, so the two cannot drift apart, names match
// exactly (encoding/json would ignore case) and the order is fixed. Reveal is
// called here and nowhere else in a shape: json.Marshal of a shape with secrets
// fails, Encode is the way out.
type member struct {
	name  string
	value any // *string, *secret.Text, *int64, *bool, *[]string or *JWECrypto
	how   how
}

type how uint8

const (
	quoted how = 1 << iota // write the number or truth value as a JSON string
	always                 // write it even when it is zero
)

// encode writes the members that are set, in order.
func encode(shape string, members []member) ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for _, m := range members {
		text, isText, present := m.text()
		if !present && m.how&always == 0 {
			continue
		}
		if !m.validUTF8() {
			return nil, &FieldError{shape, m.name, "is not valid UTF-8"}
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.WriteString(quote(m.name))
		b.WriteByte(':')
		if isText || m.how&quoted != 0 {
			text = quote(text)
		}
		b.WriteString(text)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// text is the member's value as text, whether that is a string of JSON's or
// already JSON, and whether the value is other than zero.
func (m member) text() (s string, isText, present bool) {
	switch v := m.value.(type) {
	case *string:
		return *v, true, *v != ""
	case *secret.Text:
		return v.Reveal(), true, !v.Empty()
	case *int64:
		return strconv.FormatInt(*v, 10), false, *v != 0
	case *bool:
		return strconv.FormatBool(*v), false, *v
	case *[]string:
		elems := make([]string, len(*v))
		for i, s := range *v {
			elems[i] = quote(s)
		}
		return "[" + strings.Join(elems, ",") + "]", false, len(*v) > 0
	case *JWECrypto:
		b, err := v.Encode()
		return string(b), false, err == nil && *v != JWECrypto{}
	}
	return "", true, false
}

// validUTF8 guards against a value that JSON cannot carry: the encoder would put
// U+FFFD into a password without a word.
func (m member) validUTF8() bool {
	switch v := m.value.(type) {
	case *string:
		return utf8.ValidString(*v)
	case *secret.Text:
		return utf8.ValidString(v.Reveal())
	case *[]string:
		return !slices.ContainsFunc(*v, func(s string) bool { return !utf8.ValidString(s) })
	}
	return true
}

// quote writes a JSON string without the HTML escapes of json.Marshal. Names and
// tokens, which is nearly all there is, have nothing to escape.
func quote(s string) string {
	if !strings.ContainsFunc(s, escaped) {
		return `"` + s + `"`
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string into a buffer: neither can fail
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

// escaped says whether a character may have an escape in a JSON string; where it
// need not, encoding/json decides.
func escaped(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }

// decode fills the members from a strict JSON object. Members that are absent or
// null stay zero; members it does not know are skipped.
func decode(shape string, data []byte, members []member) error {
	var raw map[string]json.RawMessage
	if err := jose.DecodeObject(data, &raw); err != nil {
		return fmt.Errorf("%s: %w", shape, err)
	}
	for _, m := range members {
		v, ok := raw[m.name]
		if !ok || string(v) == "null" {
			continue
		}
		if problem := m.read(v); problem != "" {
			return &FieldError{shape, m.name, problem}
		}
	}
	return nil
}

// decodeAs decodes into a fresh value, so that a failure leaves into as it was.
func decodeAs[T any, P interface {
	*T
	members() []member
}](shape string, data []byte, into P) error {
	var fresh T
	if err := decode(shape, data, P(&fresh).members()); err != nil {
		return err
	}
	*into = fresh
	return nil
}

// read is tolerant where clients differ: numbers and truth values may come as
// strings. It answers what is wrong, or nothing.
func (m member) read(raw json.RawMessage) string {
	switch v := m.value.(type) {
	case *string:
		s, err := jose.Text(raw)
		if err != nil {
			return "is not a string"
		}
		*v = s
	case *secret.Text:
		s, err := jose.Text(raw)
		if err != nil {
			return "is not a string"
		}
		*v = secret.NewText(s)
	case *int64:
		n, err := strconv.ParseUint(string(unquote(raw)), 10, 63)
		if err != nil {
			return "is not a whole number of zero or more"
		}
		*v = int64(n)
	case *bool:
		b := string(unquote(raw))
		if b != "true" && b != "false" {
			return "is not true or false"
		}
		*v = b == "true"
	case *[]string:
		if json.Unmarshal(raw, v) != nil {
			return "is not a list of strings"
		}
	case *JWECrypto:
		if v.UnmarshalJSON(raw) != nil {
			return "is not an object of strings"
		}
	}
	return ""
}

func unquote(raw []byte) []byte {
	if n := len(raw); n >= 2 && raw[0] == '"' && raw[n-1] == '"' {
		return raw[1 : n-1]
	}
	return raw
}
