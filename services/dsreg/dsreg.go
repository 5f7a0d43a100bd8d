// Package dsreg is device registration on the device: it joins the device to a
// tenant or registers it for a work account, takes it out again, gives it new keys
// when it has lost its own, and tells the others what the device is.
//
// What lives here: the door (configuration, registration, allow-list). What never
// may: a private key, or a password that is kept. An operator changes the
// registration, wam-broker registers a device that has none; lsa-cloudap and
// wam-broker read it. Below it are the tpm-agent, which holds the keys, and the
// identity provider.
package dsreg

import (
	"cmp"
	"errors"
	"log/slog"
	"maps"
	"path/filepath"

	"go.opentelemetry.io/otel/metric"
	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/eventlog"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/enrol"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/server"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/state"
)

// What a tenant is told of the device when Config does not say: that it is what
// the protocol comes from.
const (
	DefaultDeviceType = "Windows"
	DefaultOSVersion  = "10.0.26100"
)

// DefaultComputerName is what a computer goes by that has no other name.
const DefaultComputerName = "DESKTOP"

// Config of device registration.
type Config struct {
	// StateDir is the component's own folder; device.json lies there.
	StateDir string
	// TPM and IdP are connections to tpm-agent and idp, authenticated as dsreg.
	TPM, IdP grpc.ClientConnInterface
	// Clock is where the time is read; nil is the machine's.
	Clock clock.Clock
	// Log gets warnings about devices left behind, never a password; nil discards.
	Log *slog.Logger
	// MeterProvider gets the counts of recoveries; nil records none.
	MeterProvider metric.MeterProvider
	// Points are crash points, for tests.
	Points durable.Points
	// DeviceType and OSVersion are told to the tenant with a new device; empty is
	// DefaultDeviceType and DefaultOSVersion.
	DeviceType, OSVersion string
	// ComputerName is the display name of a registration that comes without one, 1
	// to 64 printable characters; empty is DefaultComputerName.
	ComputerName string
}

// Service is device registration.
type Service struct {
	registration *server.Registration
	recovery     *server.Recovery
	state        *server.DeviceState
	diagnostics  *server.Diagnostics
	events       *eventlog.Log
	enroller     *enrol.Enroller
}

// New reads the device's state. Errors name the field that is missing, or the
// file that is damaged and what to do about it.
func New(cfg Config) (*Service, error) {
	if cfg.StateDir == "" || cfg.TPM == nil || cfg.IdP == nil {
		return nil, errors.New("dsreg: StateDir, TPM and IdP are all needed")
	}
	name := cmp.Or(cfg.ComputerName, DefaultComputerName)
	if !server.IsDisplayName(name) {
		return nil, errors.New("dsreg: ComputerName is not 1 to 64 printable characters: use one such as DESKTOP-1")
	}
	store, err := state.Open(cfg.StateDir, cfg.Points)
	if err != nil {
		return nil, err
	}
	notes, damaged := state.OpenNotes(cfg.StateDir)
	if damaged != nil && cfg.Log != nil {
		cfg.Log.Warn("notes about the registration were not read", "error", damaged)
	}
	events, err := eventlog.New(eventlog.Config{Component: "dsreg", Clock: cfg.Clock, Dir: filepath.Join(cfg.StateDir, "events"), Log: cfg.Log})
	if err != nil {
		return nil, err
	}
	e, err := enrol.New(enrol.Config{
		TPM: cfg.TPM, IdP: cfg.IdP, Store: store, Notes: notes, Events: events, Clock: cfg.Clock, Log: cfg.Log, Points: cfg.Points,
		DeviceType: cmp.Or(cfg.DeviceType, DefaultDeviceType), OSVersion: cmp.Or(cfg.OSVersion, DefaultOSVersion),
	})
	if err != nil {
		return nil, err
	}
	meter, err := server.NewMeter(cfg.MeterProvider)
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return &Service{
		registration: &server.Registration{Enroller: e, ComputerName: name, Meter: meter}, recovery: &server.Recovery{Enroller: e, Meter: meter},
		state: &server.DeviceState{Enroller: e}, diagnostics: &server.Diagnostics{Enroller: e}, events: events, enroller: e,
	}, nil
}

// Register serves the component's contracts.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	dsregv1.RegisterRegistrationServiceServer(r, s.registration)
	dsregv1.RegisterRecoveryServiceServer(r, s.recovery)
	dsregv1.RegisterDeviceStateServiceServer(r, s.state)
	dsregv1.RegisterDiagnosticsServiceServer(r, s.diagnostics)
	s.events.Register(r)
}

// Close ends what goes on in the background. Nothing is lost: what matters is on disk
// at every moment.
func (s *Service) Close() error { return s.enroller.Close() }

// Allow says who may call.
func Allow() rpc.AllowList {
	list := rpc.AllowList{
		dsregv1.RegistrationService_JoinDevice_FullMethodName:              {"operator"},
		dsregv1.RegistrationService_RegisterDevice_FullMethodName:          {"operator", "wam-broker"},
		dsregv1.RegistrationService_JoinHybridDevice_FullMethodName:        {"operator"},
		dsregv1.RegistrationService_DescribeComputerAccount_FullMethodName: {"operator"},
		dsregv1.RegistrationService_RecoverDevice_FullMethodName:           {"operator"},
		dsregv1.RegistrationService_MigrateDeviceKeys_FullMethodName:       {"operator"},
		dsregv1.RegistrationService_LeaveDevice_FullMethodName:             {"operator", "wam-broker"},
		dsregv1.RecoveryService_StartRecovery_FullMethodName:               {"lsa-cloudap"},
		dsregv1.DeviceStateService_GetDeviceState_FullMethodName:           {"lsa-cloudap", "wam-broker", "operator"},
		dsregv1.DiagnosticsService_DescribeRegistration_FullMethodName:     {"operator"},
	}
	maps.Copy(list, eventlog.Allow())
	return list
}
