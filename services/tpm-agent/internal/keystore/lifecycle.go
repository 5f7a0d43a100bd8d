package keystore

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"path/filepath"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/tpmio"
)

// CreateSet makes a pending key set, or takes a spare one; a pending set from
// before is dropped. It returns the set's id and the public halves of dk and tk.
func (s *Store) CreateSet(ctx context.Context) (id string, dk, tk *rsa.PublicKey, err error) {
	set := s.takeSpare(ctx)
	if set == nil {
		if set, err = s.makeSet(ctx, s.cfg.Progress); err != nil {
			return "", nil, nil, err
		}
	}
	if dk, tk, err = set.publics(); err != nil {
		return "", nil, nil, err
	}
	return set.ID, dk, tk, s.addPending(set)
}

// makeSet makes the keys of a set in the best provider there is.
func (s *Store) makeSet(ctx context.Context, progress func(string)) (*keySet, error) {
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the process instead
	p := s.best()
	set := &keySet{ID: hex.EncodeToString(raw), Provider: p.provider, Level: p.level}
	dataKey := secret.NewBytes(make([]byte, dataKeySize))
	_, _ = rand.Read(dataKey.Reveal())
	defer dataKey.Wipe()
	// One command a turn, so that signatures can pass between the two RSA keys.
	for _, k := range []struct {
		purpose  string
		into     *blob
		data     secret.Bytes
		template templateFunc
	}{
		{purposeDK, &set.Device, secret.Bytes{}, deviceTemplate},
		{purposeTK, &set.Transport, secret.Bytes{}, transportTemplate},
		{purposeStore, &set.Storage, secret.Bytes{}, storageTemplate},
		{purposeAttest, &set.Attestation, secret.Bytes{}, attestationTemplate},
		{purposeData, &set.Data, dataKey, dataTemplate},
	} {
		what := "making the " + k.purpose
		progress(what)
		auth := s.auth(set, k.purpose)
		err := p.runSlow(ctx, use{what: what, purpose: k.purpose, set: set.ID}, func(c *tpmio.Conn) (err error) {
			if set.Root == nil {
				set.Root = bytes.Clone(p.root.name.Buffer)
			}
			if err := p.same(set); err != nil { // replaced since the first key of the set
				return err
			}
			*k.into, err = p.create(c, k.template(), auth, k.data)
			return err
		})
		auth.Wipe()
		if err != nil {
			return nil, err
		}
	}
	var err error
	set.dk, err = set.Device.rsaKey()
	return set, err
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
	signer, err := s.SetSigner(ctx, id)
	if err != nil {
		return nil, err
	}
	csr, err := entrawire.CreateCSR(signer)
	if err != nil {
		return nil, tpmio.Named(err, "sign the certificate request")
	}
	return csr, nil
}

// Install makes a set the device's identity and destroys the one before. The
// order is what makes it safe: the certificate is written into the new set, then
// the pointer moves in one rename, then the old set goes. A crash before the
// rename leaves the old identity, after it the new one.
//
// native says that session keys will come wrapped for the storage key of the set;
// a set that cannot take them so is refused, for it could never sign in.
func (s *Store) Install(ctx context.Context, id string, certificate []byte, native bool) error {
	if native {
		if err := s.takesNative(ctx, id); err != nil {
			return err
		}
	}
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
	with.Certificate, with.Native, with.join = bytes.Clone(certificate), native, joinType(certificate)
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

// destroy forgets a set, the Hello keys that go with it, and what of it is in the
// TPM's slot; s.mu is held. A TPM that does not answer holds nothing of it that
// could be used: the blobs are gone.
func (s *Store) destroy(ctx context.Context, id string) error {
	set := s.sets[id]
	if err := s.forget(id); err != nil {
		return err
	}
	if err := s.dropHello(id); err != nil {
		return err
	}
	s.data.drop(id)
	s.users.wipe(func(of userKeyOf) bool { return of.set == id })
	p, err := s.chip(set)
	if err != nil {
		return nil //nolint:nilerr // the provider is not in use: there is no slot to free
	}
	if err := p.run(ctx, use{what: "evict the old keys"}, func(c *tpmio.Conn) error {
		for _, k := range set.keys() {
			p.evict(c, k.blob)
		}
		return nil
	}); err != nil {
		s.cfg.Log.WarnContext(ctx, "old keys were not evicted from the TPM, and their blobs are destroyed", "key_set", id, "error", err)
	}
	return nil
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
