// Package tpmagent is the tpm-agent: the only component with private keys. It
// stands where Windows has the TPM with its key storage provider.
//
// What lives here: device key, transport key and session keys, in a TPM 2.0, and
// the typed operations that use them. What never may: an operation that signs,
// derives or decrypts bytes of the caller's choosing, or an answer with a key in
// it. dsreg and lsa-cloudap call it; it calls nobody and needs no network.
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
	"google.golang.org/grpc"

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
	// Transport is used in place of an address when it is set.
	Transport transport.TPM
	// OnProgress is told what takes long; nil is nobody.
	OnProgress func(what string)
	Log        *slog.Logger
	// Points are crash points, for tests.
	Points durable.Points
}

// Service is the agent.
type Service struct {
	owner  *tpmio.Owner
	store  *keystore.Store
	closer io.Closer
	edge   edges
	once   sync.Once
}

type edges struct {
	devices  *server.DeviceKeys
	provider *server.Provider
	prt      *server.PRTKeys
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
	ctx, cancel := context.WithTimeout(context.Background(), openTime)
	defer cancel()
	opened, err := open(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("tpm-agent: %w", err)
	}
	if opened.Reason != "" && cfg.Log != nil {
		cfg.Log.Warn("the TPM that was asked for is not in use", "protection", opened.Protection.String(), "why", opened.Reason)
	}
	s := &Service{owner: tpmio.New(opened.TPM), closer: opened.Closer}
	defer func() {
		if err != nil {
			s.owner.Close()
			err = errors.Join(err, s.closer.Close())
		}
	}()
	s.store, err = keystore.New(ctx, keystore.Config{TPM: s.owner, Dir: cfg.StateDir, Progress: cfg.OnProgress, Log: cfg.Log, Points: cfg.Points})
	if err != nil {
		return nil, fmt.Errorf("tpm-agent: %w", err)
	}
	keys := prtkey.New(s.store)
	s.edge = edges{
		devices:  &server.DeviceKeys{Store: s.store, Keys: keys},
		provider: &server.Provider{Store: s.store, Name: opened.Name, Hardware: opened.Protection == device.Hardware},
		prt:      &server.PRTKeys{Keys: keys},
	}
	return s, nil
}

func open(ctx context.Context, cfg Config) (*device.Opened, error) {
	if cfg.Transport != nil {
		return &device.Opened{TPM: cfg.Transport, Closer: io.NopCloser(nil), Name: "TPM 2.0 given by the caller", Protection: device.Emulated}, nil
	}
	return device.Open(ctx, device.Config{Addr: cfg.TPM, Dir: cfg.StateDir, SoftwareKeys: device.Policy(cfg.SoftwareKeys), Log: cfg.Log})
}

// Register puts the agent on a server.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	tpmv1.RegisterDeviceKeyServiceServer(r, s.edge.devices)
	tpmv1.RegisterProviderServiceServer(r, s.edge.provider)
	tpmv1.RegisterPRTKeyServiceServer(r, s.edge.prt)
}

// CommandLog is how many commands of each code the TPM got.
func (s *Service) CommandLog() map[tpm2.TPMCC]int { return s.owner.Counts() }

// Close shuts the TPM down in order. A TPM that is gone already is no error, nor is
// a second Close.
func (s *Service) Close() (err error) {
	s.once.Do(func() { err = s.close() })
	return err
}

func (s *Service) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), openTime)
	defer cancel()
	err := s.store.Close(ctx)
	var link *tpmio.LinkError
	if errors.As(err, &link) {
		err = nil
	}
	s.owner.Close()
	return errors.Join(err, s.closer.Close())
}
