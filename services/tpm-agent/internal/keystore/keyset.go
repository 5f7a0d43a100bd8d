package keystore

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

const (
	// setVersion 2 has a provider, a storage key and an attestation key; sets of
	// version 1 are read and have none of the three.
	setVersion    = 2
	setSuffix     = ".keyset"
	pointerFile   = "installed"
	purposeDK     = "device key"
	purposeTK     = "transport key"
	purposeData   = "data key"
	purposeSess   = "session key"
	purposeToken  = "token"
	purposeStore  = "storage key"
	purposeAttest = "attestation key"
	purposeHello  = "hello key"
)

// keySet is the keys of one registration of the device.
type keySet struct {
	Version int    `json:"version"`
	ID      string `json:"id"`
	// Provider is what it was made in, and Level how well that protects.
	Provider Provider `json:"provider,omitempty"`
	Level    string   `json:"level,omitempty"`
	// Root is the name of the storage root key it was made under. When the TPM has
	// another one now, the TPM was cleared or replaced and the set is lost.
	Root        []byte `json:"root"`
	Device      blob   `json:"device"`
	Transport   blob   `json:"transport"`
	Storage     blob   `json:"storage"`
	Attestation blob   `json:"attestation"`
	Data        blob   `json:"data"`
	// Certificate is the DER device certificate, once there is one.
	Certificate []byte `json:"certificate,omitempty"`
	// Native says that session keys come wrapped for the storage key.
	Native bool `json:"native,omitempty"`

	// dk is the public half of Device: every request wants it, and go-tpm's codec takes
	// longer than the rest of a signature's bookkeeping.
	dk *rsa.PublicKey
	// join is how Certificate says that the device is known to its tenant.
	join entrawire.JoinType
}

// Purpose of a long-lived key.
type Purpose int

// Purposes.
const (
	PurposeDevice Purpose = iota + 1
	PurposeTransport
	PurposeStorage
	PurposeAttestation
)

// purposed is a key of a set with what it is for and its authorisation value.
type purposed struct {
	purpose Purpose
	name    string
	blob    blob
}

// keys are the asymmetric keys of a set.
func (set *keySet) keys() []purposed {
	all := []purposed{{PurposeDevice, purposeDK, set.Device}, {PurposeTransport, purposeTK, set.Transport}}
	if !set.Storage.empty() {
		all = append(all, purposed{PurposeStorage, purposeStore, set.Storage})
	}
	if !set.Attestation.empty() {
		all = append(all, purposed{PurposeAttestation, purposeAttest, set.Attestation})
	}
	return all
}

// auth is the authorisation value of a key of the set.
func (s *Store) auth(set *keySet, purpose string) secret.Bytes { return s.secret.auth(purpose, set.ID) }

func (s *Store) setPath(id string) string { return filepath.Join(s.cfg.Dir, id+setSuffix) }

// loadSets reads what is on disk. A damaged file is an error that names it: to go
// on without it would look like a device that was never registered.
func (s *Store) loadSets() error {
	s.sets = map[string]*keySet{}
	entries, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		return fmt.Errorf("agent folder: %w", err)
	}
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), setSuffix)
		if !ok || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		set, err := readSet(s.setPath(id), id)
		if err != nil {
			return err
		}
		s.sets[id] = set
	}
	id, err := durable.ReadFile(filepath.Join(s.cfg.Dir, pointerFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("installed key set: %w", err)
	}
	if set := s.sets[string(id)]; set == nil || len(set.Certificate) == 0 {
		return fmt.Errorf("the installed key set is missing in %s: restore it, or remove the file %q there and register the device again", s.cfg.Dir, pointerFile)
	}
	s.installed = string(id)
	return nil
}

func readSet(path, id string) (*keySet, error) {
	var set keySet
	if err := readStrict(path, &set); err != nil {
		return nil, fmt.Errorf("key set %s: restore it, or remove it and register the device again: %w", path, err)
	}
	if set.Version < 1 || set.Version > setVersion || set.ID != id {
		return nil, fmt.Errorf("key set %s has version %d or another id: it was written by another version of the agent", path, set.Version)
	}
	if set.Provider == "" {
		set.Provider = TPM
	}
	if set.Provider != TPM && set.Provider != Software {
		return nil, fmt.Errorf("key set %s is of provider %q: it was written by another version of the agent", path, set.Provider)
	}
	var err error
	if set.dk, err = set.Device.rsaKey(); err != nil {
		return nil, fmt.Errorf("key set %s: restore it, or remove it and register the device again: %w", path, err)
	}
	set.join = joinType(set.Certificate)
	return &set, nil
}

// readStrict reads a file of the agent's own, which has the members that it knows and
// no others.
func readStrict(path string, into any) error {
	b, err := durable.ReadFile(path)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("it is damaged: %w", err)
	}
	return nil
}

func (s *Store) writeSet(set *keySet) error {
	set.Version = setVersion
	b, err := json.Marshal(set)
	if err != nil {
		return fmt.Errorf("key set: %w", err)
	}
	return durable.WriteFile(s.setPath(set.ID), b, s.cfg.Points)
}

// current is the installed set and what it is in. Whether it is of the TPM that is
// there shows when a key of it is used.
func (s *Store) current() (*keySet, *chip, error) {
	s.mu.RLock()
	set := s.sets[s.installed]
	s.mu.RUnlock()
	if set == nil {
		return nil, nil, prterr.New(prterr.Conflict, "the device has no identity: register it first")
	}
	p, err := s.chip(set)
	return set, p, err
}

// pending is a set by its id, installed or not.
func (s *Store) pending(id string) (*keySet, *chip, error) {
	s.mu.RLock()
	set := s.sets[id]
	s.mu.RUnlock()
	if set == nil {
		return nil, nil, errNoSet()
	}
	p, err := s.chip(set)
	return set, p, err
}

func errNoSet() error {
	return prterr.New(prterr.NotFound, "key_set_id: there is no such key set: create one")
}

// checkCertificate holds that the certificate is for the set's device key. Who
// signed it is for dsreg and the identity provider to judge.
func (set *keySet) checkCertificate(der []byte) error {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return prterr.New(prterr.Invalid, "certificate: it is not an X.509 certificate")
	}
	if !set.dk.Equal(cert.PublicKey) {
		return prterr.New(prterr.Invalid, "certificate: it is not for the device key of this key set")
	}
	return nil
}

// publics are dkpub and tkpub of a set.
func (set *keySet) publics() (dk, tk *rsa.PublicKey, err error) {
	tk, err = set.Transport.rsaKey()
	return set.dk, tk, err
}

// Found says where the keys in an agent's folder were made: those of the installed
// set, or of any set when none is installed.
func Found(dir string) (Provider, error) {
	s := &Store{cfg: Config{Dir: dir}}
	if err := s.loadSets(); err != nil {
		return "", err
	}
	if set := s.sets[s.installed]; set != nil {
		return set.Provider, nil
	}
	for _, set := range s.sets {
		return set.Provider, nil
	}
	return "", nil
}
