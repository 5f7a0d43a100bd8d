package run

import (
	"context"
	"errors"
	"log/slog"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/lockstep-sso/lockstep/pkg/obs"
)

// Scraper serves the metrics of a process at an address until stop; pkg/scrape has the
// one for Prometheus. It is handed in, because a process that does not serve any, as the
// tpm-agent's, should not link it.
type Scraper func(addr string) (reader sdkmetric.Reader, url string, stop func() error, err error)

// metering makes the meter provider that the flags ask for, and what ends it. Without
// --otlp and --metrics it is one that records nothing.
func metering(ctx context.Context, name string, f Flags, log *slog.Logger) (metric.MeterProvider, func(context.Context) error, error) {
	if f.OTLP == "" && f.Metrics == "" {
		return noop.NewMeterProvider(), func(context.Context) error { return nil }, nil
	}
	cfg := obs.MeterConfig{Service: name, OTLP: f.OTLP}
	stop := func() error { return nil }
	switch {
	case f.Metrics != "" && f.Scraper == nil:
		return nil, nil, errors.New("--metrics: " + name + " opens no listener for it, use --otlp")
	case f.Metrics != "":
		reader, url, end, err := f.Scraper(f.Metrics)
		if err != nil {
			return nil, nil, err
		}
		cfg.Readers, stop = []sdkmetric.Reader{reader}, end
		log.Info("metrics", "address", url)
	}
	mp, err := obs.Metering(ctx, cfg)
	if err != nil {
		return nil, nil, errors.Join(err, stop())
	}
	return mp, func(ctx context.Context) error { return errors.Join(mp.Shutdown(ctx), stop()) }, nil
}
