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

// DeviceSigner signs with the device key, in the TPM. It is a crypto.Signer for
// payloads that the agent builds itself; it never reaches a caller of the agent.
type DeviceSigner struct {
	store  *Store
	ctx    context.Context //nolint:containedctx // crypto.Signer has no room for it, and a signer lives for one call
	set    *keySet
	public *rsa.PublicKey
}

// Device returns a signer for the installed identity and its certificate.
func (s *Store) Device(ctx context.Context) (*DeviceSigner, []byte, error) {
	set, err := s.current()
	if err != nil {
		return nil, nil, err
	}
	signer, err := s.signer(ctx, set)
	return signer, set.Certificate, err
}

func (s *Store) signer(ctx context.Context, set *keySet) (*DeviceSigner, error) {
	public, err := set.Device.rsaKey()
	if err != nil {
		return nil, err
	}
	return &DeviceSigner{s, ctx, set, public}, nil
}

// Public is dkpub.
func (d *DeviceSigner) Public() crypto.PublicKey { return d.public }

// Sign signs a SHA-256 digest, PKCS#1 v1.5; the key can do nothing else.
func (d *DeviceSigner) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if _, pss := opts.(*rsa.PSSOptions); pss || opts.HashFunc() != crypto.SHA256 || len(digest) != crypto.SHA256.Size() {
		return nil, errors.New("the device key signs SHA-256 with PKCS#1 v1.5 only")
	}
	auth := d.store.authDK(d.set)
	defer auth.Wipe()
	var signature []byte
	err := d.store.run(d.ctx, "sign with the device key", func(c *tpmio.Conn) error {
		if err := d.store.sameRoot(d.set); err != nil {
			return err
		}
		key, err := d.store.load(c, d.set.Device)
		if err != nil {
			return err
		}
		signature, err = c.SignRSA(key, auth.Reveal(), digest)
		return err
	})
	return bytes.Clone(signature), err
}

// sameRoot tells a TPM that was cleared or replaced, which loses every key, from
// one damaged blob; it runs with the TPM.
func (s *Store) sameRoot(set *keySet) error {
	if !bytes.Equal(set.Root, s.root.name.Buffer) {
		return tpmio.KeysLost("the TPM was cleared or replaced")
	}
	return nil
}
