package ladder

import (
	"context"
	"slices"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
)

// pollEvery is how often a waiting reader looks again.
const pollEvery = 2 * time.Millisecond

// Recorder keeps finished spans by trace. It is a span processor for the
// components of this process and a store for spans that others send.
type Recorder struct {
	mu     sync.Mutex
	traces map[trace.TraceID][]Span
	open   map[trace.TraceID]int
}

// NewRecorder returns an empty recorder.
func NewRecorder() *Recorder {
	return &Recorder{traces: map[trace.TraceID][]Span{}, open: map[trace.TraceID]int{}}
}

var _ sdktrace.SpanProcessor = (*Recorder)(nil)

// OnStart counts the span as open.
func (r *Recorder) OnStart(_ context.Context, s sdktrace.ReadWriteSpan) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open[s.SpanContext().TraceID()]++
}

// OnEnd keeps the span.
func (r *Recorder) OnEnd(s sdktrace.ReadOnlySpan) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open[s.SpanContext().TraceID()]--
	r.add(fromSDK(s))
}

// Add keeps spans that were recorded in another process.
func (r *Recorder) Add(spans ...Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range spans {
		r.add(s)
	}
}

func (r *Recorder) add(s Span) { r.traces[s.Trace] = append(r.traces[s.Trace], s) }

// Shutdown does nothing: the spans stay readable.
func (*Recorder) Shutdown(context.Context) error { return nil }

// ForceFlush does nothing: spans are kept as they end.
func (*Recorder) ForceFlush(context.Context) error { return nil }

// Trace returns the finished spans of a trace in the order of their start.
func (r *Recorder) Trace(id trace.TraceID) []Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	spans := slices.Clone(r.traces[id])
	slices.SortStableFunc(spans, func(a, b Span) int { return a.Start.Compare(b.Start) })
	return spans
}

// All returns the spans of all traces.
func (r *Recorder) All() []Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []Span
	for _, spans := range r.traces {
		all = append(all, spans...)
	}
	return all
}

// AwaitIdle waits until no span of the trace is open in this process.
func (r *Recorder) AwaitIdle(ctx context.Context, id trace.TraceID) error {
	return await(ctx, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.open[id] == 0
	})
}

// AwaitRows waits until the trace holds all the rows; when they do not come
// before ctx ends, the reader sees what is missing.
func (r *Recorder) AwaitRows(ctx context.Context, id trace.TraceID, rows []stepv1.Step) error {
	return await(ctx, func() bool {
		have := map[stepv1.Step]bool{}
		for _, s := range r.Trace(id) {
			have[s.Step] = true
		}
		return !slices.ContainsFunc(rows, func(s stepv1.Step) bool { return !have[s] })
	})
}

func await(ctx context.Context, done func() bool) error {
	t := time.NewTicker(pollEvery)
	defer t.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
	return nil
}
