// Package diagram draws a run of a flow as a sequence: who takes part, what travels
// between them, and the letters of the documents' tables. It draws ladders, which are
// read from traces, so a picture shows what ran.
//
// What lives here: where things stand on the picture, as text and as SVG. What never may:
// a look at a trace (that is the ladder's business), or at a clock. The command trace and
// the pictures of the documentation come from here.
package diagram

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/step"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
	"github.com/lockstep-sso/lockstep/tools/ladder"
)

// Diagram is one run of a flow, ready to be drawn.
type Diagram struct {
	// Title such as "First sign-in", and Note below it, such as the id of the trace.
	Title, Note string
	Lifelines   []Lifeline
	Arrows      []Arrow
	// Times has the picture say how long each row took.
	Times bool
}

// Lifeline is one who takes part.
type Lifeline struct {
	// Name as the documents have it, and the Component that plays the part here; they are
	// the same where the picture is one of components.
	Name, Component string
}

// Arrow is a row of the table, or a call that has no letter.
type Arrow struct {
	// Letter is empty for a call without one.
	Letter string
	// From and To are indexes of Lifelines.
	From, To int
	What     string
	Took     time.Duration
	Failed   bool
}

// roles are the parts of the documents' tables from the user's side to the cloud's, each
// with the component that plays it.
func roles() []Lifeline {
	return []Lifeline{
		{"LogonUI", "logonui"}, {"browser", "browser"}, {"app", "app"}, {"native host", "browsercore"}, {"WAM", "wam-broker"}, {"WAM plug-in", "wam-broker"},
		{"CloudAP", "lsa-cloudap"}, {"CloudAP plug-in", "lsa-cloudap"}, {"TPM", "tpm-agent"}, {"IdP", "idp"},
	}
}

// components are those of a picture that shows every call, in the same order.
func components() []string {
	return []string{"logonui", "operator", "settings", "browser", "app", "window", "browsercore", "wam-broker", "lsa-cloudap", "dsreg", "tpm-agent", "adfs", "idp"}
}

// Component is the component that plays a part of the tables, or the name itself when it
// is none of them.
func Component(role string) string {
	for _, r := range roles() {
		if r.Name == role {
			return r.Component
		}
	}
	return role
}

// titles are what people call the flows.
func titles() map[step.Flow]string {
	return map[step.Flow]string{
		step.FirstSignIn: "First sign-in: the PRT is issued", step.Renewal: "Later sign-in: the PRT is renewed",
		step.AppToken: "An app asks for a token", step.BrowserSSO: "Browser single sign-on with the PRT",
	}
}

// Of is the picture of a ladder. With hops, which the ladder must have, it is one of
// components and shows the calls without a letter too; without it is one of the parts
// that the documents name.
func Of(l ladder.Ladder, hops bool) Diagram {
	d := Diagram{Title: titles()[l.Flow], Note: "trace " + l.Trace.String(), Times: true}
	if d.Title == "" {
		d.Title = "Calls without a flow"
	}
	lines := slices.DeleteFunc(slices.Clone(l.Lines), func(line ladder.Line) bool {
		return !hops && line.Step == stepv1.Step_STEP_UNSPECIFIED
	})
	for i, line := range lines {
		if hops {
			lines[i].From, lines[i].To = Component(line.From), Component(line.To)
		}
	}
	d.Lifelines = lifelines(lines, hops)
	at := func(name string) int {
		return slices.IndexFunc(d.Lifelines, func(p Lifeline) bool { return p.Name == name })
	}
	for _, line := range lines {
		a := Arrow{From: at(line.From), To: at(line.To), What: line.What, Took: line.Took, Failed: line.Failed}
		if line.Step != stepv1.Step_STEP_UNSPECIFIED {
			a.Letter = step.Letter(line.Step)
		}
		d.Arrows = append(d.Arrows, a)
	}
	return d
}

// lifelines are those of the lines, in the order in which they stand side by side.
// Whoever has no place in it stands at the right.
func lifelines(lines []ladder.Line, hops bool) []Lifeline {
	known := roles()
	if hops {
		known = nil
		for _, c := range components() {
			known = append(known, Lifeline{c, c})
		}
	}
	part := map[string]bool{}
	for _, line := range lines {
		for _, name := range []string{line.From, line.To} {
			part[name] = true
			if !slices.ContainsFunc(known, func(p Lifeline) bool { return p.Name == name }) {
				known = append(known, Lifeline{name, name})
			}
		}
	}
	return slices.DeleteFunc(known, func(p Lifeline) bool { return !part[p.Name] })
}

// words says an arrow in a sentence, for those who do not see it.
func (d Diagram) words(a Arrow) string {
	var b strings.Builder
	if a.Letter != "" {
		b.WriteString("Step " + a.Letter + ", ")
	}
	fmt.Fprintf(&b, "%s to %s: %s", d.Lifelines[a.From].Name, d.Lifelines[a.To].Name, a.What)
	if a.Failed {
		b.WriteString(" (failed)")
	}
	return b.String()
}

// took is a time as the picture says it; empty for none.
func (d Diagram) took(a Arrow) string {
	if !d.Times || a.Took <= 0 {
		return ""
	}
	return fmt.Sprintf("%.1f ms", float64(a.Took.Microseconds())/1000)
}

// wrap breaks a text into lines of at most width characters, at blanks. A word that is
// longer has a line of its own.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, w := range strings.Fields(text) {
		switch {
		case line == "":
			line = w
		case len([]rune(line))+1+len([]rune(w)) <= width:
			line += " " + w
		default:
			lines = append(lines, line)
			line = w
		}
	}
	return append(lines, line)
}
