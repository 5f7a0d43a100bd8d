// Package tpmagent is the tpm-agent: the only component with private keys. It
// stands where Windows has the TPM with its key storage provider.
//
// What lives here: device key, transport key and session keys, in a TPM 2.0, and
// the typed operations that use them. What never may: an operation that signs,
// derives or decrypts bytes of the caller's choosing, or an answer with a key in
// it. dsreg calls it, and whoever is the authority of the PRT: lsa-cloudap or
// wam-broker, as the device certificate says. It calls nobody and needs no network.
package tpmagent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"go.opentelemetry.io/otel/metric"
	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/durable"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/device"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/keystore"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/prtkey"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/server"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/tpmio"
)

// openTime bounds the first commands to a TPM, and the last.
const openTime = 30 * time.Second

// Config is what the agent needs.
type Config struct {
	// StateDir keeps key sets and the agent's secret; it is made with mode 0700.
	StateDir string
	// TPM is the address of the TPM: "soft:" (a software TPM with its state in
	// StateDir, the default), "soft:PATH", "mem:", "device:/dev/tpmrm0", "swtpm:DIR",
	// "unix:PATH", "tcp:HOST:PORT" or "mssim:HOST:PORT".
	TPM string
	// SoftwareKeys is "allow" (the default), "refuse" or "only": whether keys may be
	// made in software when there is no usable TPM.
	SoftwareKeys string
	// EmulatedCA is the folder of the maker that certifies the endorsement key of an
	// emulated TPM of the agent's own ("soft:", "mem:"); empty leaves it uncertified.
	EmulatedCA string
	// NativeSessionKeys offers identity providers to wrap session keys for this TPM,
	// which then derives from them inside. Off, they come as Entra wraps them.
	NativeSessionKeys bool
	// Transport is used in place of an address when it is set.
	Transport transport.TPM
	// Spares is how many key sets are made in advance.
	Spares int
	// Clock is for wrong PINs and Hello assertions; nil is the machine's.
	Clock clock.Clock
	// OnProgress is told what takes long; nil is nobody.
	OnProgress func(what string)
	Log        *slog.Logger
	// MeterProvider gets how long commands of the TPM take; nil records none.
	MeterProvider metric.MeterProvider
	// Points are crash points, for tests.
	Points durable.Points
}

// Service is the agent.
type Service struct {
	owners []*tpmio.Owner
	store  *keystore.Store
	closer []io.Closer
	edge   edges
	log    *slog.Logger
	// told counts the commands of the TPMs; nil counts none.
	told func(tpm2.TPMCC, tpmio.Class, time.Duration)
	once sync.Once
}

type edges struct {
	devices  *server.DeviceKeys
	provider *server.Provider
	prt      *server.PRTKeys
	data     *server.DataKeys
	hello    *server.HelloKeys
	records  *server.StateRecords
}

// New opens the TPM and the keys. A TPM that is down is no error: without keys in
// it, keys go to the software key store if the policy allows; with keys in it,
// every request is an error until the TPM is back.
func New(cfg Config) (_ *Service, err error) {
	if cfg.StateDir == "" {
		return nil, errors.New("tpm-agent: StateDir is missing")
	}
	if err := os.MkdirAll(cfg.StateDir, 0o700); err != nil {
		return nil, fmt.Errorf("tpm-agent: state folder: %w", err)
	}
	s := &Service{log: cfg.Log}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("tpm-agent: %w", err), s.release())
		}
	}()
	if s.told, err = onCommand(cfg.MeterProvider); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), openTime)
	defer cancel()
	opened, err := open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	keys := keystore.Config{
		Dir: cfg.StateDir, Spares: cfg.Spares, Native: cfg.NativeSessionKeys, Clock: cfg.Clock, Progress: cfg.OnProgress, Log: cfg.Log, Points: cfg.Points,
		TPM: s.own(opened.TPM), Software: s.own(opened.Software),
	}
	if s.store, err = keystore.New(keys); err != nil {
		return nil, err
	}
	s.serve(cfg, opened)
	return s, nil
}

