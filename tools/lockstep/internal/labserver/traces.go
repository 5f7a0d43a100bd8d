package labserver

import (
	"cmp"
	"context"
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/step"
	labv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lab/v1"
	"github.com/lockstep-sso/lockstep/tools/ladder"
)

// usual is how many traces are listed when nobody says; all that are kept fit into
// one answer.
const usual = 20

// settle bounds the wait for the end of a trace that is asked for: the last span ends a
// little after the answer that it was for.
const settle = 2 * time.Second

// ListTraces lists the newest traces.
func (s *service) ListTraces(_ context.Context, r *labv1.ListTracesRequest) (*labv1.ListTracesResponse, error) {
	limit := int(cmp.Or(r.GetLimit(), usual))
	resp := &labv1.ListTracesResponse{}
	for _, id := range s.lab.Recorder().Newest() {
		if len(resp.GetTraces()) == limit {
			break
		}
		spans := s.lab.Recorder().Trace(id)
		if len(spans) > 0 && (r.GetAll() && r.GetFlow() == "" || has(spans, r.GetFlow())) {
			resp.Traces = append(resp.Traces, summary(id, spans))
		}
	}
	return resp, nil
}

// has says whether spans have rows of a flow; empty is any.
func has(spans []ladder.Span, flow string) bool {
	flows := ladder.Flows(spans)
	return flow == "" && len(flows) > 0 || slices.Contains(flows, step.Flow(flow))
}

// summary describes a trace; spans are in the order of their start.
func summary(id trace.TraceID, spans []ladder.Span) *labv1.TraceSummary {
	t := &labv1.TraceSummary{TraceId: id.String(), Start: timestamppb.New(spans[0].Start)}
	if all := ladder.Flows(spans); len(all) > 0 {
		t.Flow = string(all[0])
	}
	end := spans[0].Start
	for _, span := range spans {
		if span.End.After(end) {
			end = span.End
		}
		t.Failed = t.GetFailed() || span.Failed
	}
	t.Duration = durationpb.New(end.Sub(spans[0].Start))
	return t
}

// GetTrace gives the spans of one trace.
func (s *service) GetTrace(ctx context.Context, r *labv1.GetTraceRequest) (*labv1.GetTraceResponse, error) {
	id, err := s.wanted(r.GetTraceId(), r.GetFlow())
	if err != nil {
		return nil, err
	}
	wait, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	_ = s.lab.Recorder().AwaitIdle(wait, id) // what still runs then is not in the answer
	resp := &labv1.GetTraceResponse{TraceId: id.String()}
	for _, span := range s.lab.Recorder().Trace(id) {
		resp.Spans = append(resp.Spans, ladder.Message(span))
	}
	return resp, nil
}

// wanted finds the trace that is meant.
func (s *service) wanted(name, flow string) (trace.TraceID, error) {
	if name == "" {
		for _, id := range s.lab.Recorder().Newest() {
			if has(s.lab.Recorder().Trace(id), flow) {
				return id, nil
			}
		}
		return trace.TraceID{}, prterr.New(prterr.NotFound, "no such flow has run yet: lockstep play 'sign-in user=alice' runs one")
	}
	id, err := trace.TraceIDFromHex(name)
	if err != nil {
		return id, prterr.New(prterr.Invalid, "trace_id: %.80q is not 32 hexadecimal digits", name)
	}
	if len(s.lab.Recorder().Trace(id)) == 0 {
		return id, prterr.New(prterr.NotFound, "the trace %s is not there: a laboratory keeps its last %d, lockstep trace list shows them", name, keepTraces)
	}
	return id, nil
}
