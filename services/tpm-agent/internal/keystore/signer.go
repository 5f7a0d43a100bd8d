package keystore

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"io"

	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/tpmio"
)

// DeviceSigner signs with a device key, in the TPM. It is a crypto.Signer for
// payloads that the agent builds itself; it never reaches a caller of the agent.
type DeviceSigner struct {
	store *Store
	chip  *chip
	ctx   context.Context //nolint:containedctx // crypto.Signer has no room for it, and a signer lives for one call
	set   *keySet
}

// Device is the installed identity: a signer with its key, its certificate, and
// whether session keys come to it in the native form.
func (s *Store) Device(ctx context.Context) (signer *DeviceSigner, certificate []byte, native bool, err error) {
	set, p, err := s.current()
	if err != nil {
		return nil, nil, false, err
	}
	return &DeviceSigner{s, p, ctx, set}, set.Certificate, set.Native, nil
}

// SetSigner is a signer with the device key of any set by its id.
func (s *Store) SetSigner(ctx context.Context, id string) (*DeviceSigner, error) {
	set, p, err := s.pending(id)
	if err != nil {
		return nil, err
	}
	return &DeviceSigner{s, p, ctx, set}, nil
}

// SetPublics are dkpub and tkpub of a set.
func (s *Store) SetPublics(id string) (dk, tk *rsa.PublicKey, err error) {
	set, _, err := s.pending(id)
	if err != nil {
		return nil, nil, err
	}
	return set.publics()
}

// Public is dkpub.
func (d *DeviceSigner) Public() crypto.PublicKey { return d.set.dk }

// Sign signs a SHA-256 digest, PKCS#1 v1.5; the key can do nothing else.
func (d *DeviceSigner) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if err := onlyRS256(digest, opts); err != nil {
		return nil, err
	}
	auth := d.store.auth(d.set, purposeDK)
	defer auth.Wipe()
	var signature []byte
	u := use{what: "sign with the device key", purpose: purposeDK, set: d.set.ID}
	err := d.chip.run(d.ctx, u, func(c *tpmio.Conn) error {
		if err := d.chip.same(d.set); err != nil {
			return err
		}
		key, err := d.chip.load(c, d.set.Device)
		if err != nil {
			return err
		}
		signature, err = c.SignRSA(key, auth.Reveal(), digest)
		return err
	})
	return bytes.Clone(signature), err
}

func onlyRS256(digest []byte, opts crypto.SignerOpts) error {
	if _, pss := opts.(*rsa.PSSOptions); pss || opts.HashFunc() != crypto.SHA256 || len(digest) != crypto.SHA256.Size() {
		return errors.New("this key signs SHA-256 with PKCS#1 v1.5 only")
	}
	return nil
}
