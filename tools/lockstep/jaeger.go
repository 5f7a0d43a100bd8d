package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/step"
	"github.com/lockstep-sso/lockstep/tools/ladder"
)

// lookBack is how far back Jaeger is searched for a trace that is not named in full.
const lookBack = 24 * time.Hour

// takesPart are the components that take part in every run of a flow: what is searched
// for in Jaeger, which lists traces by service.
func takesPart(flow step.Flow) string {
	switch flow {
	case step.AppToken:
		return "wam-broker"
	case step.BrowserSSO:
		return "browsercore"
	default:
		return "lsa-cloudap"
	}
}

// listed are the traces in Jaeger that have a flow, the newest first; all flows when it is
// empty.
func listed(ctx context.Context, j *ladder.Jaeger, flow step.Flow) ([]ladder.Found, error) {
	if flow != "" {
		return j.Find(ctx, takesPart(flow), flow, lookBack)
	}
	var all []ladder.Found
	for _, f := range step.Flows() {
		some, err := j.Find(ctx, takesPart(f), f, lookBack)
		if err != nil {
			return nil, err
		}
		for _, s := range some {
			if !slices.ContainsFunc(all, func(have ladder.Found) bool { return have.ID == s.ID }) {
				all = append(all, s)
			}
		}
	}
	slices.SortFunc(all, func(a, b ladder.Found) int { return b.Spans[0].Start.Compare(a.Spans[0].Start) })
	return all, nil
}

// fromTheTop says that a flow ran from its first row: a renewal on the clock, which nobody
// signed in for, has none.
func fromTheTop(flow step.Flow, spans []ladder.Span) bool {
	rows := ladder.Build(flow, trace.TraceID{}, spans, false).Rows()
	return len(rows) > 0 && step.Letter(rows[0]) == "A"
}

// fromJaeger reads the trace of a name: its id, the first digits of it, or "last" for the
// newest with the flow.
func fromJaeger(ctx context.Context, j *ladder.Jaeger, name string, flow step.Flow) (trace.TraceID, []ladder.Span, error) {
	name = strings.ToLower(strings.ReplaceAll(name, "-", "")) // a Correlation ID is a GUID
	if id, err := trace.TraceIDFromHex(name); err == nil {
		spans, err := j.Spans(ctx, id)
		if err == nil && len(spans) == 0 {
			err = fmt.Errorf("trace %s is not in Jaeger", id)
		}
		return id, spans, err
	}
	found, err := listed(ctx, j, flow)
	if err != nil {
		return trace.TraceID{}, nil, err
	}
	if name != "last" {
		found = slices.DeleteFunc(found, func(f ladder.Found) bool { return !strings.HasPrefix(f.ID.String(), name) })
	}
	switch {
	case len(found) == 0 && name == "last":
		return trace.TraceID{}, nil, fmt.Errorf("no such flow has reached Jaeger in the last %v", lookBack)
	case name != "last" && len(found) != 1:
		return trace.TraceID{}, nil, fmt.Errorf("%d traces in Jaeger begin with %.80q", len(found), name)
	}
	spans, err := j.Spans(ctx, found[0].ID)
	return found[0].ID, spans, err
}

// inJaeger shows a trace that is in Jaeger, or the list of them.
func (v *view) inJaeger(ctx context.Context, out io.Writer, name string) (err error) {
	j, err := ladder.NewJaeger(v.jaeger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	if name == "list" {
		return v.listJaeger(ctx, out, j)
	}
	id, spans, err := fromJaeger(ctx, j, name, step.Flow(v.flow))
	if err != nil {
		return err
	}
	return v.draw(out, id, spans)
}

// listJaeger shows the newest traces in Jaeger.
func (v *view) listJaeger(ctx context.Context, out io.Writer, j *ladder.Jaeger) error {
	found, err := listed(ctx, j, step.Flow(v.flow))
	if err != nil {
		return err
	}
	var rows []table.Row
	for _, f := range found[:min(len(found), int(v.limit))] {
		for _, flow := range f.Flows {
			l := ladder.Build(flow, f.ID, f.Spans, false)
			if v.asJSON {
				if err := json.NewEncoder(out).Encode(map[string]any{"trace_id": f.ID.String(), "flow": flow, "start": f.Spans[0].Start.UTC(), "ms": float64(l.Total.Microseconds()) / 1000}); err != nil {
					return err
				}
				continue
			}
			rows = append(rows, table.Row{f.ID, flow, f.Spans[0].Start.Local().Format(time.TimeOnly), l.Total.Round(100 * time.Microsecond)})
		}
	}
	if !v.asJSON {
		showTable(out, "", table.Row{"trace", "flow", "at", "took"}, rows)
	}
	return nil
}
