package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/whatif"
)

// teach runs a scenario and shows question, answer and what the run saw.
func (q *question) teach(ctx context.Context, out io.Writer, w *whatif.World) error {
	s, err := whatif.ReadScenario(q.scenario)
	if err != nil {
		return err
	}
	lessons, err := w.Teach(ctx, s)
	if err != nil {
		return err
	}
	q.cfg.Progress("")
	wrong := 0
	var rows []table.Row
	for _, l := range lessons {
		wrong += len(l.Wrong)
		seen := fmt.Sprintf("%d cells: as expected", len(l.Ran))
		if len(l.Wrong) > 0 {
			seen = fmt.Sprintf("%d of %d cells: %s", len(l.Wrong), len(l.Ran), l.Wrong[0].Outcome)
		}
		rows = append(rows, table.Row{l.Question.Ask, l.Question.Answer, strings.Join(ways(l.Ran), "; "), seen})
	}
	if q.asJSON {
		err = writeJSON(out, lessons)
	} else {
		showTable(out, s.Title, table.Row{"question", "answer", "seen", "checked"}, rows)
	}
	if err == nil && wrong > 0 {
		err = fmt.Errorf("%d cells ended otherwise than the scenario expects", wrong)
	}
	return err
}

// ways are the different outcomes of cells, without their reasons.
func ways(ran []whatif.Ran) []string {
	var all []string
	seen := map[string]bool{}
	for _, r := range ran {
		r.Outcome.Reason, r.Outcome.Guidance = "", ""
		if text := r.Outcome.String(); !seen[text] {
			all, seen[text] = append(all, text), true
		}
	}
	return all
}

// enrol shows who can set up Windows Hello, with what, and who cannot at all.
func (q *question) enrol(ctx context.Context, out io.Writer, w *whatif.World) error {
	document, err := policies(w, q.policy)
	if err != nil {
		return err
	}
	all, err := w.Enrolments(ctx, document, q.users)
	if err != nil {
		return err
	}
	q.cfg.Progress("")
	if q.asJSON {
		return writeJSON(out, all)
	}
	var rows []table.Row
	for _, e := range all {
		said := "set up"
		if !e.Provisioned {
			said = "refused: " + e.Reason
		}
		method := e.Method
		if method == "" {
			method = "(none)"
		}
		rows = append(rows, table.Row{e.User, method, strings.Join(e.Asked, ", "), said})
	}
	showTable(out, "Windows Hello, set up for the first time", table.Row{"user", "method", "asked for", "outcome"}, rows)
	without := whatif.WithoutSpare(all)
	if len(without) == 0 {
		_, err = fmt.Fprintln(out, "everybody has a method to begin with")
		return err
	}
	_, err = fmt.Fprintf(out, "without a method to begin with: %s\n", strings.Join(without, ", "))
	return err
}
