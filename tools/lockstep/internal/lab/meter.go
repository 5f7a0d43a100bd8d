package lab

import (
	"context"
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/lockstep-sso/lockstep/pkg/obs"
)

// meter is the meter provider of a component of this process, nil when nobody collects.
// A component that starts again goes on with it.
func (l *Lab) meter(ctx context.Context, s spec) (metric.MeterProvider, error) {
	if l.cfg.MetricReader == nil && l.cfg.OTLP == "" {
		return nil, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if mp := l.meters[s.key]; mp != nil {
		return mp, nil
	}
	cfg := obs.MeterConfig{Service: s.name, Place: placeOf(s.key), OTLP: l.cfg.OTLP}
	if l.cfg.MetricReader != nil {
		r, err := l.cfg.MetricReader(s.key)
		if err != nil {
			return nil, fmt.Errorf("metrics of %s: %w", s.key, err)
		}
		cfg.Readers = []sdkmetric.Reader{r}
	}
	mp, err := obs.Metering(ctx, cfg)
	if err != nil {
		return nil, err
	}
	l.meters[s.key] = mp
	return mp, nil
}

// placeOf is where a component of the lab runs: on its device, or in the cloud.
func placeOf(key string) obs.Place {
	device, _, ok := strings.Cut(key, "/")
	if !ok {
		device = "cloud"
	}
	return obs.Place{Namespace: device, Instance: key}
}
