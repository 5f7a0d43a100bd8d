// Package labserver runs a laboratory that stays: the cloud and some devices in one
// process, with doors on unix sockets, on a folder that keeps everything for the next
// time.
//
// What lives here: the folder, the clock that goes on over restarts, and the laboratory's
// own door (prt.lab.v1.LabService). What never may: a rule of the system; its components
// have those. lockstep lab calls it; the other commands come through the door.
package labserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/run"
	labv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lab/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/door"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/flows"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

const (
	// keepTraces is how many traces stay in memory; a trace takes some 15 KiB.
	keepTraces = 1000
	// MaxDevices bounds a laboratory: each device is four components and a TPM.
	MaxDevices = 50
)

// Config says what laboratory to run.
type Config struct {
	// Dir is the folder that keeps everything; empty is one that goes with the laboratory.
	Dir string
	// Devices is how many there are; 0 is as many as last time, or else 2.
	Devices int
	// Lab is what else to say about the laboratory; Dir, Sockets, KeepCloud, KeepTraces
	// and Ahead are set here.
	Lab lab.Config
	// Progress is told what takes long; nil is nobody.
	Progress func(what string)
}

// Server is a laboratory that runs.
type Server struct {
	folder *folder
	lab    *lab.Lab
	own    *run.Running
	info   door.Info
	retire func() error
}

// Start brings everything up; when it returns, every door is open.
func Start(ctx context.Context, cfg Config) (_ *Server, err error) {
	if cfg.Progress == nil {
		cfg.Progress = func(string) {}
	}
	s := &Server{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.folder, err = openFolder(cfg.Dir); err != nil {
		return nil, err
	}
	if err = s.folder.setDevices(cfg.Devices); err != nil {
		return nil, err
	}
	n := s.folder.state.Devices
	if err = oneTPMEach(cfg.Lab.TPM, n); err != nil {
		return nil, err
	}
	cfg.Progress("starting the cloud")
	cfg.Lab.Dir, cfg.Lab.Sockets, cfg.Lab.KeepCloud, cfg.Lab.KeepTraces = s.folder.dir, true, true, keepTraces
	cfg.Lab.Ahead = s.folder.ahead(time.Now())
	if s.lab, err = lab.Start(ctx, cfg.Lab); err != nil {
		return nil, err
	}
	devices := make([]*lab.Device, 0, n)
	for i := range n {
		cfg.Progress(fmt.Sprintf("starting device %d of %d", i+1, n))
		d, err := s.lab.AddDevice(ctx)
		if err != nil {
			return nil, err
		}
		devices = append(devices, d)
	}
	return s, s.open(devices)
}

// oneTPMEach refuses an address that all devices would share: it is one TPM, with
// room for the keys of one device.
func oneTPMEach(address string, devices int) error {
	for _, kind := range []string{"tcp:", "unix:", "device:"} {
		if strings.HasPrefix(address, kind) && devices > 1 {
			return fmt.Errorf("the TPM at %s is the TPM of one device: use --devices 1, or swtpm:, which starts one for each device", address)
		}
	}
	return nil
}

// open opens the laboratory's own door and tells others where every door is.
func (s *Server) open(devices []*lab.Device) error {
	id, err := s.lab.Issue("lab")
	if err != nil {
		return err
	}
	for _, caller := range callers() {
		who, err := s.lab.Issue(caller)
		if err != nil {
			return err
		}
		if err := who.Save(s.folder.path(identities, caller)); err != nil {
			return err
		}
	}
	service := newService(s.lab, s.folder, devices)
	s.own, err = run.Start(run.Config{Name: "lab", Identity: id, Network: rpc.OS{}, Listen: s.lab.Addr("lab")}, service.wire)
	if err != nil {
		return err
	}
	s.info = door.Info{
		Version: door.Version, PID: os.Getpid(), Dir: s.folder.dir, Started: time.Now().UTC().Truncate(time.Second), IdP: s.lab.Addr("idp"), Lab: s.lab.Addr("lab"),
		Devices: map[string]map[string]string{}, Identities: s.folder.path(identities),
	}
	for _, d := range devices {
		s.info.Devices[d.Name] = map[string]string{}
		for _, c := range d.Components() {
			s.info.Devices[d.Name][c] = s.lab.Addr(d.Key(c))
		}
	}
	s.retire, err = s.info.Publish()
	return err
}

// identities is the folder of the identities of those who come from outside.
const identities = "identities"

// callers are those who come from outside: persons and programs, no component.
func callers() []string {
	return []string{door.Operator, "logonui", "app", "window", "browser", "settings"}
}

// Info says where every door is.
func (s *Server) Info() door.Info { return s.info }

// Issue makes an identity that the doors of the laboratory take for NAME's.
func (s *Server) Issue(name string) (*rpc.Identity, error) { return s.lab.Issue(name) }

// Now is the time in the laboratory.
func (s *Server) Now() time.Time { return time.Now().Add(s.lab.Ahead()) }

// Failed delivers the error with which the laboratory's own door closed by itself.
func (s *Server) Failed() <-chan error { return s.own.Failed() }

// Close takes everything down. A folder that was not asked for is removed; another one
// keeps everything for the next start.
func (s *Server) Close() error {
	var errs []error
	if s.retire != nil {
		errs = append(errs, s.retire())
	}
	if s.own != nil {
		errs = append(errs, s.own.Stop())
	}
	if s.lab != nil {
		errs = append(errs, s.folder.keep(time.Now(), s.lab.Ahead()), s.lab.Close())
	}
	if s.folder != nil {
		errs = append(errs, s.folder.close())
	}
	return errors.Join(errs...)
}

// service is the laboratory's own door.
type service struct {
	labv1.UnimplementedLabServiceServer
	lab    *lab.Lab
	folder *folder
	names  []string
	runner *flows.Runner
	// turn is held by the one command that runs.
	turn chan struct{}
}

func newService(l *lab.Lab, f *folder, devices []*lab.Device) *service {
	s := &service{lab: l, folder: f, runner: flows.On(l, devices...), turn: make(chan struct{}, 1)}
	s.runner.BeforeAdvance(s.keep)
	for _, d := range devices {
		s.names = append(s.names, d.Name)
	}
	return s
}

func (s *service) wire(*run.Env) (*run.Component, error) {
	return &run.Component{Service: s, Allow: run.WholeLabAllow()}, nil
}

// Register implements run.Service.
func (s *service) Register(r grpc.ServiceRegistrar) { labv1.RegisterLabServiceServer(r, s) }

// Close implements run.Service; the laboratory is the server's to end.
func (s *service) Close() error { return nil }
