package telemetry_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/lockstep-sso/lockstep/pkg/obs"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/run"
	telemetryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/telemetry/v1"
	"github.com/lockstep-sso/lockstep/services/telemetry"
)

// world is a spool beside a component, which serves on a real network.
type world struct {
	t      *testing.T
	ca     *rpc.CA
	socket string
	listen string
}

func spool(t *testing.T, keep int) world {
	t.Helper()
	ca, err := rpc.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	w := world{t: t, ca: ca, socket: "unix:" + filepath.Join(dir, "otlp.sock"), listen: "unix:" + filepath.Join(dir, "spool.sock")}
	id, err := ca.Issue("tpm-agent")
	if err != nil {
		t.Fatal(err)
	}
	r, err := run.Start(run.Config{Name: "tpm-agent", Identity: id, Network: rpc.OS{}, Listen: w.listen}, telemetry.Wire(w.socket, keep))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// dial is a connection to the spool as somebody.
func (w world) dial(caller string) grpc.ClientConnInterface {
	w.t.Helper()
	id, err := w.ca.Issue(caller)
	if err != nil {
		w.t.Fatal(err)
	}
	conn, err := rpc.Dial(rpc.DialConfig{Network: rpc.OS{}, Addr: w.listen, Identity: id, Server: "tpm-agent"})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (w world) fetch(acknowledged string, wait time.Duration) *telemetryv1.FetchTelemetryResponse {
	w.t.Helper()
	r, err := telemetryv1.NewSpoolServiceClient(w.dial("observer")).FetchTelemetry(w.t.Context(), &telemetryv1.FetchTelemetryRequest{Acknowledged: acknowledged, Wait: durationpb.New(wait)})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// exports has the component export n spans, one an export, each with a note of so many
// bytes.
func (w world) exports(n, bytes int) {
	w.t.Helper()
	for range n {
		tp, err := obs.Tracing(w.t.Context(), obs.TraceConfig{Service: "tpm-agent", OTLP: w.socket})
		if err != nil {
			w.t.Fatal(err)
		}
		_, span := tp.Tracer("t").Start(w.t.Context(), "F unwrap", trace.WithAttributes(attribute.String("note", strings.Repeat("x", bytes))))
		span.End()
		if err := tp.Shutdown(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
}

func spans(t *testing.T, items []*telemetryv1.Item) int {
	t.Helper()
	n := 0
	for _, i := range items {
		var r collectortrace.ExportTraceServiceRequest
		if i.GetSignal() != telemetryv1.Signal_SIGNAL_TRACES {
			continue
		}
		if err := proto.Unmarshal(i.GetExport(), &r); err != nil {
			t.Fatal(err)
		}
		for _, rs := range r.GetResourceSpans() {
			for _, ss := range rs.GetScopeSpans() {
				n += len(ss.GetSpans())
			}
		}
	}
	return n
}

func TestWhatIsNotAcknowledgedIsHandedOutAgain(t *testing.T) {
	w := spool(t, 0)
	if r := w.fetch("", 0); len(r.GetItems()) != 0 || r.GetCursor() != "" {
		t.Errorf("an empty spool handed out %v", r)
	}
	w.exports(3, 10)
	first := w.fetch("", 0)
	again := w.fetch("somebody-1", 0)
	if spans(t, first.GetItems()) != 3 || spans(t, again.GetItems()) != 3 || first.GetCursor() != again.GetCursor() {
		t.Errorf("%d spans, then %d", spans(t, first.GetItems()), spans(t, again.GetItems()))
	}
	w.exports(1, 10)
	if r := w.fetch(first.GetCursor(), 0); spans(t, r.GetItems()) != 1 || r.GetDropped() != 0 {
		t.Errorf("after the acknowledgement there are %d spans", spans(t, r.GetItems()))
	}
}

func TestAFetchWaitsUntilSomethingComes(t *testing.T) {
	w := spool(t, 0)
	got := make(chan int)
	go func() { got <- spans(t, w.fetch("", 20*time.Second).GetItems()) }()
	w.exports(1, 10)
	if n := <-got; n != 1 {
		t.Errorf("%d spans", n)
	}
	for name, r := range map[string]*telemetryv1.FetchTelemetryRequest{
		"a long wait": {Wait: durationpb.New(time.Hour)}, "before": {Wait: durationpb.New(-1)}, "a long cursor": {Acknowledged: strings.Repeat("1", 101)},
	} {
		if _, err := telemetryv1.NewSpoolServiceClient(w.dial("observer")).FetchTelemetry(t.Context(), r); prterr.KindOf(err) != prterr.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheSpoolIsForTheObserverAlone(t *testing.T) {
	w := spool(t, 0)
	for _, other := range []string{"tpm-agent", "operator", "lsa-cloudap", "idp"} {
		_, err := telemetryv1.NewSpoolServiceClient(w.dial(other)).FetchTelemetry(t.Context(), &telemetryv1.FetchTelemetryRequest{})
		if prterr.KindOf(err) != prterr.Denied {
			t.Errorf("%s: %v", other, err)
		}
	}
	if _, err := telemetry.Wire("tcp:127.0.0.1:0", 0)(&run.Env{}); err == nil || !strings.Contains(err.Error(), "unix:PATH") {
		t.Errorf("exports over a network: %v", err)
	}
}

// TestTheSpoolIsBounded: when it is full the oldest goes, and is counted; what is too large
// is halved, and when that is impossible counted too.
func TestTheSpoolIsBounded(t *testing.T) {
	w := spool(t, 400<<10)
	w.exports(6, 100<<10)
	left, cursor := 0, ""
	var dropped uint64
	for {
		r := w.fetch(cursor, 0)
		if len(r.GetItems()) == 0 {
			dropped = r.GetDropped()
			break
		}
		left, cursor = left+spans(t, r.GetItems()), r.GetCursor()
	}
	if left != 3 || dropped != 3 {
		t.Errorf("%d are left and %d dropped, of 6", left, dropped)
	}
	w.exports(1, 300<<10)
	if r := w.fetch(cursor, 0); len(r.GetItems()) != 0 || r.GetDropped() != 4 {
		t.Errorf("one that does not fit: %d items, %d dropped", len(r.GetItems()), r.GetDropped())
	}
	tp, err := obs.Tracing(t.Context(), obs.TraceConfig{Service: "tpm-agent", OTLP: w.socket})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		_, span := tp.Tracer("t").Start(t.Context(), "F", trace.WithAttributes(attribute.String("note", strings.Repeat("x", 15<<10))))
		span.End()
	}
	if err := tp.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	left = 0
	for {
		r := w.fetch(cursor, 0)
		if len(r.GetItems()) == 0 {
			break
		}
		left, cursor = left+spans(t, r.GetItems()), r.GetCursor()
	}
	if left != 20 {
		t.Errorf("%d of 20 spans of one large export are left", left)
	}
	if _, err := telemetry.New(telemetry.Config{Keep: 100}); err == nil {
		t.Error("a spool without room was made")
	}
}

// collector counts what arrives; refuse is what it answers with.
type collector struct {
	collectortrace.UnimplementedTraceServiceServer
	mu     sync.Mutex
	spans  map[string]int
	refuse error
}

func (c *collector) Export(_ context.Context, r *collectortrace.ExportTraceServiceRequest) (*collectortrace.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuse != nil {
		return nil, c.refuse
	}
	for _, rs := range r.GetResourceSpans() {
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				c.spans[string(s.GetSpanId())]++
			}
		}
	}
	return &collectortrace.ExportTraceServiceResponse{}, nil
}

func (c *collector) answer(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse = err
}

func (c *collector) have() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.spans)
}

// await waits until the collector has so many spans.
func (c *collector) await(t *testing.T, n int) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); c.have() < n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d spans have arrived", c.have(), n)
		}
	}
}

