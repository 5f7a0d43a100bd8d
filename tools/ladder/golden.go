package ladder

import (
	"cmp"
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/step"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
)

//go:embed testdata/*.txt
var goldens embed.FS

const (
	// callsBegin is the line between the rows and the calls of a golden ladder.
	callsBegin = "calls"
	// sometimes stands before a call that is made only when its answer is not known yet.
	sometimes = "? "
)

// Form is a flow without what changes from run to run: its rows in order, and who called
// whom for what, sorted, with how often.
type Form struct {
	// Name of the golden ladder, which is that of its flow, or app_token_again.
	Name string
	Rows []string
	// Calls have a form such as "dsreg -> tpm-agent  ProviderService/DescribeProvider".
	// A call that carries a row has the row's letter in place of its method.
	Calls map[string]int
	// Maybe are calls of a golden ladder that may be made less often, or not at all.
	Maybe map[string]bool
}

// FormOf brings a trace to its form.
func FormOf(flow step.Flow, spans []Span) Form {
	f := Form{Name: string(flow), Calls: map[string]int{}, Maybe: map[string]bool{}}
	known := map[trace.SpanID]Span{}
	for _, s := range spans {
		known[s.ID] = s
	}
	for _, line := range Build(flow, trace.TraceID{}, spans, false).Lines {
		f.Rows = append(f.Rows, strings.TrimSpace(row(line)))
	}
	for _, s := range spans {
		if s.Server && !s.HTTP {
			f.Calls[call(flow, known, s)]++
		}
	}
	if flow == step.AppToken && Again(spans) {
		f.Name = "app_token_again"
	}
	return f
}

// Again says that an app's token came by the app's own refresh token (row B), not by the
// PRT.
func Again(spans []Span) bool {
	return slices.ContainsFunc(spans, func(s Span) bool { return s.Step == stepv1.Step_STEP_APP_TOKEN_B })
}

func call(flow step.Flow, known map[trace.SpanID]Span, s Span) string {
	what := short(s.Name)
	if s.Step != stepv1.Step_STEP_UNSPECIFIED {
		what = step.Letter(s.Step)
		if f := step.FlowOf(s.Step); f != flow {
			what += " of " + string(f)
		}
	}
	if s.Failed {
		what += " (failed)"
	}
	return cmp.Or(caller(known, s), "nobody") + " -> " + s.Service + "  " + what
}

// Golden is the golden ladder of a name.
func Golden(name string) (Form, error) {
	text, err := goldens.ReadFile("testdata/" + name + ".txt")
	if err != nil {
		return Form{}, fmt.Errorf("there is no golden ladder %.80q: there are %s", name, strings.Join(GoldenNames(), ", "))
	}
	return parseForm(name, string(text))
}

// GoldenNames are the names of the golden ladders.
func GoldenNames() []string {
	files, err := fs.Glob(goldens, "testdata/*.txt")
	if err != nil {
		return nil // the pattern is right
	}
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(strings.TrimPrefix(f, "testdata/"), ".txt"))
	}
	return names
}

// parseForm reads what Text writes; lines that begin with # are remarks.
func parseForm(name, text string) (Form, error) {
	f := Form{Name: name, Calls: map[string]int{}, Maybe: map[string]bool{}}
	calls := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case line == callsBegin:
			calls = true
		case !calls:
			f.Rows = append(f.Rows, line)
		default:
			line, maybe := strings.CutPrefix(line, sometimes)
			what, times := line, 1
			if at := strings.LastIndex(line, " x"); at > 0 {
				if _, err := fmt.Sscanf(line[at:], " x%d", &times); err != nil || times < 2 || times > 100 {
					return f, fmt.Errorf("golden ladder %s: %q does not end with how often", name, line)
				}
				what = line[:at]
			}
			f.Calls[what] = times
			if maybe {
				f.Maybe[what] = true
			}
		}
	}
	return f, nil
}

// Text writes a form as a golden ladder has it.
func (f Form) Text() string {
	var b strings.Builder
	for _, r := range f.Rows {
		b.WriteString(r + "\n")
	}
	b.WriteString("\n" + callsBegin + "\n")
	for _, c := range slices.Sorted(maps.Keys(f.Calls)) {
		if f.Maybe[c] {
			b.WriteString(sometimes)
		}
		b.WriteString(c)
		if n := f.Calls[c]; n > 1 {
			fmt.Fprintf(&b, " x%d", n)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Compare holds what ran to a golden ladder, and names the first difference.
func (f Form) Compare(ran Form) error {
	for i := range max(len(f.Rows), len(ran.Rows)) {
		want, got := at(f.Rows, i), at(ran.Rows, i)
		if want != got {
			return fmt.Errorf("flow %s: row %d is %q, the golden ladder has %q", f.Name, i+1, got, want)
		}
	}
	all := slices.Compact(slices.Sorted(func(yield func(string) bool) {
		for _, m := range []map[string]int{f.Calls, ran.Calls} {
			for c := range m {
				if !yield(c) {
					return
				}
			}
		}
	}))
	for _, c := range all {
		want, got := f.Calls[c], ran.Calls[c]
		if got == want || got < want && f.Maybe[c] {
			continue
		}
		return fmt.Errorf("flow %s: the call %q was made %d times, the golden ladder has %d", f.Name, c, got, want)
	}
	return nil
}

func at(rows []string, i int) string {
	if i < len(rows) {
		return rows[i]
	}
	return "nothing"
}
