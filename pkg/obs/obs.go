// Package obs sets up what a component shows of itself: traces, metrics and logs.
//
// Spans carry names of steps and methods, never payloads. Metrics carry labels out of
// closed lists, never a user, an address or a key. Both say where the process runs
// (Place). Logs go through slog with a handler that knows nothing of secrets, because
// secrets are types that do not print (pkg/secret).
package obs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// batchDelay is how long a finished span may wait before it is exported.
const batchDelay = 100 * time.Millisecond

// TraceConfig says where the spans of one component go.
type TraceConfig struct {
	// Service is the component's name in the trace.
	Service string
	// Place is where it runs; empty says nothing of that.
	Place Place
	// OTLP is the address of an OTLP/gRPC receiver, "HOST:PORT" or "unix:PATH";
	// empty exports nothing. The connection is not encrypted: a collector stands
	// beside the component.
	OTLP string
	// Processors get every span as well.
	Processors []sdktrace.SpanProcessor
}

// Tracing builds the tracer provider of one component. The caller shuts it down.
func Tracing(ctx context.Context, cfg TraceConfig) (*sdktrace.TracerProvider, error) {
	opts := []sdktrace.TracerProviderOption{
		sdktrace.WithResource(cfg.Place.of(cfg.Service)),
	}
	for _, p := range cfg.Processors {
		opts = append(opts, sdktrace.WithSpanProcessor(p))
	}
	if cfg.OTLP != "" {
		exporter, err := newExporter(ctx, cfg.OTLP)
		if err != nil {
			return nil, err
		}
		opts = append(opts, sdktrace.WithBatcher(quiet{exporter}, sdktrace.WithBatchTimeout(batchDelay)))
	}
	return sdktrace.NewTracerProvider(opts...), nil
}

// quiet drops the words of a failed span's status. They are what the other side
// of a call wrote, and another organisation's provider may write anything there,
// a password that was wrong included.
type quiet struct{ sdktrace.SpanExporter }

// ExportSpans exports the spans without those words.
func (q quiet) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	silent := make([]sdktrace.ReadOnlySpan, len(spans))
	for i, s := range spans {
		silent[i] = quietSpan{s}
	}
	return q.SpanExporter.ExportSpans(ctx, silent)
}

type quietSpan struct{ sdktrace.ReadOnlySpan }

// Status is the code alone.
func (s quietSpan) Status() sdktrace.Status {
	return sdktrace.Status{Code: s.ReadOnlySpan.Status().Code}
}

func newExporter(ctx context.Context, addr string) (sdktrace.SpanExporter, error) {
	conn, err := Collector(addr)
	if err != nil {
		return nil, err
	}
	exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithGRPCConn(conn))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("otlp exporter: %w", err), conn.Close())
	}
	return exporter, nil
}

// Collector is the way to an OTLP/gRPC receiver, "HOST:PORT" or "unix:PATH", which is not
// encrypted. The caller closes it.
func Collector(addr string) (*grpc.ClientConn, error) {
	network, target := "tcp", addr
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, target = "unix", path
	} else if _, _, err := net.SplitHostPort(addr); err != nil {
		return nil, fmt.Errorf("otlp address %q is not HOST:PORT or unix:PATH: %w", addr, err)
	}
	conn, err := grpc.NewClient("passthrough:///"+target,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, a string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, a)
		}))
	if err != nil {
		return nil, fmt.Errorf("otlp connection: %w", err)
	}
	return conn, nil
}

// Logger writes text lines of at least the level ("debug", "info", "warn",
// "error", or "off") to w, each with the component's name.
func Logger(w io.Writer, level, component string) (*slog.Logger, error) {
	if level == "off" {
		return slog.New(slog.DiscardHandler), nil
	}
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q: use debug, info, warn, error or off", level)
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: l})).With("component", component), nil
}
