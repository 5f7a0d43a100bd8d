package run_test

import (
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/metric/noop"
	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/run"
	"github.com/lockstep-sso/lockstep/pkg/scrape"
)

// TestOBS12_MetricsAreServedWhenAskedFor: a component process records nothing unless its
// flags say where to, serves what it records while it runs, and only to its own machine.
func TestOBS12_MetricsAreServedWhenAskedFor(t *testing.T) {
	ca, _ := rpc.NewCA()
	id, _ := ca.Issue("idp")
	dir := t.TempDir()
	if err := id.Save(filepath.Join(dir, "id")); err != nil {
		t.Fatal(err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().String()
	_ = l.Close()
	flags := run.Flags{Listen: "unix:" + filepath.Join(dir, "run", "idp.sock"), Identity: filepath.Join(dir, "id"), State: dir, LogLevel: "off", Scraper: scrape.Open}
	for metrics, there := range map[string]bool{"": false, free: true} {
		flags.Metrics = metrics
		ctx, cancel := context.WithCancel(t.Context())
		err := run.Process(ctx, "idp", flags, func(env *run.Env) (*run.Component, error) {
			defer cancel()
			if _, none := env.MeterProvider.(noop.MeterProvider); none == there {
				t.Errorf("--metrics %q: recording is %v", metrics, !none)
			}
			c, err := env.MeterProvider.Meter("test").Int64Counter("things")
			if err != nil {
				return nil, err
			}
			c.Add(ctx, 3)
			if got := served(ctx, free); strings.Contains(got, "things_total 3") != there {
				t.Errorf("--metrics %q: served %q", metrics, got)
			}
			return wire("")(env)
		})
		if err != nil {
			t.Errorf("--metrics %q: %v", metrics, err)
		}
	}
	if got := served(t.Context(), free); got != "" {
		t.Errorf("after the end there is %q", got)
	}
	flags.Metrics = "0.0.0.0:0"
	if err := run.Process(t.Context(), "idp", flags, wire("")); err == nil || !strings.Contains(err.Error(), "this machine alone") {
		t.Errorf("an address that others reach: %v", err)
	}
	flags.Metrics, flags.Scraper = free, nil
	if err := run.Process(t.Context(), "idp", flags, wire("")); err == nil || !strings.Contains(err.Error(), "use --otlp") {
		t.Errorf("a component that serves none: %v", err)
	}
}

// served is what is served at an address, empty for nothing.
func served(ctx context.Context, addr string) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+scrape.Path, nil)
	if err != nil {
		return ""
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer func() { _ = resp.Body.Close() }()
	b, _ := io.ReadAll(resp.Body) // what could not be read is not there
	return string(b)
}

// sink takes metrics and keeps the resources that they are of, by their attributes.
type sink struct {
	collector.UnimplementedMetricsServiceServer
	resources chan map[string]string
}

// Export takes.
func (s *sink) Export(_ context.Context, r *collector.ExportMetricsServiceRequest) (*collector.ExportMetricsServiceResponse, error) {
	got := map[string]string{}
	for _, a := range r.GetResourceMetrics()[0].GetResource().GetAttributes() {
		got[a.GetKey()] = a.GetValue().GetStringValue()
	}
	s.resources <- got
	return &collector.ExportMetricsServiceResponse{}, nil
}

// TestOBS12_ACollectorTellsProcessesApart: what a process exports says where the environment
// has it run, and no more of that; two of one name that know no place differ too.
func TestOBS12_ACollectorTellsProcessesApart(t *testing.T) {
	ca, _ := rpc.NewCA()
	id, _ := ca.Issue("idp")
	dir := t.TempDir()
	if err := id.Save(filepath.Join(dir, "id")); err != nil {
		t.Fatal(err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, taken := grpc.NewServer(), &sink{resources: make(chan map[string]string, 8)}
	collector.RegisterMetricsServiceServer(s, taken)
	go func() { _ = s.Serve(l) }()
	defer s.Stop()
	process := func(place string) error {
		t.Setenv("OTEL_RESOURCE_ATTRIBUTES", place)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		flags := run.Flags{Listen: "unix:" + filepath.Join(dir, "run", "idp.sock"), Identity: filepath.Join(dir, "id"), State: dir, LogLevel: "off", OTLP: l.Addr().String()}
		return run.Process(ctx, "idp", flags, func(env *run.Env) (*run.Component, error) {
			defer cancel()
			c, err := env.MeterProvider.Meter("test").Int64Counter("things")
			if err != nil {
				return nil, err
			}
			c.Add(ctx, 1)
			return wire("")(env)
		})
	}
	if err := process("service.namespace=lockstep-cloud,service.instance.id=idp-0,host.name=alices-laptop"); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"service.name": "idp", "service.namespace": "lockstep-cloud", "service.instance.id": "idp-0"}
	if got := <-taken.resources; !maps.Equal(got, want) {
		t.Errorf("exported as %v", got)
	}
	var seen []string
	for range 2 {
		if err := process(""); err != nil {
			t.Fatal(err)
		}
		seen = append(seen, (<-taken.resources)["service.instance.id"])
	}
	if seen[0] == "" || seen[0] == seen[1] {
		t.Errorf("two processes without a place are %q", seen)
	}
	if err := process("service.instance.id=alice@contoso.test"); err == nil || !strings.Contains(err.Error(), "OTEL_RESOURCE_ATTRIBUTES") {
		t.Errorf("a person as an instance: %v", err)
	}
}
