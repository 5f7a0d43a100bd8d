package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// DialConfig is what a connection needs.
type DialConfig struct {
	Network Network
	// Addr of the server on that network.
	Addr string
	// Identity of the caller.
	Identity *Identity
	// Server is the component that must answer; another one is refused.
	Server         string
	TracerProvider trace.TracerProvider
}

// Dial prepares a connection; it is made at the first call and made again when
// it breaks, within two seconds. A call that cannot be made fails at once with
// Unavailable: who can do without (a sign-in from the cache) must not wait.
func Dial(cfg DialConfig) (*grpc.ClientConn, error) {
	if cfg.Network == nil || cfg.Identity == nil || cfg.Addr == "" || cfg.Server == "" {
		return nil, errors.New("rpc dial: Network, Addr, Identity and Server are all needed")
	}
	conn, err := grpc.NewClient("passthrough:///"+cfg.Addr,
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) { return cfg.Network.Dial(ctx, addr) }),
		grpc.WithTransportCredentials(credentials.NewTLS(cfg.Identity.client(cfg.Server))),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 2, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler(telemetry(cfg.TracerProvider)...)),
		grpc.WithChainUnaryInterceptor(errorBack),
	)
	if err != nil {
		return nil, fmt.Errorf("connection to %s: %w", cfg.Server, err)
	}
	return conn, nil
}

// errorBack gives the caller our error type.
func errorBack(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, maxCall)
		defer cancel()
	}
	return prterr.FromStatus(invoke(ctx, method, req, reply, cc, opts...))
}
