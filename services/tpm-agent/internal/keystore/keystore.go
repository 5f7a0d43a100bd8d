// Package keystore keeps the agent's keys: in the TPM while they are used, on disk
// as blobs that only this TPM opens.
//
// The hierarchy: a storage root key of the TPM; under it, for each registration of
// the device, a key set of device key, transport key and data key; and the session
// keys of the PRTs, whose blobs their users keep. Every key has an authorisation
// value that is derived from a secret of this agent and from what the key is for
// and whose it is. So another program that talks to the same TPM and steals a blob
// cannot use it, and a blob whose label was changed does not work either: the TPM
// itself refuses.
//
// What never may leave: a private key, a session key, a derived key. Callers are
// the payload builders of package prtkey and the RPC edge.
package keystore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/tpmio"
)

// rootHandle is where the TCG's provisioning guidance puts the storage root key.
const rootHandle = tpm2.TPMHandle(0x81000001)

// Config is what a store needs.
type Config struct {
	TPM *tpmio.Owner
	// Dir is the agent's own folder.
	Dir string
	// Progress is told what takes long; nil is nobody.
	Progress func(what string)
	Log      *slog.Logger
	// Points are crash points, for tests.
	Points durable.Points
}

// Store is the agent's keys.
type Store struct {
	cfg    Config
	secret agentSecret

	// mu guards the key sets; the fields below it belong to the TPM's goroutine.
	mu   sync.RWMutex
	sets map[string]*keySet
	// installed is the id of the set that is the device's identity, or "".
	installed string

	root *root
	hot  hotKey
	data map[string]dataKey
}

// root is the storage root key of the TPM.
type root struct {
	handle tpm2.TPMHandle
	name   tpm2.TPM2BName
	public tpm2.TPMTPublic
}

// New opens the store: it starts the TPM up if nobody has, finds or makes the
// storage root key, and reads the key sets.
func New(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.TPM == nil || cfg.Dir == "" {
		return nil, errors.New("keystore: TPM and Dir are both needed")
	}
	if cfg.Progress == nil {
		cfg.Progress = func(string) {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	secret, err := loadSecret(cfg.Dir)
	if err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, secret: secret, data: map[string]dataKey{}}
	if err := s.loadSets(); err != nil {
		return nil, err
	}
	err = cfg.TPM.Do(ctx, func(c *tpmio.Conn) error {
		if err := startUp(c); err != nil {
			return err
		}
		return s.openRoot(c)
	})
	if err != nil { // the TPM is down: the first request after it is back opens the root
		cfg.Log.Error("the TPM does not work", "class", tpmio.Classify(err).String(), "error", tpmio.Named(err, "open the TPM"))
	}
	return s, nil
}

// Close empties the agent's slots and tells the TPM to keep its counters: an
// unclean stop counts as a wrong PIN for keys that have one.
func (s *Store) Close(ctx context.Context) error {
	return s.cfg.TPM.Do(ctx, func(c *tpmio.Conn) error {
		for _, d := range s.data {
			d.key.Wipe()
		}
		s.drop(c)
		_, err := tpm2.Shutdown{ShutdownType: tpm2.TPMSUClear}.Execute(c)
		return tpmio.Named(err, "shut the TPM down")
	})
}

// startUp sends TPM2_Startup; a TPM that the platform has started says so.
func startUp(c *tpmio.Conn) error {
	_, err := tpm2.Startup{StartupType: tpm2.TPMSUClear}.Execute(c)
	if errors.Is(err, tpm2.TPMRCInitialize) {
		return nil
	}
	return err
}

// openRoot takes the storage root key that the platform provisioned, or makes the
// same one from the TPM's seed, which takes a millisecond.
func (s *Store) openRoot(c *tpmio.Conn) error {
	if r, err := (tpm2.ReadPublic{ObjectHandle: rootHandle}).Execute(c); err == nil {
		public, err := r.OutPublic.Contents()
		if err == nil && isStorageRoot(public) {
			s.root = &root{rootHandle, r.Name, *public}
			return nil
		}
	}
	r, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(c)
	if err != nil {
		return err
	}
	public, err := r.OutPublic.Contents()
	if err != nil {
		return fmt.Errorf("storage root key: %w", err)
	}
	s.root = &root{r.ObjectHandle, r.Name, *public}
	return nil
}

// isStorageRoot keeps the agent from hanging its keys under some other key that
// happens to be at the root's handle.
func isStorageRoot(p *tpm2.TPMTPublic) bool {
	a := p.ObjectAttributes
	return p.Type == tpm2.TPMAlgECC && a.Restricted && a.Decrypt && a.FixedTPM && a.FixedParent && a.SensitiveDataOrigin
}

// run does f with the TPM. When the TPM was reset behind the agent's back its
// handles are gone, but blobs are good: then everything is opened again, once.
func (s *Store) run(ctx context.Context, what string, f func(*tpmio.Conn) error) error {
	return tpmio.Named(s.cfg.TPM.Do(ctx, s.twice(f)), what)
}

// runSlow is run for what may take seconds.
func (s *Store) runSlow(ctx context.Context, what string, f func(*tpmio.Conn) error) error {
	return tpmio.Named(s.cfg.TPM.DoSlow(ctx, s.twice(f)), what)
}

func (s *Store) twice(f func(*tpmio.Conn) error) func(*tpmio.Conn) error {
	return func(c *tpmio.Conn) error {
		if s.root == nil { // an earlier attempt to open everything again failed
			if err := s.reopen(c); err != nil {
				return err
			}
		}
		err := f(c)
		if !handleLost(err) {
			return err
		}
		s.drop(c)
		if err := s.reopen(c); err != nil {
			return err
		}
		return f(c)
	}
}

func (s *Store) reopen(c *tpmio.Conn) error {
	if err := startUp(c); err != nil {
		return err
	}
	return s.openRoot(c)
}

// handleLost is how a TPM that was reset answers to a handle from before.
func handleLost(err error) bool {
	return tpmio.HandlesGone(err)
}

// drop forgets what is in the TPM's slots and frees them as far as they are there.
func (s *Store) drop(c *tpmio.Conn) {
	if s.hot.handle != 0 {
		_ = c.Flush(s.hot.handle)
	}
	if s.root != nil && s.root.handle != rootHandle {
		_ = c.Flush(s.root.handle)
	}
	s.hot, s.root = hotKey{}, nil
}
