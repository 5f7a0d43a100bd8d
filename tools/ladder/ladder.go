package ladder

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/step"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
)

// Line is one row of a table, or one call between components that no table
// gives a letter to.
type Line struct {
	// Step is STEP_UNSPECIFIED for a call without a letter.
	Step     stepv1.Step
	From, To string
	What     string
	// Took is the time until the next row began, or until the end of the flow.
	Took   time.Duration
	Failed bool
}

// Ladder is one run of one flow.
type Ladder struct {
	Flow  step.Flow
	Trace trace.TraceID
	Lines []Line
	Total time.Duration
}

// Build makes the ladder of a trace. Calls without a letter are kept only when
// hops is true.
func Build(flow step.Flow, id trace.TraceID, spans []Span, hops bool) Ladder {
	l := Ladder{Flow: flow, Trace: id}
	known, passed := map[trace.SpanID]Span{}, map[trace.SpanID]bool{}
	var end time.Time
	for _, s := range spans {
		known[s.ID] = s
		if s.End.After(end) {
			end = s.End
		}
	}
	for _, s := range spans {
		if way := known[s.Parent]; s.Server && standsIn(way) {
			passed[way.Parent] = true
		}
	}
	last := -1
	var began time.Time
	for _, s := range spans {
		switch {
		case s.Step != stepv1.Step_STEP_UNSPECIFIED && step.FlowOf(s.Step) == flow:
			if last >= 0 {
				l.Lines[last].Took = s.Start.Sub(began)
			}
			row := step.RowOf(s.Step)
			last, began = len(l.Lines), s.Start
			l.Lines = append(l.Lines, Line{Step: s.Step, From: row.GetFrom(), To: row.GetTo(), What: row.GetDoes(), Failed: s.Failed})
		case passed[s.ID]: // a stand-in handed the call on: the callee's own span tells
		case hops && s.Server && !s.HTTP && s.Step == stepv1.Step_STEP_UNSPECIFIED:
			l.Lines = append(l.Lines, Line{From: caller(known, s), To: s.Service, What: short(s.Name), Failed: s.Failed})
		}
	}
	if last >= 0 {
		l.Lines[last].Took = end.Sub(began)
	}
	if len(spans) > 0 {
		l.Total = end.Sub(spans[0].Start)
	}
	return l
}

// Flows are the flows of which a trace has lettered rows, in the order of their first
// row. A trace may have two: a sign-in from the cache, and the renewal behind it.
func Flows(spans []Span) []step.Flow {
	var flows []step.Flow
	for _, s := range spans {
		if f := step.FlowOf(s.Step); slices.Contains(step.Flows(), f) && !slices.Contains(flows, f) {
			flows = append(flows, f)
		}
	}
	return flows
}

// caller is the component that made a call. A call that came over HTTPS was handed
// on by the front of the callee, which is not whom it came from.
func caller(known map[trace.SpanID]Span, s Span) string {
	parent := known[s.Parent]
	for standsIn(parent) { // who called the stand-in
		parent = known[parent.Parent]
	}
	if parent.HTTP {
		return known[parent.Parent].Service
	}
	return parent.Service
}

// standInPrefix begins the service name of a stand-in; the component's own name follows.
const standInPrefix = "faulty-"

// standsIn says whether a span is that of a stand-in. A call that it hands on has a span
// of its own at the callee, and one that it breaks has none but the stand-in's.
func standsIn(s Span) bool { return strings.HasPrefix(s.Service, standInPrefix) }

// short is Service/Method without the package.
func short(method string) string {
	if slash := strings.Index(method, "/"); slash > 0 {
		if dot := strings.LastIndex(method[:slash], "."); dot > 0 {
			return method[dot+1:]
		}
	}
	return method
}

// Rows are the rows of the ladder in order.
func (l Ladder) Rows() []stepv1.Step {
	var rows []stepv1.Step
	for _, line := range l.Lines {
		if line.Step != stepv1.Step_STEP_UNSPECIFIED {
			rows = append(rows, line.Step)
		}
	}
	return rows
}

// Check compares the rows that ran with those that should have, and names the
// first difference.
func (l Ladder) Check(want []stepv1.Step) error {
	got := l.Rows()
	if slices.Equal(got, want) {
		for _, line := range l.Lines {
			if line.Failed {
				return fmt.Errorf("flow %s: %s failed", l.Flow, label(line))
			}
		}
		return nil
	}
	for _, w := range want {
		if !slices.Contains(got, w) {
			return fmt.Errorf("flow %s: step %s is missing; ran: %s", l.Flow, step.Letter(w), letters(got))
		}
	}
	return fmt.Errorf("flow %s: steps ran as %s, not as %s", l.Flow, letters(got), letters(want))
}

func label(l Line) string {
	if l.Step != stepv1.Step_STEP_UNSPECIFIED {
		return "step " + step.Letter(l.Step)
	}
	return l.What
}

func letters(rows []stepv1.Step) string {
	var b strings.Builder
	for _, s := range rows {
		b.WriteString(step.Letter(s))
	}
	if b.Len() == 0 {
		return "nothing"
	}
	return b.String()
}
