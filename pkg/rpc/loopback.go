package rpc

import (
	"log/slog"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
)

// LoopbackConfig is what a connection to oneself needs.
type LoopbackConfig struct {
	// Caller and Server are the component names of the two ends.
	Caller, Server string
	Allow          AllowList
	Patience       Patience
	Log            *slog.Logger
	TracerProvider trace.TracerProvider
	// KeepWhere as DialConfig has it.
	KeepWhere bool
}

// Loopback serves what register registers on an in-memory network of its own and
// returns a connection that is authenticated as Caller. It is how a framework
// dials a plug-in that is linked in: over the same contract, with the same
// checks, as if it were elsewhere.
func Loopback(cfg LoopbackConfig, register func(grpc.ServiceRegistrar)) (*grpc.ClientConn, func(), error) {
	ca, err := NewCA()
	if err != nil {
		return nil, nil, err
	}
	server, err := ca.Issue(cfg.Server)
	if err != nil {
		return nil, nil, err
	}
	caller, err := ca.Issue(cfg.Caller)
	if err != nil {
		return nil, nil, err
	}
	s, err := NewServer(ServerConfig{Identity: server, Allow: cfg.Allow, Patience: cfg.Patience, Log: cfg.Log, TracerProvider: cfg.TracerProvider})
	if err != nil {
		return nil, nil, err
	}
	register(s)
	net := NewMem()
	l, err := net.Listen("mem:" + cfg.Server)
	if err != nil {
		return nil, nil, err
	}
	conn, err := Dial(DialConfig{Network: net, Addr: "mem:" + cfg.Server, Identity: caller, Server: cfg.Server, TracerProvider: cfg.TracerProvider, KeepWhere: cfg.KeepWhere})
	if err != nil {
		return nil, nil, err
	}
	go func() { _ = s.Serve(l) }() // ends with Stop below
	return conn, func() { _ = conn.Close(); s.Stop() }, nil
}
