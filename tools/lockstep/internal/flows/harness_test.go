package flows_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/flows"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// play runs a script, and has a subtest for each row that it proves. The sections run
// in order whatever rows are asked for, because each stands on those before it.
func play(t *testing.T, path string, run func(testing.TB, *datadriven.TestData) string) {
	script, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sections, err := flows.Sections(string(script))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	verdicts := judge(t, path, sections, run)
	for _, row := range rows(sections) {
		t.Run(row, func(t *testing.T) {
			for i, s := range sections {
				if slices.Contains(s.Rows, row) && verdicts[i] != "" {
					t.Errorf("%s:%d: %s", path, s.Line, verdicts[i])
				}
			}
		})
	}
	for i, s := range sections {
		if len(s.Rows) == 0 && verdicts[i] != "" {
			t.Errorf("%s:%d: %s", path, s.Line, verdicts[i])
		}
	}
}

// judge says of each section what was wrong with it; empty is nothing. What stands
// below a section that failed was not reached, and that is wrong with it.
func judge(t testing.TB, path string, sections []flows.Section, run func(testing.TB, *datadriven.TestData) string) []string {
	verdicts := make([]string, len(sections))
	for i, s := range sections {
		j := &judged{TB: t, done: make(chan struct{})}
		go func() {
			defer close(j.done)
			// Blank lines, so that a message has the line of the file.
			datadriven.RunTestFromStringAny(j, strings.Repeat("\n", s.Line-1)+s.Text, run)
		}()
		<-j.done
		if !j.failed {
			continue
		}
		verdicts[i] = strings.ReplaceAll(j.text.String(), "<string>", filepath.Base(path))
		for k := i + 1; k < len(sections); k++ {
			verdicts[k] = fmt.Sprintf("not reached: the section at line %d failed", s.Line)
		}
		break
	}
	return verdicts
}

// rows are those of a script, each once.
func rows(sections []flows.Section) []string {
	var all []string
	for _, s := range sections {
		for _, r := range s.Rows {
			if !slices.Contains(all, r) {
				all = append(all, r)
			}
		}
	}
	return all
}

// judged keeps what a section says, for the subtests of its rows.
type judged struct {
	testing.TB
	failed bool
	text   strings.Builder
	done   chan struct{}
}

func (j *judged) Helper()      {}
func (j *judged) Failed() bool { return j.failed }
func (j *judged) Fail()        { j.failed = true }
func (j *judged) FailNow() {
	j.failed = true
	runtime.Goexit()
}
func (j *judged) Log(a ...any)            { fmt.Fprintln(&j.text, a...) }
func (j *judged) Logf(f string, a ...any) { fmt.Fprintf(&j.text, f+"\n", a...) }
func (j *judged) Error(a ...any)          { j.Log(a...); j.Fail() }
func (j *judged) Errorf(f string, a ...any) {
	j.Logf(f, a...)
	j.Fail()
}
func (j *judged) Fatal(a ...any) { j.Log(a...); j.FailNow() }
func (j *judged) Fatalf(f string, a ...any) {
	j.Logf(f, a...)
	j.FailNow()
}

// A section that is skipped would pass: there is no skipping.
func (j *judged) Skip(a ...any)            { j.Fatal(a...) }
func (j *judged) Skipf(f string, a ...any) { j.Fatalf(f, a...) }
func (j *judged) SkipNow()                 { j.Fatal("a section cannot be skipped") }

// rewriting says whether the files are to be renewed.
func rewriting() bool { return flag.Lookup("rewrite").Value.String() == "true" }

const threeSections = `say word=scene
----
scene

proves REG10 REG11 two rows
----
two rows

# a comment
say word=one
----
----
one

more
----
----

proves REG12 one row
----
one row

say word=three
----
three
`

// echo is a runner that says what it is told; "one" has a blank line in its output.
func echo(broken string) func(testing.TB, *datadriven.TestData) string {
	return func(t testing.TB, d *datadriven.TestData) string {
		if d.Cmd == "proves" {
			return flows.New(lab.Config{}).Run(t.Context(), d)
		}
		var word string
		d.ScanArgs(t, "word", &word)
		switch {
		case word == broken:
			return "broken"
		case word == "one":
			return "one\n\nmore"
		}
		return word
	}
}

func TestRowsFailWithTheirSection(t *testing.T) {
	if rewriting() {
		t.Skip("a run with -rewrite compares nothing")
	}
	sections, err := flows.Sections(threeSections)
	if err != nil || len(sections) != 3 || !slices.Equal(rows(sections), []string{"REG10", "REG11", "REG12"}) || sections[2].Line != 19 {
		t.Fatalf("%+v, %v", sections, err)
	}
	for broken, want := range map[string][]string{
		"none":  {"", "", ""},
		"scene": {"broken", "not reached", "not reached"},
		"one":   {"", "broken", "not reached"},
		"three": {"", "", "broken"},
	} {
		for i, v := range judge(t, "x.txt", sections, echo(broken)) {
			if (v == "") != (want[i] == "") || !strings.Contains(v, want[i]) {
				t.Errorf("%s, section %d: %q, want %q", broken, i, v, want[i])
			}
		}
	}
}

func TestASectionThatProvesNothingIsRefused(t *testing.T) {
	for script, want := range map[string]string{
		"proves something\n----\nsomething\n\nsay\n----\nx\n":                  "names no row",
		"proves REG10 a\n----\na\n\nproves REG11 b\n----\nb\n\nsay\n----\nx\n": "nothing is done to prove REG10",
	} {
		if _, err := flows.Sections(script); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", script, err)
		}
	}
}
