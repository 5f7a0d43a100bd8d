package ladder

import (
	"encoding/hex"
	"fmt"
	"slices"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/types/known/timestamppb"

	labv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lab/v1"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
)

// Message is a span as it crosses from a laboratory to a command.
func Message(s Span) *labv1.TraceSpan {
	m := &labv1.TraceSpan{
		SpanId: s.ID.String(), Service: s.Service, Name: s.Name, Start: timestamppb.New(s.Start), End: timestamppb.New(s.End),
		Failed: s.Failed, Server: s.Server, Http: s.HTTP,
	}
	if s.Parent.IsValid() {
		m.ParentId = s.Parent.String()
	}
	if s.Step != stepv1.Step_STEP_UNSPECIFIED {
		m.Step = s.Step.String()
	}
	return m
}

// FromMessages reads the spans of a trace, in the order of their start.
func FromMessages(t *labv1.GetTraceResponse) (trace.TraceID, []Span, error) {
	id, err := trace.TraceIDFromHex(t.GetTraceId())
	if err != nil {
		return id, nil, fmt.Errorf("id of the trace: %w", err)
	}
	spans := make([]Span, 0, len(t.GetSpans()))
	for _, m := range t.GetSpans() {
		s := Span{
			Trace: id, Service: m.GetService(), Name: m.GetName(), Step: stepv1.Step(stepv1.Step_value[m.GetStep()]),
			Start: m.GetStart().AsTime(), End: m.GetEnd().AsTime(), Failed: m.GetFailed(), Server: m.GetServer(), HTTP: m.GetHttp(),
		}
		if err := spanID(&s.ID, m.GetSpanId()); err != nil {
			return id, nil, err
		}
		if err := spanID(&s.Parent, m.GetParentId()); err != nil {
			return id, nil, err
		}
		spans = append(spans, s)
	}
	slices.SortStableFunc(spans, func(a, b Span) int { return a.Start.Compare(b.Start) })
	return id, spans, nil
}

// spanID reads the id of a span; empty is none.
func spanID(id *trace.SpanID, text string) error {
	if text == "" {
		return nil
	}
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(id) {
		return fmt.Errorf("id of a span: %.40q is not 16 hexadecimal digits", text)
	}
	copy(id[:], b)
	return nil
}
