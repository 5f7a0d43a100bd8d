package ladder

import (
	"context"
	"fmt"
	"net"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/step"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
)

// Receiver takes spans of other processes over OTLP/gRPC into a recorder, and
// passes them on to a collector when there is one.
type Receiver struct {
	collector.UnimplementedTraceServiceServer
	recorder *Recorder
	forward  collector.TraceServiceClient
	server   *grpc.Server
}

// NewReceiver serves on l until Close. forward may be nil.
func NewReceiver(l net.Listener, r *Recorder, forward grpc.ClientConnInterface) *Receiver {
	rx := &Receiver{recorder: r, server: grpc.NewServer()}
	if forward != nil {
		rx.forward = collector.NewTraceServiceClient(forward)
	}
	collector.RegisterTraceServiceServer(rx.server, rx)
	go func() { _ = rx.server.Serve(l) }() // ends with Close
	return rx
}

// Close ends serving, after the exports under way.
func (rx *Receiver) Close() { rx.server.GracefulStop() }

// Export is the OTLP call.
func (rx *Receiver) Export(ctx context.Context, req *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	for _, rs := range req.GetResourceSpans() {
		service := attr(rs.GetResource().GetAttributes(), "service.name")
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				rx.recorder.Add(fromOTLP(service, s))
			}
		}
	}
	if rx.forward != nil {
		if _, err := rx.forward.Export(ctx, req); err != nil {
			return nil, fmt.Errorf("forward spans: %w", err)
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

func fromOTLP(service string, s *tracev1.Span) Span {
	out := Span{
		Service: service, Name: s.GetName(), Server: s.GetKind() == tracev1.Span_SPAN_KIND_SERVER,
		Start: time.Unix(0, int64(s.GetStartTimeUnixNano())), End: time.Unix(0, int64(s.GetEndTimeUnixNano())),
		Step: stepv1.Step(stepv1.Step_value[attr(s.GetAttributes(), string(step.StepKey))]),
		HTTP: attr(s.GetAttributes(), httpKey) != "",
	}
	copy(out.Trace[:], s.GetTraceId())
	copy(out.ID[:], s.GetSpanId())
	copy(out.Parent[:], s.GetParentSpanId())
	status := attr(s.GetAttributes(), statusKey)
	out.Failed = s.GetStatus().GetCode() == tracev1.Status_STATUS_CODE_ERROR || (status != "" && status != "OK")
	return out
}

func attr(kvs []*commonv1.KeyValue, key string) string {
	for _, kv := range kvs {
		if kv.GetKey() == key {
			return kv.GetValue().GetStringValue()
		}
	}
	return ""
}
