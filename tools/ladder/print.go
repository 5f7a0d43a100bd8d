package ladder

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/lockstep-sso/lockstep/pkg/step"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
)

// whatWidth is where the words of a row wrap, in columns.
const whatWidth = 58

// Print writes the ladder as a table with a title.
func (l Ladder) Print(w io.Writer, title string) {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleLight)
	t.SetTitle(title)
	t.AppendHeader(table.Row{"", "from", "", "to", "what", "ms"})
	t.SetColumnConfigs([]table.ColumnConfig{
		{Number: 5, WidthMax: whatWidth, WidthMaxEnforcer: text.WrapSoft},
		{Number: 6, Align: text.AlignRight, AlignHeader: text.AlignRight},
	})
	for _, line := range l.Lines {
		what := line.What
		if line.Failed {
			what += " (FAILED)"
		}
		if line.Step == stepv1.Step_STEP_UNSPECIFIED {
			t.AppendRow(table.Row{"", "  " + line.From, "·", line.To, "  " + what, ""})
			continue
		}
		t.AppendRow(table.Row{step.Letter(line.Step), line.From, "→", line.To, what, millis(line.Took)})
	}
	t.AppendFooter(table.Row{"", "", "", "", "the whole flow", millis(l.Total)})
	t.Style().Format.Footer = text.FormatDefault
	t.Style().Format.Header = text.FormatDefault
	t.Render()
}

// Text writes the ladder as plain lines without times: what a script compares.
func (l Ladder) Text() string {
	var b strings.Builder
	for _, line := range l.Lines {
		b.WriteString(row(line) + "\n")
	}
	return b.String()
}

// row is a line as plain text.
func row(line Line) string {
	mark := " "
	if line.Step != stepv1.Step_STEP_UNSPECIFIED {
		mark = step.Letter(line.Step)
	}
	text := fmt.Sprintf("%s  %-16s -> %-16s %s", mark, line.From, line.To, line.What)
	if line.Failed {
		text += " (failed)"
	}
	return text
}

// object is one step as a script reads it; the names are a promise.
type object struct {
	Flow string  `json:"flow"`
	Step string  `json:"step"`
	From string  `json:"from"`
	To   string  `json:"to"`
	What string  `json:"what"`
	MS   float64 `json:"ms"`
}

// JSON writes one object a row, one a line.
func (l Ladder) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	for _, line := range l.Lines {
		if line.Step == stepv1.Step_STEP_UNSPECIFIED {
			continue
		}
		o := object{string(l.Flow), step.Letter(line.Step), line.From, line.To, line.What, ms(line.Took)}
		if err := enc.Encode(o); err != nil {
			return fmt.Errorf("write step: %w", err)
		}
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func millis(d time.Duration) string { return fmt.Sprintf("%.1f", ms(d)) }
