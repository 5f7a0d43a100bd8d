package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// reconnectWithin is how long a call waits for a broken connection to come back.
const reconnectWithin = 250 * time.Millisecond

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
	// KeepWhere takes over what the server says about where an error was met, because
	// the server is part of the caller. Else that is the call to the server, whatever it
	// says: its words could be anybody's.
	KeepWhere bool
}

// Dial prepares a connection; it is made at the first call and made again when
// it breaks, within two seconds. A call that cannot be made fails at once with
// Unavailable: who can do without (a sign-in from the cache) must not wait long. A call
// of which nothing was sent is made again, once; no other one is.
func Dial(cfg DialConfig) (*grpc.ClientConn, error) {
	var tries attempts
	return dial(cfg, &tries, call(cfg.Server, cfg.KeepWhere, &tries))
}

// dial makes the connection with one interceptor around its calls.
func dial(cfg DialConfig, tries *attempts, around grpc.UnaryClientInterceptor) (*grpc.ClientConn, error) {
	if cfg.Network == nil || cfg.Identity == nil || cfg.Addr == "" || cfg.Server == "" {
		return nil, errors.New("rpc dial: Network, Addr, Identity and Server are all needed")
	}
	conn, err := grpc.NewClient("passthrough:///"+cfg.Addr,
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			c, err := cfg.Network.Dial(ctx, addr)
			if err != nil {
				tries.failed()
			}
			return c, err
		}),
		grpc.WithTransportCredentials(cfg.Identity.handshakes(cfg.Server)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
		grpc.WithMaxHeaderListSize(maxHeaders),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 2, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler(telemetry(cfg.TracerProvider)...)),
		grpc.WithStatsHandler(watchSent{}),
		grpc.WithChainUnaryInterceptor(around),
	)
	if err != nil {
		return nil, fmt.Errorf("connection to %s: %w", cfg.Server, err)
	}
	return conn, nil
}

// call bounds every call, tries a broken connection again before giving up on it,
// and gives the caller our error type.
func call(server string, keepWhere bool, tries *attempts) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if _, ok := ctx.Deadline(); !ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, maxCall)
			defer cancel()
		}
		if !keepWhere {
			NoteRequest(ctx, prterr.Where{URI: address(server, method)})
		}
		err := invokeOnce(ctx, cc, tries, func(ctx context.Context) error { return invoke(ctx, method, req, reply, cc, opts...) })
		if status.Code(err) == codes.Unavailable && !prterr.Own(err) {
			unreachable := prterr.Wrap(prterr.Unavailable, err, "%s cannot be reached: check the network and try again", server)
			return at(ctx, unreachable, server, method, false)
		}
		answered := prterr.Own(err)
		if err = prterr.FromStatus(err); keepWhere && answered {
			return err
		}
		return at(ctx, err, server, method, answered)
	}
}

func broken(cc *grpc.ClientConn) bool { return cc.GetState() == connectivity.TransientFailure }

// reconnect tries a broken connection once at once: the network may have come back
// long before the back-off of earlier attempts ends. It waits until that attempt has
// failed, and no longer: gRPC itself does not show it, because a broken connection
// stays TRANSIENT_FAILURE until it is whole.
func reconnect(ctx context.Context, cc *grpc.ClientConn, tries *attempts) {
	ctx, cancel := context.WithTimeout(ctx, reconnectWithin)
	defer cancel()
	stop := tries.onFailure(cancel)
	defer stop()
	cc.ResetConnectBackoff()
	for s := cc.GetState(); s != connectivity.Ready && cc.WaitForStateChange(ctx, s); s = cc.GetState() {
	}
}

// attempts tells who waits for a connection that an attempt to make it has failed.
type attempts struct {
	mu      sync.Mutex
	waiting map[*context.CancelFunc]bool
}

func (a *attempts) failed() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for f := range a.waiting {
		(*f)()
	}
}

// onFailure has f called when an attempt fails, until stop is called.
func (a *attempts) onFailure(f context.CancelFunc) (stop func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waiting == nil {
		a.waiting = map[*context.CancelFunc]bool{}
	}
	a.waiting[&f] = true
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.waiting, &f)
	}
}
