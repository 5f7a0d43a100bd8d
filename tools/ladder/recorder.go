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
	// order has the traces by their first span, the oldest first.
	order []trace.TraceID
	// lettered are those that have a row of a table.
	lettered map[trace.TraceID]bool
	// most and spans bound what is kept; 0 is no bound.
	most, spans int
}

// NewRecorder returns an empty recorder that keeps everything.
func NewRecorder() *Recorder {
	return &Recorder{traces: map[trace.TraceID][]Span{}, open: map[trace.TraceID]int{}, lettered: map[trace.TraceID]bool{}}
}

// NewBoundedRecorder returns an empty recorder for what runs for days: it keeps the
// newest traces, and the first spans of each. Traces without a lettered row, such as those
// of who looks at a state again and again, have half of the room at most.
func NewBoundedRecorder(traces, spans int) *Recorder {
	r := NewRecorder()
	r.most, r.spans = traces, spans
	return r
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
	id := s.SpanContext().TraceID()
	if r.open[id]--; r.open[id] <= 0 {
		delete(r.open, id)
	}
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

func (r *Recorder) add(s Span) {
	have, known := r.traces[s.Trace]
	if !known {
		r.order = append(r.order, s.Trace)
	}
	if r.spans == 0 || len(have) < r.spans {
		r.traces[s.Trace] = append(have, s)
	}
	if s.Step != stepv1.Step_STEP_UNSPECIFIED {
		r.lettered[s.Trace] = true
	}
	if r.most > 0 && len(r.order) > r.most {
		r.forget()
	}
}

// forget drops the oldest trace of which nothing runs any more: one without a lettered row
// when those have more than their half. When all run it is the oldest.
func (r *Recorder) forget() {
	plain := len(r.order)-len(r.lettered) > r.most/2
	i := max(0, slices.IndexFunc(r.order, func(id trace.TraceID) bool { return r.open[id] == 0 && !(plain && r.lettered[id]) }))
	delete(r.traces, r.order[i])
	delete(r.lettered, r.order[i])
	r.order = slices.Delete(r.order, i, i+1)
}

// Newest are the ids of the traces that are kept, the newest first.
func (r *Recorder) Newest() []trace.TraceID {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := slices.Clone(r.order)
	slices.Reverse(ids)
	return ids
}

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

// AwaitAnswerers waits until each call of the trace that this process made has the span of
// who answered it, which another process exports a while later. A call that nobody answered
// has none, so ctx bounds the wait, and its end is no error.
func (r *Recorder) AwaitAnswerers(ctx context.Context, id trace.TraceID) {
	_ = await(ctx, func() bool { // what is missing then is not in the trace
		answered := map[trace.SpanID]bool{}
		spans := r.Trace(id)
		for _, s := range spans {
			answered[s.Parent] = answered[s.Parent] || s.Server
		}
		return !slices.ContainsFunc(spans, func(s Span) bool { return s.Client && !answered[s.ID] })
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
