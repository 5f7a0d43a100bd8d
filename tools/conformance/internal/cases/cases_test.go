package cases_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/tools/conformance/internal/cases"
)

func TestWriteAndRead(t *testing.T) {
	var out bytes.Buffer
	c := &cases.Cases{Client: "a client", Version: "1.2", Out: &out, Timeout: time.Second}
	c.Check("good", func(context.Context) (string, error) { return "seen\nthis", nil })
	c.Check("bad", func(context.Context) (string, error) { return "", errors.New("AADSTS1: no") })
	c.Refuse("refused", "AADSTS1", func(context.Context) error { return errors.New("AADSTS1: no") })
	c.Refuse("refused otherwise", "AADSTS2", func(context.Context) error { return errors.New("connection refused") })
	c.Refuse("taken", "AADSTS1", func(context.Context) error { return nil })
	c.Skip("left out", "why")
	want := []cases.Verdict{cases.Pass, cases.Fail, cases.Pass, cases.Fail, cases.Fail, cases.Skip}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d lines: %s", len(lines), out.String())
	}
	for i, line := range lines {
		r, ok := cases.Read(line)
		if !ok || r.Verdict != want[i] || r.Client != "a client" || r.Version != "1.2" {
			t.Errorf("line %d: %+v, %t", i, r, ok)
		}
		if strings.Contains(r.Reason, "\n") {
			t.Errorf("line %d: reason has a line break", i)
		}
	}
}

func TestReadTakesNoOther(t *testing.T) {
	for _, line := range []string{"", "PASS x", `{"client":"a","case":"b","verdict":"MAYBE"}`, `{"case":"b","verdict":"PASS"}`, `["a"]`} {
		if r, ok := cases.Read(line); ok {
			t.Errorf("%s was read as %+v", line, r)
		}
	}
}

func TestWant(t *testing.T) {
	token := "e30.eyJhdWQiOiJ4IiwidGlkIjoidCJ9.s" // {"aud":"x","tid":"t"}
	if seen, err := cases.Want(token, "aud", "x", "tid", ""); err != nil || seen != "aud x, tid t" {
		t.Errorf("got %q, %v", seen, err)
	}
	for _, pair := range [][]string{{"aud", "y"}, {"oid", ""}} {
		if _, err := cases.Want(token, pair...); err == nil {
			t.Errorf("%v was found", pair)
		}
	}
}
