package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
)

// healthDoor tells the kubelet whether the signer signs; the zero one tells nobody.
type healthDoor struct {
	server *grpc.Server
	status *health.Server
}

func openHealth(ctx context.Context, addr string) (*healthDoor, error) {
	if addr == "" {
		return &healthDoor{}, nil
	}
	hostPort, ok := strings.CutPrefix(addr, "tcp:")
	if !ok {
		return nil, fmt.Errorf("--health %q is not of the form tcp:HOST:PORT", addr)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", hostPort)
	if err != nil {
		return nil, fmt.Errorf("--health: %w", err)
	}
	d := &healthDoor{status: health.NewServer(), server: grpc.NewServer(
		grpc.MaxRecvMsgSize(4<<10), grpc.MaxHeaderListSize(4<<10), grpc.MaxConcurrentStreams(4), grpc.ConnectionTimeout(5*time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: 30 * time.Second, MaxConnectionAge: time.Minute, MaxConnectionAgeGrace: 5 * time.Second}),
	)}
	d.status.SetServingStatus("", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	grpc_health_v1.RegisterHealthServer(d.server, d.status)
	go func() { _ = d.server.Serve(l) }() // ends with close
	return d, nil
}

func (d *healthDoor) ready() {
	if d.status != nil {
		d.status.SetServingStatus("", grpc_health_v1.HealthCheckResponse_SERVING)
	}
}

func (d *healthDoor) close() {
	if d.server != nil {
		d.server.Stop()
	}
}
