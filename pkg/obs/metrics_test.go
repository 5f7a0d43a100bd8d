package obs_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/obs"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/scrape"
)

// endings counts two endings, one with words that are nobody else's business.
func endings(t *testing.T, mp metric.MeterProvider) {
	t.Helper()
	c, err := mp.Meter("test").Int64Counter("prt.renewals")
	if err != nil {
		t.Fatal(err)
	}
	c.Add(t.Context(), 2, obs.Ended(nil, obs.CredentialKey.String("hello")))
	c.Add(t.Context(), 1, obs.Ended(prterr.New(prterr.Denied, "alice@contoso.test is disabled")))
	c.Add(t.Context(), 1, obs.Ended(errors.New("dial 203.0.113.7")))
}

func TestOBS12_PrometheusTextOnThisMachineAlone(t *testing.T) {
	reader, text, err := scrape.Prometheus()
	if err != nil {
		t.Fatal(err)
	}
	mp, err := obs.Metering(t.Context(), obs.MeterConfig{Service: "lsa-cloudap", Readers: []sdkmetric.Reader{reader}})
	if err != nil {
		t.Fatal(err)
	}
	endings(t, mp)
	for _, addr := range []string{"0.0.0.0:0", ":0", "[::]:0", "localhost:0", "192.0.2.1:0", "127.0.0.1"} {
		if s, err := scrape.Serve(addr, text); err == nil {
			t.Errorf("%s is served: %v", addr, s.Close())
		}
	}
	s, err := scrape.Serve("127.0.0.1:0", text)
	if err != nil {
		t.Fatal(err)
	}
	got := get(t, "http://"+s.Addr()+scrape.Path)
	for _, want := range []string{
		`prt_renewals_total{prt_credential="hello",prt_result="success"} 2`, `prt_renewals_total{error_type="denied",prt_result="failure"} 1`,
		`prt_renewals_total{error_type="internal",prt_result="failure"} 1`, `service_name="lsa-cloudap"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if strings.Contains(got, "alice") || strings.Contains(got, "203.0.113.7") {
		t.Errorf("the words of an error are in\n%s", got)
	}
	if err := errors.Join(s.Close(), mp.Shutdown(t.Context())); err != nil {
		t.Error(err)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v", resp.StatusCode, err)
	}
	return string(b)
}

// taker is a receiver that takes metrics.
type taker struct {
	collector.UnimplementedMetricsServiceServer
	names chan string
}

func (r *taker) Export(_ context.Context, req *collector.ExportMetricsServiceRequest) (*collector.ExportMetricsServiceResponse, error) {
	r.names <- req.GetResourceMetrics()[0].GetScopeMetrics()[0].GetMetrics()[0].GetName()
	return &collector.ExportMetricsServiceResponse{}, nil
}

// receiver serves OTLP on a socket; with nil it knows no metrics, as Jaeger.
func receiver(t *testing.T, r *taker) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	if r != nil {
		collector.RegisterMetricsServiceServer(s, r)
	}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return l.Addr().String()
}

func TestOBS12_MetricsGoWhereTracesGo(t *testing.T) {
	r := &taker{names: make(chan string, 1)}
	for what, addr := range map[string]string{"a receiver of metrics": receiver(t, r), "one of traces alone": receiver(t, nil)} {
		mp, err := obs.Metering(t.Context(), obs.MeterConfig{Service: "idp", OTLP: addr})
		if err != nil {
			t.Fatal(err)
		}
		endings(t, mp)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		if err := mp.Shutdown(ctx); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		cancel()
	}
	select {
	case name := <-r.names:
		if name != "prt.renewals" {
			t.Errorf("got %q", name)
		}
	default:
		t.Error("nothing was exported")
	}
	if _, err := obs.Metering(t.Context(), obs.MeterConfig{Service: "idp", OTLP: "nowhere"}); err == nil {
		t.Error("an address without a port is taken")
	}
}
