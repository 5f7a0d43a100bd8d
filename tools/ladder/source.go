package ladder

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"

	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
)

const (
	// lookEvery is how often a trace is read again that is not whole yet.
	lookEvery = 50 * time.Millisecond
	// settled is for how long nothing may come to a trace that counts as whole. Processes
	// export what they have ten times a second.
	settled = 500 * time.Millisecond
)

// Source is where finished spans are read: the Recorder of this process, or Jaeger.
type Source interface {
	// Spans are the finished spans of a trace in the order of their start, none for a
	// trace that is not there.
	Spans(ctx context.Context, id trace.TraceID) ([]Span, error)
}

// Spans makes a Recorder a Source.
func (r *Recorder) Spans(_ context.Context, id trace.TraceID) ([]Span, error) {
	return r.Trace(id), nil
}

// Await reads a trace until it holds all the rows. When they do not come before ctx ends,
// it returns what there is, and the error of ctx.
func Await(ctx context.Context, from Source, id trace.TraceID, rows []stepv1.Step) ([]Span, error) {
	return until(ctx, from, id, func(spans []Span, _ time.Duration) bool { return has(spans, rows) })
}

// AwaitWhole reads a trace until it holds all the rows, the parent of every span is there,
// and nothing has come to it for half a second.
func AwaitWhole(ctx context.Context, from Source, id trace.TraceID, rows []stepv1.Step) ([]Span, error) {
	return until(ctx, from, id, func(spans []Span, still time.Duration) bool {
		return has(spans, rows) && whole(spans) && still >= settled
	})
}

// until reads a trace until done says so, which is told for how long it has not grown.
func until(ctx context.Context, from Source, id trace.TraceID, done func([]Span, time.Duration) bool) ([]Span, error) {
	var last []Span
	grew := time.Now()
	for {
		spans, err := from.Spans(ctx, id)
		if err != nil && ctx.Err() == nil {
			return last, err
		}
		if err == nil {
			if len(spans) != len(last) {
				last, grew = spans, time.Now()
			}
			if done(spans, time.Since(grew)) {
				return spans, nil
			}
		}
		select {
		case <-ctx.Done():
			return last, fmt.Errorf("trace %s has %d spans and is not whole: %w", id, len(last), errors.Join(err, ctx.Err()))
		case <-time.After(lookEvery):
		}
	}
}

func has(spans []Span, rows []stepv1.Step) bool {
	return !slices.ContainsFunc(rows, func(want stepv1.Step) bool {
		return !slices.ContainsFunc(spans, func(s Span) bool { return s.Step == want })
	})
}

// whole says that the parent of every span is there.
func whole(spans []Span) bool {
	known := map[trace.SpanID]bool{}
	for _, s := range spans {
		known[s.ID] = true
	}
	return !slices.ContainsFunc(spans, func(s Span) bool { return s.Parent.IsValid() && !known[s.Parent] })
}
