package rpc

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// traceIDs carries the ids of a trace (the traceparent of W3C Trace Context) and drops
// its tracestate: 512 bytes of whoever calls, which would reach every component behind
// and what collects the spans. A vendor that needs it is none of ours; section 3.3.1 of
// Trace Context allows to drop it.
type traceIDs struct{ parent propagation.TraceContext }

var _ propagation.TextMapPropagator = traceIDs{}

// Inject writes the ids of ctx.
func (p traceIDs) Inject(ctx context.Context, c propagation.TextMapCarrier) {
	p.parent.Inject(trace.ContextWithSpanContext(ctx, bare(trace.SpanContextFromContext(ctx))), c)
}

// Extract reads the ids.
func (p traceIDs) Extract(ctx context.Context, c propagation.TextMapCarrier) context.Context {
	read := trace.SpanContextFromContext(p.parent.Extract(context.Background(), c))
	if !read.IsValid() {
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, bare(read))
}

// Fields names the header used.
func (traceIDs) Fields() []string { return []string{"traceparent"} }

// bare is a span context without its tracestate.
func bare(s trace.SpanContext) trace.SpanContext { return s.WithTraceState(trace.TraceState{}) }
