// Package jaegertest gives tests a Jaeger: the real one where its program is, and one in
// this process everywhere, which takes OTLP and answers the same two questions of /api/v3.
// One suite proves both. Tests of the tools call it; no product code may.
package jaegertest

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
)

// Jaeger is where traces go and where they are read.
type Jaeger struct {
	// OTLP is the address of its OTLP/gRPC receiver, HOST:PORT.
	OTLP string
	// URL is the base address of its query service.
	URL string
}

// fake keeps what it is sent.
type fake struct {
	collector.UnimplementedTraceServiceServer
	mu   sync.Mutex
	sent []*tracev1.ResourceSpans
}

// New starts a Jaeger in this process.
func New(t testing.TB) Jaeger {
	t.Helper()
	f := &fake{}
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	collector.RegisterTraceServiceServer(s, f)
	go func() { _ = s.Serve(l) }() // ends with Stop
	t.Cleanup(s.Stop)
	web := httptest.NewServer(f)
	t.Cleanup(web.Close)
	return Jaeger{OTLP: l.Addr().String(), URL: web.URL}
}

// Export is the OTLP call.
func (f *fake) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent = append(f.sent, r.GetResourceSpans()...)
	return &collector.ExportTraceServiceResponse{}, nil
}

// ServeHTTP answers /api/v3/traces/ID and /api/v3/traces?query.service_name=NAME.
func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	wanted := map[string]bool{}
	id, one := strings.CutPrefix(r.URL.Path, "/api/v3/traces/")
	switch {
	case one:
		wanted[id] = true
	case r.URL.Path == "/api/v3/traces" && r.URL.Query().Get("query.start_time_min") != "" && r.URL.Query().Get("query.start_time_max") != "":
		for _, rs := range f.sent {
			if name(rs) == r.URL.Query().Get("query.service_name") {
				each(rs, func(s *tracev1.Span) { wanted[hex.EncodeToString(s.GetTraceId())] = true })
			}
		}
	default:
		http.NotFound(w, r)
		return
	}
	var resources []any
	for _, rs := range f.sent {
		var spans []any
		each(rs, func(s *tracev1.Span) {
			if wanted[hex.EncodeToString(s.GetTraceId())] {
				spans = append(spans, written(s))
			}
		})
		if len(spans) > 0 {
			resources = append(resources, object{"resource": object{"attributes": attributes(rs.GetResource().GetAttributes())}, "scopeSpans": []any{object{"spans": spans}}})
		}
	}
	w.Header().Set("Content-Type", "application/json")
	answer := object{"result": object{"resourceSpans": resources}}
	if len(resources) == 0 {
		w.WriteHeader(http.StatusNotFound)
		answer = object{"error": object{"httpCode": http.StatusNotFound, "message": "No traces found"}}
	}
	_ = json.NewEncoder(w).Encode(answer) // who has hung up reads no answer
}

type object map[string]any

func name(rs *tracev1.ResourceSpans) string {
	for _, kv := range rs.GetResource().GetAttributes() {
		if kv.GetKey() == "service.name" {
			return kv.GetValue().GetStringValue()
		}
	}
	return ""
}

func each(rs *tracev1.ResourceSpans, do func(*tracev1.Span)) {
	for _, scope := range rs.GetScopeSpans() {
		for _, s := range scope.GetSpans() {
			do(s)
		}
	}
}

// written is a span in OTLP's JSON.
func written(s *tracev1.Span) object {
	return object{
		"traceId": hex.EncodeToString(s.GetTraceId()), "spanId": hex.EncodeToString(s.GetSpanId()), "parentSpanId": hex.EncodeToString(s.GetParentSpanId()),
		"name": s.GetName(), "kind": int(s.GetKind()), "attributes": attributes(s.GetAttributes()), "status": object{"code": int(s.GetStatus().GetCode())},
		"startTimeUnixNano": strconv.FormatUint(s.GetStartTimeUnixNano(), 10), "endTimeUnixNano": strconv.FormatUint(s.GetEndTimeUnixNano(), 10),
	}
}

func attributes(kvs []*commonv1.KeyValue) []any {
	var all []any
	for _, kv := range kvs {
		switch v := kv.GetValue().GetValue().(type) {
		case *commonv1.AnyValue_StringValue:
			all = append(all, object{"key": kv.GetKey(), "value": object{"stringValue": v.StringValue}})
		case *commonv1.AnyValue_IntValue:
			all = append(all, object{"key": kv.GetKey(), "value": object{"intValue": strconv.FormatInt(v.IntValue, 10)}})
		}
	}
	return all
}
