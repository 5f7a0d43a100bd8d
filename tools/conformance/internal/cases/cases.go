// Package cases is the language between the runner and the programs that hold a
// client: one JSON object a line on standard output for each case.
//
// What lives here: the object, its writer for the programs in Go, its reader for
// the runner. What never may: what a case does. The programs in Python and Node
// write the same object.
package cases

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Verdict is what came out of a case.
type Verdict string

// The verdicts. A case that must be refused passes on the refusal it expects alone.
const (
	Pass Verdict = "PASS"
	Fail Verdict = "FAIL"
	Skip Verdict = "SKIP"
)

// maxReason bounds what stands in the table about one case, in bytes.
const maxReason = 300

// Result is one case.
type Result struct {
	// Client is the client's name, Version the one that is installed.
	Client  string `json:"client"`
	Version string `json:"version"`
	// Case is the case's name, words separated by dots.
	Case    string  `json:"case"`
	Verdict Verdict `json:"verdict"`
	// Reason says what was seen, or why the case failed or was skipped.
	Reason string `json:"reason,omitempty"`
}

// Read takes one line. Lines that are no result are the client's own output.
func Read(line string) (Result, bool) {
	var r Result
	if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &r) != nil || r.Client == "" || r.Case == "" {
		return Result{}, false
	}
	switch r.Verdict {
	case Pass, Fail, Skip:
	default:
		return Result{}, false
	}
	r.Reason = OneLine(r.Reason)
	return r, true
}

// OneLine makes a reason fit for a table.
func OneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxReason {
		s = strings.ToValidUTF8(s[:maxReason], "") + " ..."
	}
	return s
}

// Cases writes the results of one client.
type Cases struct {
	// Client and Version go into every result.
	Client, Version string
	// Out takes the lines.
	Out io.Writer
	// Timeout bounds one case.
	Timeout time.Duration
}

func (c *Cases) write(name string, v Verdict, reason string) {
	line, err := json.Marshal(Result{Client: c.Client, Version: c.Version, Case: name, Verdict: v, Reason: reason})
	if err != nil {
		return // strings always marshal
	}
	_, _ = fmt.Fprintln(c.Out, string(line))
}

// Check runs a case that must succeed; f says what it saw.
func (c *Cases) Check(name string, f func(context.Context) (string, error)) bool {
	ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
	defer cancel()
	seen, err := f(ctx)
	if err != nil {
		c.write(name, Fail, err.Error())
		return false
	}
	c.write(name, Pass, seen)
	return true
}

// Refuse runs a case that must be refused with an error that contains want.
func (c *Cases) Refuse(name, want string, f func(context.Context) error) bool {
	return c.Check(name, func(ctx context.Context) (string, error) {
		err := f(ctx)
		if err == nil {
			return "", errors.New("it was accepted, and has to be refused with " + want)
		}
		if !strings.Contains(err.Error(), want) {
			return "", fmt.Errorf("refused, but not with %s: %w", want, err)
		}
		return "refused with " + want, nil
	})
}

// Skip says why a case was not run.
func (c *Cases) Skip(name, reason string) { c.write(name, Skip, reason) }
