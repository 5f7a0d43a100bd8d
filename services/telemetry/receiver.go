package telemetry

import (
	"context"
	"fmt"
	"time"

	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	metricsv1 "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
	telemetryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/telemetry/v1"
)

const (
	// maxExport bounds one export as it comes, in bytes.
	maxExport = 4 << 20
	// hello bounds the time until a connection speaks HTTP/2.
	hello = 5 * time.Second
)

// receiver takes OTLP from the component beside it. The socket is the user's own (pkg/rpc):
// there is nobody else to tell apart.
type receiver struct {
	collectortrace.UnimplementedTraceServiceServer
	spool  *Spool
	server *grpc.Server
}

// receive serves OTLP/gRPC at unix:PATH until close.
func receive(s *Spool, addr string) (*receiver, error) {
	l, err := rpc.OS{}.Listen(addr)
	if err != nil {
		return nil, fmt.Errorf("otlp receiver: %w", err)
	}
	r := &receiver{spool: s, server: grpc.NewServer(grpc.MaxRecvMsgSize(maxExport), grpc.MaxConcurrentStreams(16), grpc.ConnectionTimeout(hello))}
	collectortrace.RegisterTraceServiceServer(r.server, r)
	collectormetrics.RegisterMetricsServiceServer(r.server, metricsReceiver{spool: s})
	go func() { _ = r.server.Serve(l) }() // ends with close
	return r, nil
}

// Close ends serving, after the exports under way.
func (r *receiver) Close() error {
	r.server.GracefulStop()
	return nil
}

// Export is the OTLP call for spans.
func (r *receiver) Export(_ context.Context, req *collectortrace.ExportTraceServiceRequest) (*collectortrace.ExportTraceServiceResponse, error) {
	keep(r.spool, telemetryv1.Signal_SIGNAL_TRACES, req, halveSpans)
	return &collectortrace.ExportTraceServiceResponse{}, nil
}

type metricsReceiver struct {
	collectormetrics.UnimplementedMetricsServiceServer
	spool *Spool
}

// Export is the OTLP call for metrics.
func (r metricsReceiver) Export(_ context.Context, req *collectormetrics.ExportMetricsServiceRequest) (*collectormetrics.ExportMetricsServiceResponse, error) {
	keep(r.spool, telemetryv1.Signal_SIGNAL_METRICS, req, halveMetrics)
	return &collectormetrics.ExportMetricsServiceResponse{}, nil
}

// keep spools an export, in halves when it does not fit an answer of the spool. What
// cannot be halved any more and still does not fit is lost, and counted.
func keep[M proto.Message](s *Spool, signal telemetryv1.Signal, req M, halve func(M) (a, b M, ok bool)) {
	if proto.Size(req) > maxItem {
		a, b, ok := halve(req)
		if !ok {
			s.lose()
			return
		}
		keep(s, signal, a, halve)
		keep(s, signal, b, halve)
		return
	}
	export, err := proto.Marshal(req)
	if err != nil {
		s.lose()
		return
	}
	s.put(signal, export)
}

func halveSpans(r *collectortrace.ExportTraceServiceRequest) (a, b *collectortrace.ExportTraceServiceRequest, ok bool) {
	of := func(rs ...*tracev1.ResourceSpans) *collectortrace.ExportTraceServiceRequest {
		return &collectortrace.ExportTraceServiceRequest{ResourceSpans: rs}
	}
	all := r.GetResourceSpans()
	if n := len(all); n > 1 {
		return of(all[:n/2]...), of(all[n/2:]...), true
	}
	if len(all) == 0 {
		return nil, nil, false
	}
	one := all[0]
	scoped := func(ss ...*tracev1.ScopeSpans) *collectortrace.ExportTraceServiceRequest {
		return of(&tracev1.ResourceSpans{Resource: one.GetResource(), SchemaUrl: one.GetSchemaUrl(), ScopeSpans: ss})
	}
	scopes := one.GetScopeSpans()
	if n := len(scopes); n > 1 {
		return scoped(scopes[:n/2]...), scoped(scopes[n/2:]...), true
	}
	if len(scopes) == 0 || len(scopes[0].GetSpans()) < 2 {
		return nil, nil, false
	}
	scope, spans := scopes[0], scopes[0].GetSpans()
	part := func(s []*tracev1.Span) *collectortrace.ExportTraceServiceRequest {
		return scoped(&tracev1.ScopeSpans{Scope: scope.GetScope(), SchemaUrl: scope.GetSchemaUrl(), Spans: s})
	}
	return part(spans[:len(spans)/2]), part(spans[len(spans)/2:]), true
}

func halveMetrics(r *collectormetrics.ExportMetricsServiceRequest) (a, b *collectormetrics.ExportMetricsServiceRequest, ok bool) {
	of := func(rs ...*metricsv1.ResourceMetrics) *collectormetrics.ExportMetricsServiceRequest {
		return &collectormetrics.ExportMetricsServiceRequest{ResourceMetrics: rs}
	}
	all := r.GetResourceMetrics()
	if n := len(all); n > 1 {
		return of(all[:n/2]...), of(all[n/2:]...), true
	}
	if len(all) == 0 {
		return nil, nil, false
	}
	one := all[0]
	scoped := func(ss ...*metricsv1.ScopeMetrics) *collectormetrics.ExportMetricsServiceRequest {
		return of(&metricsv1.ResourceMetrics{Resource: one.GetResource(), SchemaUrl: one.GetSchemaUrl(), ScopeMetrics: ss})
	}
	scopes := one.GetScopeMetrics()
	if n := len(scopes); n > 1 {
		return scoped(scopes[:n/2]...), scoped(scopes[n/2:]...), true
	}
	if len(scopes) == 0 || len(scopes[0].GetMetrics()) < 2 {
		return nil, nil, false
	}
	scope, ms := scopes[0], scopes[0].GetMetrics()
	part := func(m []*metricsv1.Metric) *collectormetrics.ExportMetricsServiceRequest {
		return scoped(&metricsv1.ScopeMetrics{Scope: scope.GetScope(), SchemaUrl: scope.GetSchemaUrl(), Metrics: m})
	}
	return part(ms[:len(ms)/2]), part(ms[len(ms)/2:]), true
}