// TestNothingIsLostWhileTheCollectorIsAway: the pump starts before the collector, meets one
// that is overloaded, loses it, starts again itself, and everything arrives.
func TestNothingIsLostWhileTheCollectorIsAway(t *testing.T) {
	w := spool(t, 0)
	path := filepath.Join(t.TempDir(), "collector.sock")
	to, err := obs.Collector("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = to.Close() }()
	pump := func() (stop func()) {
		p, err := telemetry.NewPump(telemetry.PumpConfig{Spool: w.dial("observer"), Collector: to})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- p.Run(ctx) }()
		return func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
	c := &collector{spans: map[string]int{}}
	serve := func() *grpc.Server {
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		s := grpc.NewServer()
		collectortrace.RegisterTraceServiceServer(s, c)
		go func() { _ = s.Serve(l) }()
		return s
	}
	w.exports(2, 10)
	stop := pump()
	c.answer(status.Error(codes.ResourceExhausted, "busy"))
	s := serve()
	w.exports(2, 10)
	c.answer(nil)
	c.await(t, 4)
	s.Stop()
	w.exports(2, 10)
	stop()
	stop = pump()
	w.exports(2, 10)
	s = serve()
	defer s.Stop()
	c.await(t, 8)
	stop()
	if r := w.fetch("", 0); r.GetDropped() != 0 {
		t.Errorf("%d were dropped", r.GetDropped())
	}
}

// TestWhatACollectorNeverTakesDoesNotStopTheRest: one without metrics, as Jaeger, gets the
// spans all the same.
func TestWhatACollectorNeverTakesDoesNotStopTheRest(t *testing.T) {
	w := spool(t, 0)
	conn, err := obs.Collector(w.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := collectormetrics.NewMetricsServiceClient(conn).Export(t.Context(), &collectormetrics.ExportMetricsServiceRequest{}); err != nil {
		t.Fatal(err)
	}
	w.exports(1, 10)
	c := &collector{spans: map[string]int{}}
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	collectortrace.RegisterTraceServiceServer(s, c)
	go func() { _ = s.Serve(l) }()
	defer s.Stop()
	to, err := obs.Collector(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = to.Close() }()
	p, err := telemetry.NewPump(telemetry.PumpConfig{Spool: w.dial("observer"), Collector: to})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- p.Run(ctx) }()
	c.await(t, 1)
	cancel()
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := telemetry.NewPump(telemetry.PumpConfig{}); err == nil {
		t.Error("a pump from nowhere to nowhere was made")
	}
}
