package run

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
)

const (
	// healthConns bounds the connections to the health door: a probe holds one for a
	// moment, and whoever opens thousands must not use up the component's descriptors.
	healthConns = 64
	// healthMessage bounds a question in bytes; an honest one names a service or nothing.
	healthMessage = 4 << 10
	// healthIdle and healthAge bound how long a connection is held.
	healthIdle, healthAge = 30 * time.Second, time.Minute
	// healthHello bounds the time until a connection speaks HTTP/2.
	healthHello = 5 * time.Second
)

// healthDoor answers grpc.health.v1.Health/Check in plaintext and serves nothing
// else. It is for the kubelet, which has no identity of this authority and speaks no
// TLS to a gRPC probe (Kubernetes, "Configure Liveness, Readiness and Startup
// Probes"). It may be reached by anybody, because all that it says is whether the
// component serves. A question leaves no trace and no log line: there is one every
// few seconds for as long as the component lives.
type healthDoor struct {
	server *grpc.Server
	status *health.Server
}

// openHealth serves the health of a component at an address of a network.
func openHealth(network rpc.Network, addr string) (*healthDoor, error) {
	l, err := network.Listen(addr)
	if err != nil {
		return nil, fmt.Errorf("health: %w", err)
	}
	d := &healthDoor{status: health.NewServer(), server: grpc.NewServer(
		grpc.MaxRecvMsgSize(healthMessage), grpc.MaxHeaderListSize(healthMessage), grpc.MaxConcurrentStreams(4), grpc.ConnectionTimeout(healthHello),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: healthIdle, MaxConnectionAge: healthAge, MaxConnectionAgeGrace: healthHello}),
		grpc.UnaryInterceptor(onlyCheck), grpc.StreamInterceptor(noStream),
	)}
	grpc_health_v1.RegisterHealthServer(d.server, d.status)
	go func() { _ = d.server.Serve(netutil.LimitListener(l, healthConns)) }() // ends with close
	return d, nil
}

// ServeHealth answers health checks at tcp:HOST:PORT until stop, for a program that is no
// component because it serves nothing else.
func ServeHealth(addr string) (stop func(), err error) {
	d, err := openHealth(rpc.OS{}, addr)
	if err != nil {
		return nil, err
	}
	return d.close, nil
}

// stopping has every later question answered with NOT_SERVING.
func (d *healthDoor) stopping() {
	if d != nil {
		d.status.Shutdown()
	}
}

func (d *healthDoor) close() {
	if d != nil {
		d.server.Stop()
	}
}

func onlyCheck(ctx context.Context, req any, info *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
	if info.FullMethod != grpc_health_v1.Health_Check_FullMethodName {
		return nil, status.Error(codes.Unimplemented, "only Check is served here")
	}
	return h(ctx, req)
}

func noStream(any, grpc.ServerStream, *grpc.StreamServerInfo, grpc.StreamHandler) error {
	return status.Error(codes.Unimplemented, "only Check is served here")
}
