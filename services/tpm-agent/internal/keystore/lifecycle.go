package keystore

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"path/filepath"
	"slices"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/tpmio"
)

// CreateSet makes a pending key set; a pending set from before is dropped. It
// returns the set's id and the public halves of dk and tk.
func (s *Store) CreateSet(ctx context.Context) (id string, dk, tk *rsa.PublicKey, err error) {
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the process instead
	set := &keySet{Version: setVersion, ID: hex.EncodeToString(raw)}
	dataKey := make([]byte, dataKeySize)
	_, _ = rand.Read(dataKey)
	defer clear(dataKey)
	// One command a turn, so that signatures can pass between the two RSA keys.
	for _, step := range []struct {
		what string
		do   func(*tpmio.Conn) error
	}{
		{"making the device key", func(c *tpmio.Conn) (err error) {
			set.Root = bytes.Clone(s.root.name.Buffer)
			set.Device, err = s.create(c, deviceTemplate(), s.authDK(set), secret.Bytes{})
			return err
		}},
		{"making the transport key", func(c *tpmio.Conn) (err error) {
			set.Transport, err = s.create(c, transportTemplate(), s.authTK(set), secret.Bytes{})
			return err
		}},
		{"making the data key", func(c *tpmio.Conn) (err error) {
			set.Data, err = s.create(c, dataTemplate(), s.authData(set), secret.NewBytes(dataKey))
			return err
		}},
	} {
		s.cfg.Progress(step.what)
		if err := s.runSlow(ctx, step.what, step.do); err != nil {
			return "", nil, nil, err
		}
	}
	if dk, err = set.Device.rsaKey(); err != nil {
		return "", nil, nil, err
	}
	if tk, err = set.Transport.rsaKey(); err != nil {
		return "", nil, nil, err
	}
	return set.ID, dk, tk, s.addPending(set)
}

func (s *Store) addPending(set *keySet) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.sets {
		if id != s.installed {
			if err := s.forget(id); err != nil {
				return err
			}
		}
	}
	if err := s.writeSet(set); err != nil {
		return err
	}
	s.sets[set.ID] = set
	return nil
}

// forget removes a set from disk and memory; s.mu is held. Its blobs are gone then,
// and with them the keys: the TPM itself keeps none.
func (s *Store) forget(id string) error {
	if err := durable.Remove(s.setPath(id)); err != nil {
		return err
	}
	delete(s.sets, id)
	return nil
}

// CreateCSR signs a certificate request for the device key of a set.
func (s *Store) CreateCSR(ctx context.Context, id string) ([]byte, error) {
	s.mu.RLock()
	set := s.sets[id]
	s.mu.RUnlock()
	if set == nil {
		return nil, errNoSet()
	}
	signer, err := s.signer(ctx, set)
	if err != nil {
		return nil, err
	}
	csr, err := entrawire.CreateCSR(signer)
	if err != nil {
		return nil, tpmio.Named(err, "sign the certificate request")
	}
	return csr, nil
}

func errNoSet() error {
	return prterr.New(prterr.NotFound, "key_set_id: there is no such key set: create one")
}

// Install makes a set the device's identity and destroys the one before. The
// order is what makes it safe: the certificate is written into the new set, then
// the pointer moves in one rename, then the old set goes. A crash before the
// rename leaves the old identity, after it the new one.
func (s *Store) Install(ctx context.Context, id string, certificate []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	set := s.sets[id]
	if set == nil {
		return errNoSet()
	}
	if err := set.checkCertificate(certificate); err != nil {
		return err
	}
	with := *set
	with.Certificate = bytes.Clone(certificate)
	if err := s.writeSet(&with); err != nil {
		return err
	}
	s.sets[id] = &with
	s.cfg.Points.Reached("certificate-written")
	if err := durable.WriteFile(filepath.Join(s.cfg.Dir, pointerFile), []byte(id), s.cfg.Points); err != nil {
		return err
	}
	s.cfg.Points.Reached("pointer-moved")
	old := s.installed
	s.installed = id
	if old == "" || old == id {
		return nil
	}
	return s.destroy(ctx, old)
}

// destroy forgets a set and what of it is in the TPM's slot; s.mu is held.
func (s *Store) destroy(ctx context.Context, id string) error {
	set := s.sets[id]
	if err := s.forget(id); err != nil {
		return err
	}
	return s.run(ctx, "evict the old keys", func(c *tpmio.Conn) error {
		if d, ok := s.data[id]; ok {
			d.key.Wipe()
			delete(s.data, id)
		}
		for _, b := range []blob{set.Device, set.Transport} {
			if err := s.evict(c, b); err != nil {
				return err
			}
		}
		return nil
	})
}

// Delete destroys a set; an empty id is the installed one. Session keys and
// tokens that were sealed under it cannot be opened afterwards.
func (s *Store) Delete(ctx context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id == "" {
		id = s.installed
	}
	if s.sets[id] == nil {
		return errNoSet()
	}
	if id == s.installed {
		if err := durable.Remove(filepath.Join(s.cfg.Dir, pointerFile)); err != nil {
			return err
		}
		s.installed = ""
	}
	return s.destroy(ctx, id)
}

// Keys lists the device and transport keys of all sets.
func (s *Store) Keys() ([]Key, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var keys []Key
	for _, set := range s.sets {
		for i, b := range []blob{set.Device, set.Transport} {
			area, err := b.area()
			if err != nil {
				return nil, err
			}
			public, err := b.rsaKey()
			if err != nil {
				return nil, err
			}
			a := area.ObjectAttributes
			keys = append(keys, Key{
				SetID: set.ID, Transport: i == 1, Installed: set.ID == s.installed, Public: public,
				FixedTPM: a.FixedTPM, FixedParent: a.FixedParent, SensitiveDataOrigin: a.SensitiveDataOrigin,
			})
		}
	}
	slices.SortFunc(keys, func(a, b Key) int {
		if a.SetID != b.SetID {
			return bytes.Compare([]byte(a.SetID), []byte(b.SetID))
		}
		if a.Transport == b.Transport {
			return 0
		}
		if b.Transport {
			return -1
		}
		return 1
	})
	return keys, nil
}
