package jose_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/lockstep-sso/lockstep/pkg/jose"
)

// FuzzCheckObject compares the byte walker with a slow reader built on the
// tokens of encoding/json.
func FuzzCheckObject(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"a":{"a":[{"a":"a"},"b"]},"b":"\"a\\"}`, `{"a":1,"A":2}`, `{"\u0061":[[]],"a":0}`, `{"k":1,"` + "\u212a" + `":2}`,
		strings.Repeat(`{"a":`, 16) + `1` + strings.Repeat(`}`, 16), `{"a":"` + "\xff" + `"}`, `{"\ud800":1,"\ufffd":2}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > jose.MaxToken {
			return
		}
		err := jose.CheckObject(data)
		if want := judge(data); (err == nil) != want {
			t.Fatalf("%q: %v, judge says %v", data, err, want)
		}
	})
}

// judge reports whether data is a strict JSON object.
func judge(data []byte) bool {
	var top map[string]json.RawMessage
	if !utf8.Valid(data) || json.Unmarshal(data, &top) != nil || top == nil {
		return false
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	ok := judgeValue(dec, 0)
	return ok && !dec.More()
}

func judgeValue(dec *json.Decoder, depth int) bool {
	dec.UseNumber()
	tok, err := dec.Token()
	if err != nil {
		return false
	}
	delim, isDelim := tok.(json.Delim)
	if !isDelim {
		return true
	}
	if depth == jose.MaxDepth {
		return false
	}
	var names []string
	for dec.More() {
		if delim == '{' {
			name, err := dec.Token()
			if err != nil {
				return false
			}
			for _, other := range names {
				if strings.EqualFold(other, name.(string)) {
					return false
				}
			}
			names = append(names, name.(string))
		}
		if !judgeValue(dec, depth+1) {
			return false
		}
	}
	_, err = dec.Token() // the closing delimiter
	return err == nil
}
