// Package run starts components: the same wiring whether a component shares a
// process with all others, has one of its own, or runs in a pod.
//
// A door offers a Wire function that takes what it needs from an Env and returns
// the component; who makes the Env decides where the component lives. Callers
// are the mains under services/*/cmd and tools/lockstep.
package run

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/obs"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
)

// drainTime is how long a component that stops waits for calls under way.
const drainTime = 2 * time.Second

// Env is what a component finds around it.
type Env struct {
	// StateDir is the component's own folder; nobody else writes there.
	StateDir string
	// Clock is the time; Lab is the same clock when it can be moved, else nil.
	Clock clock.Clock
	Lab   *clock.Lab
	// LabMoves is told how far Lab is moved before it is; nil is for who needs not know.
	LabMoves func(by time.Duration)
	Log      *slog.Logger
	// TracerProvider records flows that begin in this component; nil records none.
	TracerProvider trace.TracerProvider
	// MeterProvider gets the component's metrics; nil records none.
	MeterProvider metric.MeterProvider
	// Points are crash points, for tests.
	Points durable.Points
	// Settings are the component's own, by name.
	Settings map[string]string

	network  rpc.Network
	peers    map[string]string
	dial     func(name, server string) (*grpc.ClientConn, error)
	identity *rpc.Identity
	conns    []io.Closer
	doors    []io.Closer
}

// Listen opens a listener of the component's own beside its door, on the network
// that it lives on.
func (e *Env) Listen(addr string) (net.Listener, error) {
	if e.network == nil {
		return nil, errors.New("the component has no network")
	}
	return e.network.Listen(addr)
}

// Own closes c when the component stops, after the component itself.
func (e *Env) Own(c io.Closer) { e.conns = append(e.conns, c) }

// OwnDoor closes c when the component stops, before the component itself and while its
// gRPC server ends: what else lets requests in, and answers those under way first. After
// the component they would meet what is closed already.
func (e *Env) OwnDoor(c io.Closer) { e.doors = append(e.doors, c) }

// Peer connects to another component by its name.
func (e *Env) Peer(name string) (grpc.ClientConnInterface, error) { return e.PeerOf(name, name) }

// HasPeer reports whether the address of another component is configured.
func (e *Env) HasPeer(name string) bool { return e.peers[name] != "" }

// PeerOf connects to a peer that is known under one name and serves under the identity
// of another component, as a domain controller that the federation provider is.
func (e *Env) PeerOf(name, server string) (grpc.ClientConnInterface, error) {
	if e.dial == nil {
		return nil, fmt.Errorf("no way to reach %s is configured", name)
	}
	conn, err := e.dial(name, server)
	if err != nil {
		return nil, fmt.Errorf("way to %s: %w", name, err)
	}
	e.Own(conn)
	return conn, nil
}

// Peers connects to several components at once.
func (e *Env) Peers(names ...string) (map[string]grpc.ClientConnInterface, error) {
	all := map[string]grpc.ClientConnInterface{}
	for _, name := range names {
		conn, err := e.Peer(name)
		if err != nil {
			return nil, err
		}
		all[name] = conn
	}
	return all, nil
}

// HandOn connects to a server of the component's own name at an address that is no
// peer's: the component in whose place a stand-in is.
func (e *Env) HandOn(addr string) (*rpc.RawConn, error) {
	if e.network == nil {
		return nil, errors.New("the component has no network")
	}
	conn, err := rpc.DialRaw(rpc.DialConfig{Network: e.network, Addr: addr, Identity: e.identity, Server: e.identity.Name, TracerProvider: e.TracerProvider})
	if err != nil {
		return nil, err
	}
	e.Own(conn)
	return conn, nil
}

func (e *Env) close() error { return errors.Join(e.shut(), closeAll(e.conns)) }

// shut closes the doors, once.
func (e *Env) shut() error {
	doors := e.doors
	e.doors = nil
	return closeAll(doors)
}

