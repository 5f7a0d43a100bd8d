package obs

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// Labels that more than one component puts on its metrics.
const (
	// ResultKey is success or failure.
	ResultKey = attribute.Key("prt.result")
	// CredentialKey is what proved the user: password, hello, smartcard, fido, tap
	// or web.
	CredentialKey = attribute.Key("prt.credential")
	// ErrorKey is the kind of an error (prterr.Kinds), as OpenTelemetry's conventions
	// call it; a success has none.
	ErrorKey = attribute.Key("error.type")
)

// seriesMost bounds the label sets of one instrument. All closed lists together have
// fewer; what comes beyond is counted under otel.metric.overflow.
const seriesMost = 256

// MeterConfig says where the metrics of one component go.
type MeterConfig struct {
	// Service is the component's name.
	Service string
	// Place is where it runs, as in TraceConfig.
	Place Place
	// OTLP is the receiver, as in TraceConfig, and the same one: a receiver that takes
	// traces alone is asked once. Metrics go out once a minute, and at the shutdown.
	OTLP string
	// Readers collect the metrics as well.
	Readers []sdkmetric.Reader
}

// Metering builds the meter provider of one component. The caller shuts it down. No
// exemplars are kept: they would tie a count to somebody's trace.
func Metering(ctx context.Context, cfg MeterConfig) (*sdkmetric.MeterProvider, error) {
	opts := []sdkmetric.Option{
		sdkmetric.WithResource(cfg.Place.of(cfg.Service)),
		sdkmetric.WithExemplarFilter(exemplar.AlwaysOffFilter), sdkmetric.WithCardinalityLimit(seriesMost),
	}
	for _, r := range cfg.Readers {
		opts = append(opts, sdkmetric.WithReader(r))
	}
	if cfg.OTLP != "" {
		conn, err := Collector(cfg.OTLP)
		if err != nil {
			return nil, err
		}
		exporter, err := otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithGRPCConn(conn))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("otlp exporter: %w", err), conn.Close())
		}
		opts = append(opts, sdkmetric.WithReader(sdkmetric.NewPeriodicReader(optional{exporter})))
	}
	return sdkmetric.NewMeterProvider(opts...), nil
}

// optional is an exporter whose receiver need not take metrics: Jaeger takes traces
// alone, and answers the metrics of every minute with Unimplemented.
type optional struct{ sdkmetric.Exporter }

// Export exports, and takes that answer for none.
func (o optional) Export(ctx context.Context, m *metricdata.ResourceMetrics) error {
	err := o.Exporter.Export(ctx, m)
	var s interface{ GRPCStatus() *status.Status }
	if errors.As(err, &s) && s.GRPCStatus().Code() == codes.Unimplemented {
		return nil
	}
	return err
}

// MeterOr is mp, or one that records nothing when it is nil.
func MeterOr(mp metric.MeterProvider) metric.MeterProvider {
	if mp == nil {
		return noop.NewMeterProvider()
	}
	return mp
}

// Ended are the labels of something that ended with err, nil for well, beside others.
// Of an error it is the kind alone; its words may hold a name.
func Ended(err error, labels ...attribute.KeyValue) metric.MeasurementOption {
	if err == nil {
		return metric.WithAttributes(append(labels, ResultKey.String("success"))...)
	}
	return metric.WithAttributes(append(labels, ResultKey.String("failure"), ErrorKey.String(string(prterr.KindOf(err))))...)
}
