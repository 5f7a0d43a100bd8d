package obs_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/lockstep-sso/lockstep/pkg/obs"
	"github.com/lockstep-sso/lockstep/pkg/scrape"
)

func TestParsePlace(t *testing.T) {
	for text, want := range map[string]obs.Place{
		"": {},
		"service.namespace=lockstep-device-1,service.instance.id=dsreg-0":      {Namespace: "lockstep-device-1", Instance: "dsreg-0"},
		" service.instance.id = a_b/c.d ,service.name=idp,user=alice@x,broken": {Instance: "a_b/c.d"},
	} {
		if got, err := obs.ParsePlace(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"service.namespace=", "service.namespace", "service.instance.id=alice@contoso.test", "service.instance.id=a b", "service.namespace=\u00e9", "service.namespace=" + strings.Repeat("a", 129)} {
		if got, err := obs.ParsePlace(bad); err == nil || !strings.Contains(err.Error(), "OTEL_RESOURCE_ATTRIBUTES: service.") || got != (obs.Place{}) {
			t.Errorf("%q: %+v, %v", bad, got, err)
		}
	}
}

// TestOBS12_TwoDevicesAreTwo: the same component of two devices counts the same thing, and
// what is read of both can be told apart, series by series and span by span.
func TestOBS12_TwoDevicesAreTwo(t *testing.T) {
	series := map[string]bool{}
	for _, device := range []string{"lockstep-device-1", "lockstep-device-2"} {
		place, err := obs.ParsePlace("service.namespace=" + device + ",service.instance.id=lsa-cloudap-0")
		if err != nil {
			t.Fatal(err)
		}
		reader, text, err := scrape.Prometheus()
		if err != nil {
			t.Fatal(err)
		}
		mp, err := obs.Metering(t.Context(), obs.MeterConfig{Service: "lsa-cloudap", Place: place, Readers: []sdkmetric.Reader{reader}})
		if err != nil {
			t.Fatal(err)
		}
		endings(t, mp)
		answer := httptest.NewRecorder()
		text.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), "GET", scrape.Path, nil))
		for line := range strings.Lines(answer.Body.String()) {
			if name, _, ok := strings.Cut(line, "} "); ok {
				if series[name] {
					t.Errorf("both have the series %s", name)
				}
				series[name] = true
			}
		}
		spans := tracetest.NewSpanRecorder()
		tp, err := obs.Tracing(t.Context(), obs.TraceConfig{Service: "lsa-cloudap", Place: place, Processors: []sdktrace.SpanProcessor{spans}})
		if err != nil {
			t.Fatal(err)
		}
		_, span := tp.Tracer("test").Start(t.Context(), "x")
		span.End()
		if got, _ := spans.Ended()[0].Resource().Set().Value(obs.NamespaceKey); got.AsString() != device {
			t.Errorf("a span of %s is of %q", device, got.AsString())
		}
	}
	if want := `prt_renewals_total{prt_credential="hello",prt_result="success",service_instance_id="lsa-cloudap-0",service_namespace="lockstep-device-2"`; !series[want] {
		t.Errorf("no %s in %v", want, series)
	}
}