func closeAll(all []io.Closer) error {
	var errs []error
	for _, c := range all {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// Service is what every door gives.
type Service interface {
	Register(grpc.ServiceRegistrar)
	Close() error
}

// Component is a wired service with its allow-list.
type Component struct {
	Service Service
	Allow   rpc.AllowList
	// Patience has the methods that wait for a person.
	Patience rpc.Patience
	// Raw answers calls of services that the component does not register: it is a
	// stand-in. What a laboratory asks of a component is then asked of the real one.
	Raw rpc.RawHandler
}

// Wire builds a component from its environment.
type Wire func(*Env) (*Component, error)

// Config says where one component lives.
type Config struct {
	// Name of the component, which must be the name in Identity.
	Name     string
	Identity *rpc.Identity
	Network  rpc.Network
	// Listen is the component's own address on Network.
	Listen string
	// Health is where grpc.health.v1 is served in plaintext beside it, for probes that
	// have no identity; empty is nowhere.
	Health string
	// Peers are the addresses of the others, by name.
	Peers map[string]string
	Env   Env
}

// Running is a component that serves.
type Running struct {
	// Component is what was wired.
	Component *Component
	server    *grpc.Server
	health    *healthDoor
	identity  *rpc.Identity
	env       *Env
	served    chan error
	// moving is held while server changes.
	moving sync.Mutex
}

// Start wires a component and serves it until Stop.
func Start(cfg Config, wire Wire) (*Running, error) {
	if cfg.Identity == nil || cfg.Identity.Name != cfg.Name {
		return nil, fmt.Errorf("component %s: its identity is missing or names another component", cfg.Name)
	}
	env := cfg.Env
	env.network, env.peers, env.identity = cfg.Network, cfg.Peers, cfg.Identity
	env.Clock, env.MeterProvider = clock.Or(env.Clock), obs.MeterOr(env.MeterProvider)
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	env.dial = func(name, server string) (*grpc.ClientConn, error) {
		addr, ok := cfg.Peers[name]
		if !ok {
			return nil, errors.New("its address is not configured")
		}
		return rpc.Dial(rpc.DialConfig{Network: cfg.Network, Addr: addr, Identity: cfg.Identity, Server: server, TracerProvider: env.TracerProvider})
	}
	comp, err := wire(&env)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("component %s: %w", cfg.Name, err), env.close())
	}
	r := &Running{Component: comp, identity: cfg.Identity, env: &env, served: make(chan error, 1)}
	if r.server, err = r.newServer(); err != nil {
		return nil, errors.Join(err, env.shut(), comp.Service.Close(), env.close())
	}
	l, err := cfg.Network.Listen(cfg.Listen)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("component %s: %w", cfg.Name, err), env.shut(), comp.Service.Close(), env.close())
	}
	if cfg.Health != "" {
		if r.health, err = openHealth(cfg.Network, cfg.Health); err != nil {
			return nil, errors.Join(fmt.Errorf("component %s: %w", cfg.Name, err), l.Close(), env.shut(), comp.Service.Close(), env.close())
		}
	}
	r.serve(r.server, l)
	return r, nil
}

// newServer makes a server of the component, and of what a laboratory asks of each.
func (r *Running) newServer() (*grpc.Server, error) {
	allow, hands := r.Component.Allow, r.env.Lab != nil && r.Component.Raw == nil
	if hands {
		allow = rpc.Join(allow, LabAllow())
	}
	s, err := rpc.NewServer(rpc.ServerConfig{
		Identity: r.identity, Allow: allow, Patience: r.Component.Patience, Log: r.env.Log, TracerProvider: r.env.TracerProvider,
		StandIn: r.env.Lab != nil, Raw: r.Component.Raw,
	})
	if err != nil {
		return nil, err
	}
	r.Component.Service.Register(s)
	if hands {
		registerLab(s, r.env.Lab, r.env.LabMoves)
	}
	return s, nil
}

// serve takes calls at a listener. The end of a server in whose place there is another
// by now is no failure.
func (r *Running) serve(s *grpc.Server, l net.Listener) {
	go func() {
		err := s.Serve(l)
		r.moving.Lock()
		defer r.moving.Unlock()
		if r.server == s {
			r.health.stopping()
			r.served <- err
		}
	}()
}

// Failed delivers the error with which serving ended by itself.
func (r *Running) Failed() <-chan error { return r.served }

// Stop ends serving at every door, then the component, then its connections. Callers are told
// before their connections end, so that their next call goes to whoever serves
// next; calls under way get drainTime to finish. The health door says first that it
// is over, and closes last.
func (r *Running) Stop() error {
	r.health.stopping()
	defer r.health.close()
	shut := make(chan error, 1)
	go func() { shut <- r.env.shut() }()
	drain(r.server)
	return errors.Join(<-shut, r.Component.Service.Close(), r.env.close())
}

// drain ends a server, after the calls under way if they end in time.
func drain(s *grpc.Server) {
	drained := make(chan struct{})
	go func() {
		s.GracefulStop()
		close(drained)
	}()
	late := time.NewTimer(drainTime)
	defer late.Stop()
	select {
	case <-drained:
	case <-late.C:
		s.Stop()
		<-drained
	}
}
