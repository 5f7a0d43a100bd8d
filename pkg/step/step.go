// Package step names spans after the documented rows.
//
// A flow ("first_sign_in") is begun by the door that knows which table it runs,
// and its name travels with the trace. Below, an RPC whose contract realises a
// row of that flow has its span named after the row, and a room that carries a
// row by itself starts a span for it. The flow names spans and does nothing
// else: no decision reads it, because it comes from the caller.
package step

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
)

// Flow is the name of one of the four tables.
type Flow string

// The four tables.
const (
	FirstSignIn Flow = "first_sign_in"
	Renewal     Flow = "renewal"
	AppToken    Flow = "app_token"
	BrowserSSO  Flow = "browser_sso"
)

// Flows lists the tables in the order of the documents.
func Flows() []Flow { return []Flow{FirstSignIn, Renewal, AppToken, BrowserSSO} }

// Attribute keys of a row's span.
const (
	FlowKey = attribute.Key("prt.flow")
	StepKey = attribute.Key("prt.step")
)

const instrumentation = "github.com/lockstep-sso/lockstep/pkg/step"

type flowKey struct{}

// In marks the flow for every hop below.
func In(ctx context.Context, f Flow) context.Context { return context.WithValue(ctx, flowKey{}, f) }

// FlowFrom is the flow that ctx runs in, or "".
func FlowFrom(ctx context.Context) Flow {
	f, _ := ctx.Value(flowKey{}).(Flow)
	return f
}

// Outside is for what is a step of no flow: no span is recorded of what is done with it,
// neither here nor by whoever is called.
func Outside(ctx context.Context) context.Context {
	unsampled := trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, Remote: true}
	return trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(unsampled))
}

// Start begins a row that a room carries by itself. The caller ends the span with End.
func Start(ctx context.Context, s stepv1.Step) (context.Context, trace.Span) {
	tracer := trace.SpanFromContext(ctx).TracerProvider().Tracer(instrumentation)
	return tracer.Start(In(ctx, FlowOf(s)), name(s), trace.WithAttributes(attributes(s)...))
}

// End ends the span of a row. What went wrong shows by its kind, never by its text.
func End(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, string(prterr.KindOf(err)))
	}
	span.End()
}

// Begin is called by the door of a flow, once it knows which row it carries. It
// names the span of the current RPC.
func Begin(ctx context.Context, s stepv1.Step) context.Context {
	mark(trace.SpanFromContext(ctx), s)
	return In(ctx, FlowOf(s))
}

// Realised returns the rows that an RPC's contract says it carries out.
func Realised(fullMethod string) []stepv1.Step {
	n := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(fullMethod, "/"), "/", "."))
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(n)
	if err != nil {
		return nil
	}
	rows, _ := proto.GetExtension(d.Options(), stepv1.E_Realises).([]stepv1.Step)
	return rows
}

// markRPC names the current span when the RPC realises a row of the running flow.
func markRPC(ctx context.Context, fullMethod string) {
	flow := FlowFrom(ctx)
	if flow == "" {
		return
	}
	for _, s := range Realised(fullMethod) {
		if FlowOf(s) == flow {
			mark(trace.SpanFromContext(ctx), s)
		}
	}
}

func mark(sp trace.Span, s stepv1.Step) {
	sp.SetName(name(s))
	sp.SetAttributes(attributes(s)...)
}

func attributes(s stepv1.Step) []attribute.KeyValue {
	return []attribute.KeyValue{FlowKey.String(string(FlowOf(s))), StepKey.String(s.String())}
}

// RowOf is what the document says in the row of s.
func RowOf(s stepv1.Step) *stepv1.Row {
	v := s.Descriptor().Values().ByNumber(s.Number())
	if v == nil {
		return &stepv1.Row{}
	}
	row, _ := proto.GetExtension(v.Options(), stepv1.E_Row).(*stepv1.Row)
	return row
}

// Letter is the letter of the row, "A" to "G".
func Letter(s stepv1.Step) string {
	t := s.String()
	return t[strings.LastIndex(t, "_")+1:]
}

// FlowOf is the table that s is a row of.
func FlowOf(s stepv1.Step) Flow {
	t := strings.ToLower(strings.TrimPrefix(s.String(), "STEP_"))
	if i := strings.LastIndex(t, "_"); i > 0 {
		return Flow(t[:i])
	}
	return ""
}

// RowIn is the row of a flow that a method carries out, unspecified when it has none there.
func RowIn(f Flow, fullMethod string) stepv1.Step {
	for _, row := range Realised(fullMethod) {
		if FlowOf(row) == f {
			return row
		}
	}
	return stepv1.Step_STEP_UNSPECIFIED
}

// All lists the rows of all tables in order.
func All() []stepv1.Step {
	values := stepv1.Step(0).Descriptor().Values()
	all := make([]stepv1.Step, 0, values.Len())
	for i := range values.Len() {
		if n := values.Get(i).Number(); n != 0 {
			all = append(all, stepv1.Step(n))
		}
	}
	return all
}

func name(s stepv1.Step) string { return Letter(s) + " " + RowOf(s).GetDoes() }
