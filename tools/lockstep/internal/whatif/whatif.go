// Package whatif executes "what if": the lattice of user, device state, credential,
// browser mode and application under a policy file, run for real.
//
// What lives here: simulated devices made of the product's own components, the
// person before them, the list of cells, and what became of each. What never may: an
// opinion about policy. Every outcome is read off what components answered and what
// the person was asked for; the identity provider's own answer to the same question
// is only compared with it. The command lockstep whatif is its caller.
package whatif

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
)

// Config says what to run. The zero value is the embedded people under the policies
// of their own tenant file.
type Config struct {
	// Tenants is a tenant file in YAML; nil is the embedded one. The passwords and
	// second factors of its users are replaced in the simulation, so they need not be
	// in it.
	Tenants []byte
	// Tenant is the id or a domain of the tenant that is meant; empty is the first.
	Tenant string
	// From is the address that every request comes from; empty is 192.0.2.1.
	From string
	// Platform of the devices and browsers: windows, macos, linux, ios or android;
	// empty is windows.
	Platform string
	// Dir keeps the state of the run; empty is a folder that goes with it.
	Dir string
	// Workers is how many cells run at once; 0 is one for each processor.
	Workers int
	// Check also asks the identity provider's what-if query about every cell.
	Check bool
	// Holds says which users have what a tenant file cannot say: a security key, a
	// pass, a certificate. With the embedded people it is said already.
	Holds map[string][]Credential
	// Progress is told what takes long; nil is nobody.
	Progress func(what string)
}

// World is a running simulation: a cloud, its people and their devices, as they are
// before the policies of a question are put in force.
type World struct {
	cfg     Config
	temp    string
	clock   *clock.Lab
	cloud   *cloud
	people  []*person
	apps    []App
	devices map[DeviceState]*device
	// ruled says that the tenant has policies now.
	ruled bool
}

// defaultFrom is an address of a documentation range (RFC 5737).
const defaultFrom = "192.0.2.1"

// New starts a cloud. Devices are made when the first cell needs them.
func New(ctx context.Context, cfg Config) (_ *World, err error) {
	cfg.From, cfg.Platform = cmp.Or(cfg.From, defaultFrom), cmp.Or(cfg.Platform, "windows")
	cfg.Workers = cmp.Or(cfg.Workers, runtime.GOMAXPROCS(0))
	if cfg.Tenants == nil {
		cfg.Tenants, cfg.Holds = People(), peopleHold()
	}
	if cfg.Progress == nil {
		cfg.Progress = func(string) {}
	}
	if _, known := platforms()[cfg.Platform]; !known {
		return nil, fmt.Errorf("platform %q: use windows, macos, linux, ios or android", cfg.Platform)
	}
	w := &World{cfg: cfg, clock: clock.NewLab(), devices: map[DeviceState]*device{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	if cfg.Dir == "" {
		if w.temp, err = os.MkdirTemp("", "lockstep-whatif-"); err != nil {
			return nil, fmt.Errorf("state folder: %w", err)
		}
		w.cfg.Dir = w.temp
	}
	if w.cloud, err = newCloud(w.cfg, w.clock); err != nil {
		return nil, err
	}
	if w.people, err = w.cloud.readPeople(ctx); err != nil {
		return nil, err
	}
	w.apps, err = w.cloud.readApps(ctx)
	return w, err
}

func (w *World) path(parts ...string) string {
	return filepath.Join(append([]string{w.cfg.Dir}, parts...)...)
}

// Close stops everything.
func (w *World) Close() error {
	var errs []error
	for _, d := range w.devices {
		errs = append(errs, d.close())
	}
	if w.cloud != nil {
		errs = append(errs, w.cloud.close())
	}
	if w.temp != "" {
		errs = append(errs, os.RemoveAll(w.temp))
	}
	return errors.Join(errs...)
}

// cellTime bounds one cell; it is far more than any takes.
const cellTime = time.Minute
