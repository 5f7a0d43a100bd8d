package lab

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/obs"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/run"
	"github.com/lockstep-sso/lockstep/services/browsercore"
	"github.com/lockstep-sso/lockstep/services/faulty"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/components"
)

// spec is one component of the lab.
type spec struct {
	// key is unique in the lab; name is the component's own.
	key, name string
	// standsFor is the component in whose place this is, empty for a real one; door the
	// key of the address at which it listens.
	standsFor, door string
	// device is set for components whose way to the cloud can be cut.
	device   string
	listen   string
	peers    map[string]string
	settings map[string]string
	state    string
}

// host runs components somewhere.
type host interface {
	start(context.Context, spec, *rpc.Identity) error
	stop(key string) error
	// move has a component that runs listen at another address.
	move(ctx context.Context, key, addr string) error
	runs(key string) bool
	nativeHost(*Device) actor.NativeHost
	close() error
}

// inProcess runs every component in this process, each behind its own server.
type inProcess struct {
	lab   *Lab
	order []string
	// mu is for running: a replica may be killed while others are started and asked.
	mu      sync.Mutex
	running map[string]*run.Running
}

func (h *inProcess) start(ctx context.Context, s spec, id *rpc.Identity) error {
	wire, ok := components.Wires()[s.name]
	if s.name == "browsercore" {
		wire, ok = browsercore.Wire, true
	}
	own, service := s.name, s.name
	if s.standsFor != "" {
		wire, ok, own, service = faulty.Wire(s.standsFor), true, s.standsFor, s.name+"-"+s.standsFor
	}
	if !ok {
		return fmt.Errorf("there is no component %q", s.name)
	}
	tp, err := h.lab.tracer(ctx, service)
	if err != nil {
		return err
	}
	mp, err := h.lab.meter(ctx, s)
	if err != nil {
		return err
	}
	log, err := h.log(s.key)
	if err != nil {
		return err
	}
	var network rpc.Network = h.lab.network.plain()
	if s.device != "" {
		network = h.lab.network.of(s.device, h.lab.inCloud())
	}
	labClock := clock.NewLab()
	labClock.Advance(h.lab.Ahead())
	r, err := run.Start(run.Config{
		Name: own, Identity: id, Network: network, Listen: s.listen, Peers: s.peers,
		Env: run.Env{
			StateDir: s.state, Clock: labClock, Lab: labClock, Log: log, TracerProvider: tp, MeterProvider: mp,
			Settings: s.settings, Points: h.lab.cfg.Points[s.name],
		},
	}, h.lab.mortal(s.key, wire))
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running[s.key] = r
	h.order = append(h.order, s.key)
	return nil
}

func (h *inProcess) log(component string) (*slog.Logger, error) {
	if h.lab.cfg.LogLevel == "" {
		return obs.Logger(nil, "off", component)
	}
	w := h.lab.cfg.Log
	if w == nil {
		w = os.Stderr
	}
	return obs.Logger(w, h.lab.cfg.LogLevel, component)
}

func (h *inProcess) move(_ context.Context, key, addr string) error {
	h.mu.Lock()
	r := h.running[key]
	h.mu.Unlock()
	if r == nil {
		return nil // it starts there the next time
	}
	return r.Move(addr)
}

func (h *inProcess) runs(key string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.running[key] != nil
}

func (h *inProcess) stop(key string) error {
	r := h.take(key)
	if r == nil {
		return fmt.Errorf("component %s does not run", key)
	}
	return r.Stop()
}

// take has a component no longer be one that runs; its end is the caller's. It is nil
// for one that does not run.
func (h *inProcess) take(key string) *run.Running {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.running[key]
	delete(h.running, key)
	return r
}

// close stops in the reverse order of the start, so that callers go first.
func (h *inProcess) close() error {
	var errs []error
	for i := len(h.order) - 1; i >= 0; i-- {
		if r := h.take(h.order[i]); r != nil {
			errs = append(errs, r.Stop())
		}
	}
	return errors.Join(errs...)
}

func (h *inProcess) nativeHost(d *Device) actor.NativeHost {
	if h.lab.cfg.ServedNativeHost {
		return distantHost{d}
	}
	return pipedHost{d}
}
