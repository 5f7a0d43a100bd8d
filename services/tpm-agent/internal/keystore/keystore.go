// Package keystore keeps the agent's keys: in the TPM while they are used, on disk
// as blobs that only this TPM opens.
//
// The hierarchy: a storage root key of the TPM; under it, for each registration of
// the device, a key set of device key, transport key, storage key, attestation key
// and data key; the Hello keys of the users; and the session keys of the PRTs,
// whose blobs their users keep. Every key has an authorisation value that is
// derived from a secret of this agent and from what the key is for and whose it is.
// So another program that talks to the same TPM and steals a blob cannot use it,
// and a blob whose label was changed does not work either: the TPM itself refuses.
//
// A key set belongs to the provider it was made in: the TPM, or the store in
// software that takes its place on a machine without one. Both speak TPM 2.0, so
// there is one code for both, and a set moves to the other only as new keys.
//
// What never may leave: a private key, a session key, a derived key. Callers are
// the payload builders of package prtkey and the RPC edge.
package keystore

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/tpmio"
)

// Provider is what holds the keys of a set.
type Provider string

// Providers, as they stand in key sets on disk.
const (
	TPM      Provider = "tpm"
	Software Provider = "software"
)

// Chip is a TPM that the store may use.
type Chip struct {
	Owner *tpmio.Owner
	// Level is how well it protects keys: "hardware", "emulated" or "software".
	Level string
}

// Config is what a store needs: at least one of TPM and Software.
type Config struct {
	// TPM is the TPM of the device, nil when it has none.
	TPM *Chip
	// Software is the store in software, nil when it is not wanted. New keys go to
	// the TPM when there is one.
	Software *Chip
	// Dir is the agent's own folder.
	Dir string
	// Spares is how many key sets are made in advance, when the TPM has nothing to
	// do, so that a registration does not wait for RSA keys; at most 4.
	Spares int
	// Native offers the storage key at attestation, so that an identity provider may
	// wrap session keys for it. It is safer than Entra's form and costs a chip three
	// commands a signature in place of one.
	Native bool
	// Clock is for the healing of wrong PINs; nil is the machine's.
	Clock clock.Clock
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
	chips  map[Provider]*chip
	// templates of the keys that are derived for single messages.
	templates derivedTemplates

	// mu guards the key sets.
	mu   sync.RWMutex
	sets map[string]*keySet
	// installed is the id of the set that is the device's identity, or "".
	installed string

	data   dataKeys
	users  userKeys
	spares spares
	hello  helloLock
	// records is held while a state record is read and written.
	records sync.Mutex
}

// New opens the store and reads the key sets. It does not need the TPM to work: a
// TPM that is down answers with errors until it is back.
func New(cfg Config) (*Store, error) {
	if cfg.Dir == "" || cfg.TPM == nil && cfg.Software == nil {
		return nil, errors.New("keystore: Dir and a TPM or the store in software are needed")
	}
	if cfg.Progress == nil {
		cfg.Progress = func(string) {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.Clock = clock.Or(cfg.Clock)
	secret, err := loadSecret(cfg.Dir)
	if err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, secret: secret, chips: map[Provider]*chip{}, templates: newDerivedTemplates()}
	for provider, given := range map[Provider]*Chip{TPM: cfg.TPM, Software: cfg.Software} {
		if given != nil {
			c := &chip{owner: given.Owner, log: cfg.Log, provider: provider, level: given.Level, offersNative: cfg.Native}
			given.Owner.OnFull(c.cool)
			s.chips[provider] = c
		}
	}
	if err := s.loadSets(); err != nil {
		return nil, err
	}
	if err := s.startSpares(); err != nil {
		return nil, err
	}
	return s, nil
}

// Close empties the agent's slots and tells each TPM to keep its counters: an
// unclean stop counts as a wrong PIN for keys that have one.
func (s *Store) Close(ctx context.Context) error {
	s.spares.stop()
	s.data.wipe()
	s.users.wipe(func(userKeyOf) bool { return true })
	var errs error
	for _, p := range s.chips {
		errs = errors.Join(errs, p.close(ctx))
	}
	return errs
}

// best is where new keys are made.
func (s *Store) best() *chip {
	if p := s.chips[TPM]; p != nil {
		return p
	}
	return s.chips[Software]
}

// chip is the provider of a set.
func (s *Store) chip(set *keySet) (*chip, error) {
	if p := s.chips[set.Provider]; p != nil {
		return p, nil
	}
	if set.Provider == Software {
		return nil, prterr.New(prterr.Denied, "the keys of this device are in software, and the agent is told not to use such keys: allow software-keys and migrate them, or register the device again")
	}
	return nil, prterr.New(prterr.TPMFailed, "the keys of this device are in a TPM, and the agent is told to use none: allow it, or register the device again").WithHRESULT(tpmio.HRESULTBadKeyset)
}
