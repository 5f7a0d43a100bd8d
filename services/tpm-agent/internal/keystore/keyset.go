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
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

const (
	setVersion   = 1
	setSuffix    = ".keyset"
	pointerFile  = "installed"
	purposeDK    = "device key"
	purposeTK    = "transport key"
	purposeData  = "data key"
	purposeSess  = "session key"
	purposeToken = "token"
)

// keySet is the keys of one registration of the device.
type keySet struct {
	Version int    `json:"version"`
	ID      string `json:"id"`
	// Root is the name of the storage root key it was made under. When the TPM has
	// another one now, the TPM was cleared or replaced and the set is lost.
	Root      []byte `json:"root"`
	Device    blob   `json:"device"`
	Transport blob   `json:"transport"`
	Data      blob   `json:"data"`
	// Certificate is the DER device certificate, once there is one.
	Certificate []byte `json:"certificate,omitempty"`
}

// Key is the public view of a long-lived key.
type Key struct {
	SetID     string
	Transport bool
	Installed bool
	Public    *rsa.PublicKey
	// The attributes as the TPM keeps them.
	FixedTPM, FixedParent, SensitiveDataOrigin bool
}

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
	b, err := durable.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	var set keySet
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&set); err != nil {
		return nil, fmt.Errorf("key set %s is damaged: restore it, or remove it and register the device again: %w", path, err)
	}
	if set.Version != setVersion || set.ID != id {
		return nil, fmt.Errorf("key set %s has version %d or another id: it was written by another version of the agent", path, set.Version)
	}
	return &set, nil
}

func (s *Store) writeSet(set *keySet) error {
	b, err := json.Marshal(set)
	if err != nil {
		return fmt.Errorf("key set: %w", err)
	}
	return durable.WriteFile(s.setPath(set.ID), b, s.cfg.Points)
}

// current is the installed set, checked against the TPM that is there.
func (s *Store) current() (*keySet, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.installed == "" {
		return nil, prterr.New(prterr.Conflict, "the device has no identity: register it first")
	}
	return s.sets[s.installed], nil
}

// authDK, authTK and authData are the authorisation values of the set's keys.
func (s *Store) authDK(set *keySet) secret.Bytes   { return s.secret.auth(purposeDK, set.ID) }
func (s *Store) authTK(set *keySet) secret.Bytes   { return s.secret.auth(purposeTK, set.ID) }
func (s *Store) authData(set *keySet) secret.Bytes { return s.secret.auth(purposeData, set.ID) }

// checkCertificate holds that the certificate is for the set's device key. Who
// signed it is for dsreg and the identity provider to judge.
func (set *keySet) checkCertificate(der []byte) error {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return prterr.New(prterr.Invalid, "certificate: it is not an X.509 certificate")
	}
	public, err := set.Device.rsaKey()
	if err != nil {
		return err
	}
	if !public.Equal(cert.PublicKey) {
		return prterr.New(prterr.Invalid, "certificate: it is not for the device key of this key set")
	}
	return nil
}
