package run_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/metric/noop"

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
