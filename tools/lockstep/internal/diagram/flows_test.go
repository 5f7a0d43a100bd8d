package diagram_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/step"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
	"github.com/lockstep-sso/lockstep/tools/ladder"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/demo"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/diagram"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// pictures is where the documentation has the pictures of the flows.
const pictures = "../../../../docs/pictures"

// run is a flow that ran in a lab.
type run struct {
	name string
	flow step.Flow
	rows string
	id   trace.TraceID
}

// play runs every flow once, and the app's token both ways.
func play(t *testing.T, cfg lab.Config) (*lab.Lab, []run) {
	t.Helper()
	l, err := lab.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	who := demo.DefaultTenant()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	d, err := l.AddDevice(t.Context())
	must(err)
	_, err = d.Operator.Join(t.Context(), who.User, who.Password, "DESKTOP-1")
	must(err)
	desktop, first, err := d.LogonUI.SignIn(t.Context(), who.User, who.Password)
	must(err)
	_, byPRT, err := d.App(who.App).Token(t.Context(), desktop, who.Resource, true)
	must(err)
	_, byToken, err := d.App(who.App).Token(t.Context(), desktop, who.Resource, true)
	must(err)
	visit, err := d.Browser.Open(t.Context(), desktop, who.Page, secret.Text{})
	must(err)
	must(d.LogonUI.SignOut(t.Context(), desktop))
	must(l.Advance(t.Context(), 5*time.Hour))
	_, later, err := d.LogonUI.SignIn(t.Context(), who.User, who.Password)
	must(err)
	return l, []run{
		{"first_sign_in", step.FirstSignIn, "ABCDEF", first}, {"app_token", step.AppToken, "ACDE", byPRT},
		{"app_token_again", step.AppToken, "ABE", byToken}, {"browser_sso", step.BrowserSSO, "ABCDEF", visit.Trace}, {"renewal", step.Renewal, "ABCDEFG", later},
	}
}

// TestOBS10_PicturesOfRealTraces draws every flow from its real trace, over both carriers,
// and holds the letters on the picture to the spans and to the documents' tables. The
// pictures of the documentation are these.
func TestOBS10_PicturesOfRealTraces(t *testing.T) {
	for name, https := range map[string]bool{"gRPC": false, "HTTPS": true} {
		t.Run(name, func(t *testing.T) {
			l, runs := play(t, lab.Config{TPM: "mem:", HTTPS: https})
			for _, r := range runs {
				want := rowsOf(r.flow, r.rows)
				if err := l.Recorder().AwaitRows(t.Context(), r.id, want); err != nil {
					t.Fatal(err)
				}
				if err := l.Recorder().AwaitIdle(t.Context(), r.id); err != nil {
					t.Fatal(err)
				}
				spans := l.Recorder().Trace(r.id)
				d := diagram.Of(ladder.Build(r.flow, r.id, spans, false), false)
				matches(t, r, d, spans)
				if !strings.Contains(d.Note, r.id.String()) {
					t.Errorf("%s: the picture says %q, not which trace it is", r.name, d.Note)
				}
				d.Note, d.Times = "drawn from a trace of lockstep lab", false
				golden(t, filepath.Join(pictures, r.name+".svg"), d.SVG())
			}
		})
	}
}

// matches holds a picture to the table: the letters in order, who sends to whom, what
// travels; and to the spans: each row was recorded by one who takes part in it.
func matches(t *testing.T, r run, d diagram.Diagram, spans []ladder.Span) {
	t.Helper()
	want := rowsOf(r.flow, r.rows)
	if len(d.Arrows) != len(want) {
		t.Fatalf("%s: %d arrows, want rows %s", r.name, len(d.Arrows), r.rows)
	}
	for i, a := range d.Arrows {
		row := step.RowOf(want[i])
		from, to := d.Lifelines[a.From], d.Lifelines[a.To]
		if a.Letter != string(r.rows[i]) || from.Name != row.GetFrom() || to.Name != row.GetTo() || a.What != row.GetDoes() || a.Failed {
			t.Errorf("%s: arrow %d is %+v from %s to %s, the table has %s: %v", r.name, i, a, from.Name, to.Name, step.Letter(want[i]), row)
		}
		at := slices.IndexFunc(spans, func(s ladder.Span) bool { return s.Step == want[i] })
		if at < 0 || spans[at].Service != from.Component && spans[at].Service != to.Component {
			t.Errorf("%s: step %s was recorded by %q, the picture has it between %s and %s", r.name, a.Letter, spans[max(at, 0)].Service, from.Component, to.Component)
		}
	}
	var seen strings.Builder
	for _, e := range elements(t, d.SVG()) {
		if e.class == "letter" {
			seen.WriteString(e.text)
		}
	}
	if seen.String() != r.rows {
		t.Errorf("%s: the letters on the picture are %s, the rows are %s", r.name, seen.String(), r.rows)
	}
	at := -1
	for _, letter := range r.rows {
		next := strings.Index(d.Text(), " "+string(letter)+" ")
		if next <= at {
			t.Errorf("%s: the letters of the text are not in order at %c:\n%s", r.name, letter, d.Text())
		}
		at = next
	}
}

func rowsOf(flow step.Flow, letters string) []stepv1.Step {
	var rows []stepv1.Step
	for _, s := range step.All() {
		if step.FlowOf(s) == flow && strings.Contains(letters, step.Letter(s)) {
			rows = append(rows, s)
		}
	}
	return rows
}
