// Package ladder turns recorded spans into what people read: the lettered rows
// of a flow, in the order in which they happened, and between them the calls
// from component to component.
//
// It reads traces and nothing else, so a ladder shows what ran and not what was
// meant to run. The demo, the flow scripts and the checks of both use it.
package ladder

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/step"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
)

// Span is what a ladder needs of a finished span, wherever it was recorded.
type Span struct {
	Trace   trace.TraceID
	ID      trace.SpanID
	Parent  trace.SpanID
	Service string
	Name    string
	// Client is true for the caller's side of a call that this process recorded itself.
	Client bool
	// Server is true for the callee's side of an RPC, HTTP for that of a request on
	// the HTTPS carrier: what it asks for is an RPC below it.
	Server     bool
	HTTP       bool
	Step       stepv1.Step
	Start, End time.Time
	Failed     bool
}

// fromSDK reads a span of this process.
func fromSDK(s sdktrace.ReadOnlySpan) Span {
	out := Span{
		Trace: s.SpanContext().TraceID(), ID: s.SpanContext().SpanID(), Parent: s.Parent().SpanID(),
		Name: s.Name(), Server: s.SpanKind() == trace.SpanKindServer, Client: s.SpanKind() == trace.SpanKindClient,
		Start: s.StartTime(), End: s.EndTime(), Failed: s.Status().Code == codes.Error || refused(s.Attributes()),
	}
	out.Step = stepOf(s.Attributes())
	for _, kv := range s.Resource().Attributes() {
		if kv.Key == "service.name" {
			out.Service = kv.Value.AsString()
		}
	}
	for _, kv := range s.Attributes() {
		out.HTTP = out.HTTP || kv.Key == httpKey
	}
	return out
}

// httpKey stands on the spans of HTTP requests and on no others.
const httpKey = "http.request.method"

// statusKey is where an RPC's span keeps the status of its answer.
const statusKey = "rpc.response.status_code"

// refused is true for an RPC that answered with any error: the callee's span has
// error status only for errors that are the callee's own fault.
func refused(attrs []attribute.KeyValue) bool {
	for _, kv := range attrs {
		if kv.Key == statusKey {
			return kv.Value.AsString() != "OK"
		}
	}
	return false
}

func stepOf(attrs []attribute.KeyValue) stepv1.Step {
	for _, kv := range attrs {
		if kv.Key == step.StepKey {
			return stepv1.Step(stepv1.Step_value[kv.Value.AsString()])
		}
	}
	return stepv1.Step_STEP_UNSPECIFIED
}
