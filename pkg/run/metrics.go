package run

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"

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
func metering(ctx context.Context, name string, place obs.Place, f Flags, log *slog.Logger) (metric.MeterProvider, func(context.Context) error, error) {
	if f.OTLP == "" && f.Metrics == "" {
		return noop.NewMeterProvider(), func(context.Context) error { return nil }, nil
	}
	cfg := obs.MeterConfig{Service: name, Place: place, OTLP: f.OTLP}
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

// placed is where the environment says that this process runs. What exports has an instance
// in any case, by chance where nobody gave it one: a collector would take the metrics of two
// processes of one name for those of one. The variable goes, because OpenTelemetry's SDK
// would add by itself whatever else it has.
func placed(f Flags) (obs.Place, error) {
	place, err := obs.ParsePlace(os.Getenv(obs.PlaceVariable))
	if err = errors.Join(err, os.Unsetenv(obs.PlaceVariable)); err != nil {
		return obs.Place{}, fmt.Errorf("environment: %w", err)
	}
	if place.Instance == "" && f.OTLP != "" {
		place.Instance = rand.Text()
	}
	return place, nil
}
