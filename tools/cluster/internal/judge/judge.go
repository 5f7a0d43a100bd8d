// Package judge keeps verdicts: what was checked, how it came out, and why. A check
// that could not be made is not passed; it says what was missing.
// What never may live here: a check. The command test calls it, and the checks do.
package judge

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
)

// Outcome is how a check came out.
type Outcome string

// The outcomes.
const (
	Pass Outcome = "pass"
	Fail Outcome = "FAIL"
	// Skip is a check that needs something which is not there; Detail names it.
	Skip Outcome = "not run"
)

// detailWidth is where a cell of the table is broken.
const detailWidth = 90

// Verdict is one check.
type Verdict struct {
	// Stage and Check name it.
	Stage string `json:"stage"`
	Check string `json:"check"`
	// Row is the requirement or threat that it proves, or empty.
	Row     string  `json:"row,omitempty"`
	Outcome Outcome `json:"outcome"`
	Detail  string  `json:"detail"`
	// Seconds it took.
	Seconds float64 `json:"seconds"`
}

// Court collects verdicts and shows each as it comes.
type Court struct {
	progress io.Writer
	only     *regexp.Regexp
	verdicts []Verdict
	began    time.Time
}

// New makes a Court; progress gets a line for each verdict. Where only is not nil, the checks
// whose names it does not fit are left out, and have no verdict.
func New(progress io.Writer, only *regexp.Regexp) *Court {
	return &Court{progress: progress, only: only, began: time.Now()}
}

// Wants says whether a check of this name is made.
func (c *Court) Wants(check string) bool { return c.only == nil || c.only.MatchString(check) }

// Check runs one check. What the function returns is the detail; its error is a
// failure, and the check is passed otherwise. One that is left out is no obstacle to
// those that stand on it.
func (c *Court) Check(stage, check, row string, run func() (string, error)) bool {
	return !c.Wants(check) || c.Need(stage, check, row, run)
}

// Need runs a check, also where it is not one of those that were asked for.
func (c *Court) Need(stage, check, row string, run func() (string, error)) bool {
	_, _ = fmt.Fprintf(c.progress, "... %s: %s\n", stage, check)
	began := time.Now()
	detail, err := run()
	v := Verdict{Stage: stage, Check: check, Row: row, Outcome: Pass, Detail: detail, Seconds: time.Since(began).Seconds()}
	if err != nil {
		v.Outcome, v.Detail = Fail, err.Error()
	}
	c.add(v)
	return err == nil
}

// Skip records that a check was not made, and what for.
func (c *Court) Skip(stage, check, row, missing string) {
	if c.Wants(check) {
		c.add(Verdict{Stage: stage, Check: check, Row: row, Outcome: Skip, Detail: missing})
	}
}

func (c *Court) add(v Verdict) {
	c.verdicts = append(c.verdicts, v)
	_, _ = fmt.Fprintf(c.progress, "%-7s %s: %s (%.0f s) %s\n", v.Outcome, v.Stage, v.Check, v.Seconds, v.Detail)
}

// Count returns how many checks came out how.
func (c *Court) Count() (passed, failed, skipped int) {
	for _, v := range c.verdicts {
		switch v.Outcome {
		case Pass:
			passed++
		case Fail:
			failed++
		case Skip:
			skipped++
		}
	}
	return passed, failed, skipped
}

// Write writes the table and the count.
func (c *Court) Write(out io.Writer) {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"stage", "check", "row", "verdict", "s", "detail"})
	t.SetColumnConfigs([]table.ColumnConfig{{Name: "detail", WidthMax: detailWidth}, {Name: "check", WidthMax: detailWidth / 2}})
	for _, v := range c.verdicts {
		t.AppendRow(table.Row{v.Stage, v.Check, v.Row, v.Outcome, fmt.Sprintf("%.0f", v.Seconds), v.Detail})
	}
	passed, failed, skipped := c.Count()
	_, _ = fmt.Fprintf(out, "%s\n%d passed, %d failed, %d not run, in %s\n", t.Render(), passed, failed, skipped, time.Since(c.began).Round(time.Second))
}

// WriteJSON writes one object with all verdicts.
func (c *Court) WriteJSON(out io.Writer) error {
	passed, failed, skipped := c.Count()
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	err := e.Encode(struct {
		Passed   int       `json:"passed"`
		Failed   int       `json:"failed"`
		NotRun   int       `json:"not_run"`
		Verdicts []Verdict `json:"verdicts"`
	}{passed, failed, skipped, c.verdicts})
	if err != nil {
		return fmt.Errorf("verdicts: %w", err)
	}
	return nil
}
