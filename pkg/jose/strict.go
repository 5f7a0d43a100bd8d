package jose

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	names    map[string]struct{} // nil for an array
	wantName bool
}

// checkNames walks valid JSON once and looks at depth and member names.
func checkNames(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var stack []level
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: not JSON", ErrMalformed)
		}
		if n := len(stack); n > 0 && stack[n-1].wantName {
			if name, ok := tok.(string); ok {
				top := &stack[n-1]
				key := fold(name)
				if _, dup := top.names[key]; dup {
					return fmt.Errorf("%w: JSON member named twice", ErrMalformed)
				}
				top.names[key] = struct{}{}
				top.wantName = false
				continue
			}
		}
		switch tok {
		case json.Delim('{'):
			stack = append(stack, level{names: map[string]struct{}{}, wantName: true})
		case json.Delim('['):
			stack = append(stack, level{})
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:len(stack)-1]
			valueDone(stack)
		default:
			valueDone(stack)
		}
		if len(stack) > MaxDepth {
			return fmt.Errorf("%w: JSON nests deeper than %d", ErrMalformed, MaxDepth)
		}
	}
}

// valueDone notes that the value of a member is complete.
func valueDone(stack []level) {
	if n := len(stack); n > 0 && stack[n-1].names != nil {
		stack[n-1].wantName = true
	}
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
