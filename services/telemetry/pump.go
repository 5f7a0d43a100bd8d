package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"time"

	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	telemetryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/telemetry/v1"
)

const (
	// waitFor is how long the spool is to wait for something.
	waitFor = 20 * time.Second
	// sendWithin bounds one attempt to send.
	sendWithin = 10 * time.Second
	// firstBackoff and mostBackoff bound the time between two attempts.
	firstBackoff, mostBackoff = 100 * time.Millisecond, 10 * time.Second
)

// PumpConfig is what a pump needs.
type PumpConfig struct {
	// Spool is a connection to the spool, authenticated as observer.
	Spool grpc.ClientConnInterface
	// Collector is a connection to an OTLP/gRPC receiver.
	Collector grpc.ClientConnInterface
	// Log gets a line when something was dropped, or a side is away; nil discards.
	Log *slog.Logger
}

// Pump carries telemetry from a spool to a collector. It keeps nothing: what the
// collector has not taken stays in the spool. What it took may come twice, when the pump
// ends between sending and acknowledging.
type Pump struct {
	spool   telemetryv1.SpoolServiceClient
	traces  collectortrace.TraceServiceClient
	metrics collectormetrics.MetricsServiceClient
	log     *slog.Logger
	dropped uint64
	away    map[string]bool
}

// NewPump checks the configuration.
func NewPump(cfg PumpConfig) (*Pump, error) {
	if cfg.Spool == nil || cfg.Collector == nil {
		return nil, errors.New("telemetry: Spool and Collector are both needed")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Pump{
		spool: telemetryv1.NewSpoolServiceClient(cfg.Spool), log: cfg.Log, away: map[string]bool{},
		traces: collectortrace.NewTraceServiceClient(cfg.Collector), metrics: collectormetrics.NewMetricsServiceClient(cfg.Collector),
	}, nil
}

// Run carries until ctx ends, which is no error.
func (p *Pump) Run(ctx context.Context) error {
	cursor, backoff := "", firstBackoff
	for ctx.Err() == nil {
		r, err := p.spool.FetchTelemetry(ctx, &telemetryv1.FetchTelemetryRequest{Acknowledged: cursor, Wait: durationpb.New(waitFor)})
		if err != nil {
			p.note(ctx, "spool", err)
			pause(ctx, &backoff)
			continue
		}
		p.note(ctx, "spool", nil)
		backoff = firstBackoff
		p.count(ctx, r.GetDropped())
		for _, i := range r.GetItems() {
			if err := p.send(ctx, i); err != nil {
				return nil //nolint:nilerr // ctx has ended; the spool still has it
			}
		}
		if r.GetCursor() != "" {
			cursor = r.GetCursor()
		}
	}
	return nil
}

// send brings one export to the collector, however long that takes. The error is that of
// ctx. What the collector will never take is dropped.
func (p *Pump) send(ctx context.Context, i *telemetryv1.Item) error {
	for backoff := firstBackoff; ; pause(ctx, &backoff) {
		err := p.try(ctx, i)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil || !passes(err) {
			p.note(ctx, "collector", nil)
			if err != nil {
				p.log.WarnContext(ctx, "the collector refused an export, which is dropped", "signal", i.GetSignal(), "code", status.Code(err))
			}
			return nil
		}
		p.note(ctx, "collector", err)
	}
}

func (p *Pump) try(ctx context.Context, i *telemetryv1.Item) error {
	ctx, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	switch i.GetSignal() {
	case telemetryv1.Signal_SIGNAL_TRACES:
		var r collectortrace.ExportTraceServiceRequest
		if err := proto.Unmarshal(i.GetExport(), &r); err != nil {
			return status.Error(codes.InvalidArgument, "not an export of traces")
		}
		_, err := p.traces.Export(ctx, &r)
		return err
	case telemetryv1.Signal_SIGNAL_METRICS:
		var r collectormetrics.ExportMetricsServiceRequest
		if err := proto.Unmarshal(i.GetExport(), &r); err != nil {
			return status.Error(codes.InvalidArgument, "not an export of metrics")
		}
		_, err := p.metrics.Export(ctx, &r)
		return err
	default:
		return status.Error(codes.InvalidArgument, "not a known signal")
	}
}

// passes says that an error may pass, so that sending again makes sense (OpenTelemetry
// protocol specification, "Failures"). Exhausted resources are among them: nothing is
// lost by waiting.
func passes(err error) bool {
	switch status.Code(err) {
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss, codes.ResourceExhausted:
		return true
	default:
		return false
	}
}

// note logs when a side goes away and when it is back, not every attempt.
func (p *Pump) note(ctx context.Context, side string, err error) {
	if ctx.Err() != nil || p.away[side] == (err != nil) {
		return
	}
	if p.away[side] = err != nil; err != nil {
		p.log.WarnContext(ctx, "a side is away: telemetry stays in the spool", "side", side, "code", status.Code(err))
		return
	}
	p.log.InfoContext(ctx, "a side is back", "side", side)
}

// count logs what the spool had to drop since the last answer. A spool that started again
// counts from zero.
func (p *Pump) count(ctx context.Context, dropped uint64) {
	if dropped > p.dropped {
		p.log.WarnContext(ctx, "the spool had no room and dropped exports", "exports", dropped-p.dropped, "since_its_start", dropped)
	}
	p.dropped = dropped
}

// pause waits, and doubles what is waited the next time.
func pause(ctx context.Context, backoff *time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(*backoff):
	}
	*backoff = min(2**backoff, mostBackoff)
}
