package jose

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxDepth is how deep JSON may nest.
const MaxDepth = 16

// CheckObject reports whether data is one JSON object and nothing else, valid
// UTF-8, at most 16 levels deep, at most 64 KiB long, and without two members of
// one name in any object. Names that differ only in case count as one name,
// because encoding/json would let either fill the same field.
func CheckObject(data []byte) error {
	if len(data) > MaxToken {
		return fmt.Errorf("%w: JSON longer than %d bytes", ErrMalformed, MaxToken)
	}
	if !utf8.Valid(data) {
		return fmt.Errorf("%w: JSON is not valid UTF-8", ErrMalformed)
	}
	if !json.Valid(data) {
		return fmt.Errorf("%w: not JSON", ErrMalformed)
	}
	if t := bytes.TrimLeft(data, " \t\r\n"); t[0] != '{' {
		return fmt.Errorf("%w: not a JSON object", ErrMalformed)
	}
	return checkNames(data)
}

// DecodeObject is CheckObject followed by json.Unmarshal into v. The errors of
// encoding/json quote the input, so only the name of the field is passed on.
func DecodeObject(data []byte, v any) error {
	if err := CheckObject(data); err != nil {
		return err
	}
	return unmarshal(data, v)
}

func unmarshal(data []byte, v any) error {
	err := json.Unmarshal(data, v)
	var te *json.UnmarshalTypeError
	if errors.As(err, &te) {
		return fmt.Errorf("%w: member %s has the wrong type", ErrMalformed, te.Field)
	}
	return err
}

// level is one open object or array.
type level struct {
	object   bool
	wantName bool
	names    map[string]struct{}
}

// checkNames walks valid JSON once and looks at depth and member names. It
// relies on json.Valid: in valid JSON a string is a name exactly when it is the
// first thing in an object or follows a comma there.
func checkNames(data []byte) error {
	var stack []level
	for i := 0; i < len(data); i++ {
		switch c := data[i]; c {
		case '{', '[':
			if len(stack) == MaxDepth {
				return fmt.Errorf("%w: JSON nests deeper than %d", ErrMalformed, MaxDepth)
			}
			stack = append(stack, level{object: c == '{', wantName: c == '{'})
		case '}', ']':
			stack = stack[:len(stack)-1]
		case ',':
			top := &stack[len(stack)-1]
			top.wantName = top.object
		case '"':
			end := stringEnd(data, i)
			if top := &stack[len(stack)-1]; top.wantName {
				if !top.add(data[i:end]) {
					return fmt.Errorf("%w: JSON member named twice", ErrMalformed)
				}
			}
			i = end - 1
		}
	}
	return nil
}

// stringEnd is the index behind the string that begins at i.
func stringEnd(data []byte, i int) int {
	for i++; data[i] != '"'; i++ {
		if data[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// add notes the name of a member, given as JSON, and reports whether it is new.
func (l *level) add(quoted []byte) bool {
	name, err := Text(quoted)
	if err != nil {
		return false
	}
	if l.names == nil {
		l.names = make(map[string]struct{})
	}
	name = fold(name)
	_, dup := l.names[name]
	l.names[name] = struct{}{}
	l.wantName = false
	return !dup
}

// Text reads a JSON string; raw must be one valid JSON value in valid UTF-8.
// encoding/json would take null for a string as well.
func Text(raw []byte) (string, error) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", fmt.Errorf("%w: not a string", ErrMalformed)
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), nil
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return "", fmt.Errorf("%w: not a string", ErrMalformed)
	}
	return s, nil
}

// fold maps names that encoding/json holds equal to one string: the smallest
// rune of each orbit of unicode.SimpleFold.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		for {
			next := unicode.SimpleFold(r)
			if next <= r {
				return next
			}
			r = next
		}
	}, s)
}