// open opens the TPM of an address, or takes the one that is given.
func open(ctx context.Context, cfg Config) (*device.Machine, error) {
	if cfg.Transport != nil {
		return &device.Machine{TPM: &device.Opened{
			TPM: cfg.Transport, Closer: io.NopCloser(nil), Name: "TPM 2.0 given by the caller", Protection: device.Emulated,
		}}, nil
	}
	found, err := keystore.Found(cfg.StateDir)
	if err != nil {
		return nil, err
	}
	m, err := device.Open(ctx, device.Config{
		Addr: cfg.TPM, Dir: cfg.StateDir, Found: device.Keys(found), SoftwareKeys: device.Policy(cfg.SoftwareKeys),
		EmulatedCA: cfg.EmulatedCA, Clock: cfg.Clock, Log: cfg.Log,
	})
	if err == nil && m.Reason != "" && cfg.Log != nil {
		cfg.Log.Warn("the TPM that was asked for is not in use", "why", m.Reason)
	}
	return m, err
}

// own starts the owner of an opened TPM, which the service closes.
func (s *Service) own(o *device.Opened) *keystore.Chip {
	if o == nil {
		return nil
	}
	owner := tpmio.New(o.TPM)
	if s.told != nil {
		owner.OnCommand(s.told)
	}
	s.owners, s.closer = append(s.owners, owner), append(s.closer, o.Closer)
	return &keystore.Chip{Owner: owner, Level: o.Protection.String()}
}

func (s *Service) serve(cfg Config, opened *device.Machine) {
	names := map[keystore.Provider]string{}
	if opened.TPM != nil {
		names[keystore.TPM] = opened.TPM.Name
	}
	if opened.Software != nil {
		names[keystore.Software] = opened.Software.Name
	}
	keys := prtkey.New(s.store, cfg.Clock)
	s.edge = edges{
		devices:  &server.DeviceKeys{Store: s.store, Keys: keys},
		provider: &server.Provider{Store: s.store, Names: names, SoftwareReason: opened.Reason},
		prt:      &server.PRTKeys{Keys: keys},
		data:     &server.DataKeys{Keys: keys},
		hello:    &server.HelloKeys{Store: s.store, Keys: keys},
		records:  &server.StateRecords{Store: s.store},
	}
}

// Register puts the agent on a server.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	tpmv1.RegisterDeviceKeyServiceServer(r, s.edge.devices)
	tpmv1.RegisterProviderServiceServer(r, s.edge.provider)
	tpmv1.RegisterPRTKeyServiceServer(r, s.edge.prt)
	tpmv1.RegisterDataKeyServiceServer(r, s.edge.data)
	tpmv1.RegisterHelloKeyServiceServer(r, s.edge.hello)
	tpmv1.RegisterStateRecordServiceServer(r, s.edge.records)
}

// CommandLog is how many commands of each code the TPM got.
func (s *Service) CommandLog() map[tpm2.TPMCC]int {
	log := map[tpm2.TPMCC]int{}
	for _, o := range s.owners {
		for cc, n := range o.Counts() {
			log[cc] += n
		}
	}
	return log
}

// Stats is what became of the TPM's commands, and how long they waited for their
// turn: one entry for each TPM in use.
func (s *Service) Stats() []Stats {
	var all []Stats
	for _, o := range s.owners {
		all = append(all, o.Stats())
	}
	return all
}

// Stats of one TPM.
type Stats = tpmio.Stats

// report writes the statistics to the log, a line for each kind of command.
func (s *Service) report(ctx context.Context) {
	for _, one := range s.Stats() {
		for cc, c := range one.Commands {
			s.log.DebugContext(ctx, "TPM command", "command", fmt.Sprintf("%v", cc), "count", c.Count, "resent", c.Resent, "time", c.Time, "longest", c.Longest, "failed", len(c.Failed))
		}
		s.log.InfoContext(ctx, "TPM queue", "jobs", one.Queue.Jobs, "waited", one.Queue.Time, "longest", one.Queue.Longest)
	}
}

// Close shuts the TPM down in order. A TPM that is gone already is no error, nor is
// a second Close.
func (s *Service) Close() (err error) {
	s.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), openTime)
		defer cancel()
		s.report(ctx)
		err = errors.Join(s.store.Close(ctx), s.release())
	})
	return err
}

// release ends the owners and closes the TPMs.
func (s *Service) release() (err error) {
	for _, o := range s.owners {
		o.Close()
	}
	for _, c := range s.closer {
		err = errors.Join(err, c.Close())
	}
	return err
}
