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

// metering makes the meter provider that the flags ask for, and what ends it. Without
// --otlp and --metrics it is one that records nothing.
func metering(ctx context.Context, name string, f Flags, log *slog.Logger) (metric.MeterProvider, func(context.Context) error, error) {
	if f.OTLP == "" && f.Metrics == "" {
		return noop.NewMeterProvider(), func(context.Context) error { return nil }, nil
	}
	cfg := obs.MeterConfig{Service: name, OTLP: f.OTLP}
	var scrape *obs.Scrape
	if f.Metrics != "" {
		reader, text, err := obs.Prometheus()
		if err != nil {
			return nil, nil, err
		}
		if scrape, err = obs.ServeMetrics(f.Metrics, text); err != nil {
			return nil, nil, err
		}
		cfg.Readers = []sdkmetric.Reader{reader}
		log.Info("metrics", "address", "http://"+scrape.Addr()+obs.MetricsPath)
	}
	closeScrape := func() error {
		if scrape == nil {
			return nil
		}
		return scrape.Close()
	}
	mp, err := obs.Metering(ctx, cfg)
	if err != nil {
		return nil, nil, errors.Join(err, closeScrape())
	}
	return mp, func(ctx context.Context) error { return errors.Join(mp.Shutdown(ctx), closeScrape()) }, nil
}
