package step

import (
	"context"
	"slices"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc"
)

// member is the one baggage member that crosses a border.
const member = "prt.flow"

// Propagator carries the flow as W3C baggage, and nothing else of the baggage:
// what a caller adds to it is dropped at each border, and a flow that is not one
// of the four is dropped too.
type Propagator struct{}

var _ propagation.TextMapPropagator = Propagator{}

// Inject writes the flow of ctx.
func (Propagator) Inject(ctx context.Context, c propagation.TextMapCarrier) {
	f := FlowFrom(ctx)
	if f == "" {
		return
	}
	m, err := baggage.NewMember(member, string(f))
	if err != nil {
		return
	}
	b, err := baggage.New(m)
	if err != nil {
		return
	}
	c.Set("baggage", b.String())
}

// Extract reads the flow.
func (Propagator) Extract(ctx context.Context, c propagation.TextMapCarrier) context.Context {
	b, err := baggage.Parse(c.Get("baggage"))
	if err != nil {
		return ctx
	}
	if f := Flow(b.Member(member).Value()); slices.Contains(Flows(), f) {
		return In(ctx, f)
	}
	return ctx
}

// Fields names the header used.
func (Propagator) Fields() []string { return []string{"baggage"} }

// UnaryServerInterceptor names the span of an RPC after its row.
func UnaryServerInterceptor() grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
		markRPC(ctx, info.FullMethod)
		return h(ctx, req)
	}
}
