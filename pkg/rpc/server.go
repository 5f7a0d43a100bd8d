package rpc

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/logging"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc/filters"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/step"
)

const (
	// maxMessage bounds a message in bytes: the largest honest one is an answer
	// of some 10 KiB.
	maxMessage = 256 << 10
	// maxHeaders bounds what comes beside a message, in bytes and either way: trace and
	// flow, and with an error its details of some 2 KiB. gRPC's own bound is 16 MiB.
	maxHeaders = 32 << 10
	// maxCall bounds every call but those that wait for a person; making two RSA keys
	// in a slow TPM takes longest.
	maxCall = 60 * time.Second
	// maxPatience bounds a call that waits for a person.
	maxPatience = 15 * time.Minute
	// shave is taken off a caller's deadline, so that the callee can still say
	// what timed out.
	shave = 50 * time.Millisecond
	// maxConnection is after how long a caller has to show again who it is: certificates
	// live for a day, and an authority may be withdrawn. Calls under way are finished, but
	// no call takes longer than one that waits for a person: gRPC itself would keep the
	// connection as long as a caller holds one open, and answer it then.
	maxConnection, maxRest = time.Hour, maxPatience
	// maxStreams bounds the calls under way on one connection.
	maxStreams = 256
)

// ServerConfig is what a server needs.
type ServerConfig struct {
	Identity *Identity
	Allow    AllowList
	// Patience has the methods that wait for a person.
	Patience Patience
	// Log gets one line a call, without payloads; nil discards.
	Log *slog.Logger
	// TracerProvider gets one span a call; nil records none.
	TracerProvider trace.TracerProvider
	// StandIn takes the word of a peer with the server's own name for whose call it hands
	// on. It is for laboratories alone.
	StandIn bool
	// Raw answers calls of services that are not registered; nil refuses them.
	Raw RawHandler
}

// Patience is how long a call may take that waits for a person, by the full name of
// the method; at most 15 minutes. Every other call has one minute.
type Patience map[string]time.Duration

// of is the time that a method has.
func (p Patience) of(method string) time.Duration {
	if d, ok := p[method]; ok {
		return min(d, maxPatience)
	}
	return maxCall
}

// NewServer builds a server: a trace, then what is around every handler.
func NewServer(cfg ServerConfig) (*grpc.Server, error) {
	if cfg.Identity == nil {
		return nil, errors.New("rpc server: Identity is missing")
	}
	log, who := orDiscard(cfg.Log), whose(byCertificate)
	if cfg.StandIn {
		who = behindStandIn(cfg.Identity.Name)
	}
	options := []grpc.ServerOption{
		grpc.Creds(cfg.Identity.handshakes(cfg.Identity.Name)),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: maxConnection, MaxConnectionAgeGrace: maxRest}),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage), grpc.MaxConcurrentStreams(maxStreams), grpc.MaxHeaderListSize(maxHeaders),
		grpc.StatsHandler(otelgrpc.NewServerHandler(telemetry(cfg.TracerProvider)...)),
		grpc.ChainUnaryInterceptor(around(log, cfg.Allow, cfg.Patience, who)...),
		grpc.StreamInterceptor(refuseStreams),
	}
	if cfg.Raw != nil {
		options = append(options, serveRaw(cfg.Raw, who, log)...)
	}
	s := grpc.NewServer(options...)
	grpc_health_v1.RegisterHealthServer(s, health.NewServer())
	return s, nil
}

// around is what stands around every handler, outermost first: log, error form,
// recovery, allow-list, step name, deadline. The allow-list stands before
// everything that could spend work on a stranger's behalf.
func around(log *slog.Logger, allow AllowList, patience Patience, who whose) []grpc.UnaryServerInterceptor {
	return []grpc.UnaryServerInterceptor{
		callLog(log),
		errorForm(log),
		recovery.UnaryServerInterceptor(recovery.WithRecoveryHandlerContext(recovered(log))),
		authorize(allow, who),
		standInLog(log),
		step.UnaryServerInterceptor(),
		patience.deadline,
	}
}

// Propagators are what crosses a border beside the call: the trace ids and the
// name of the flow, no other baggage and no tracestate.
func Propagators() propagation.TextMapPropagator {
	return propagation.NewCompositeTextMapPropagator(traceIDs{}, step.Propagator{})
}

func telemetry(tp trace.TracerProvider) []otelgrpc.Option {
	return []otelgrpc.Option{
		otelgrpc.WithTracerProvider(orUntraced(tp)),
		otelgrpc.WithPropagators(Propagators()),
		otelgrpc.WithFilter(filters.Not(filters.HealthCheck())),
	}
}

// errorForm gives an error the form that crosses. What stays behind of an error of
// ours is logged: the caller is told to look there.
func errorForm(log *slog.Logger) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
		resp, err := h(ctx, req)
		if prterr.KindOf(err) == prterr.Internal {
			log.ErrorContext(ctx, "a call failed in here", "method", info.FullMethod, "error", err)
		}
		return resp, prterr.ToStatus(err)
	}
}

func recovered(log *slog.Logger) recovery.RecoveryHandlerFuncContext {
	return func(ctx context.Context, p any) error {
		log.ErrorContext(ctx, "handler panicked", "panic", p, "stack", string(debug.Stack()))
		return prterr.New(prterr.Internal, "internal error: see the component's log")
	}
}

func (p Patience) deadline(ctx context.Context, req any, info *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
	d := time.Now().Add(p.of(info.FullMethod))
	if given, ok := ctx.Deadline(); ok && given.Add(-shave).Before(d) {
		d = given.Add(-shave)
	}
	ctx, cancel := context.WithDeadline(ctx, d)
	defer cancel()
	return h(ctx, req)
}

// callLog logs one line a call at level debug. For a log of another level the line
// is not put together at all.
func callLog(log *slog.Logger) grpc.UnaryServerInterceptor {
	line := logging.UnaryServerInterceptor(logging.LoggerFunc(func(ctx context.Context, _ logging.Level, msg string, fields ...any) {
		log.DebugContext(ctx, msg, fields...)
	}), logging.WithLogOnEvents(logging.FinishCall))
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
		if !log.Enabled(ctx, slog.LevelDebug) {
			return h(ctx, req)
		}
		return line(ctx, req, info, h)
	}
}

func orUntraced(tp trace.TracerProvider) trace.TracerProvider {
	if tp == nil {
		return noop.NewTracerProvider()
	}
	return tp
}

func orDiscard(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return log
}
