// Package tpmca is the maker of emulated TPMs: a certificate authority that
// certifies endorsement keys (EK), and the steps by which a maker leaves a TPM
// with its EK certificate inside and its platform hierarchy closed.
//
// What lives here: the authority, made and kept in a folder; EK certificates as
// the TCG EK Credential Profile wants them; writing them to and reading them
// from a TPM. What never may: a name that could be taken for a maker of
// hardware. Every certificate says SOFT and "emulated", whatever the TPM says
// of itself, so that a relying party which trusts this root still knows that it
// trusts a program. The authority's key lies in a file; who reads it makes
// TPMs.
//
// Callers: the tpm-agent that opens a TPM in software, and tools/softtpm.
// Reading a certificate ([EKCertificate]) works with any TPM.
package tpmca

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/durable"
)

// Name is the common name of the root, which no maker of hardware has.
const Name = "Lockstep emulated TPM CA"

// fileName holds key and certificate together, so that neither is ever there
// without the other.
const fileName = "emulated-tpm-ca.pem"

const (
	pemKey         = "PRIVATE KEY"
	pemCertificate = "CERTIFICATE"
)

// CA certifies the endorsement keys of emulated TPMs. It is safe for concurrent
// use.
type CA struct {
	key  *ecdsa.PrivateKey
	root *x509.Certificate
}

// Format keeps the key out of logs, whatever the verb.
func (*CA) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "tpmca.CA{...}") }

// Open reads the authority in the folder dir, or makes one there: a P-256 root
// and its key in the file emulated-tpm-ca.pem, mode 0600, written whole or not
// at all. Of two processes that make one at the same time, one does and both
// get it. Errors name the file and what to do.
func Open(dir string) (*CA, error) {
	path := filepath.Join(dir, fileName)
	c, err := load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return c, err
	}
	content, err := newRoot()
	if err != nil {
		return nil, err
	}
	if err := create(path, content); err != nil {
		return nil, fmt.Errorf("tpmca: cannot create %s: make its folder writable: %w", path, err)
	}
	return load(path)
}

// create puts a file in place unless there is one already.
func create(path string, content []byte) error {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	fresh := path + "." + hex.EncodeToString(id[:])
	if err := durable.WriteFile(fresh, content, nil); err != nil {
		return err
	}
	// A rename would replace what another process just made and uses.
	err := os.Link(fresh, path)
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	return errors.Join(err, durable.Remove(fresh)) // Remove also makes the link durable
}

// load reads the file and believes nothing in it that it can check.
func load(path string) (*CA, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("tpmca: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("tpmca: %s has mode %#o and others can reach the key: chmod 600 it", path, mode)
	}
	b, err := durable.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("tpmca: cannot read %s: check its owner and mode: %w", path, err)
	}
	c, err := parse(b)
	if err != nil {
		return nil, fmt.Errorf("tpmca: %s: %w: restore it from a backup, or move it away to start with a new authority (TPMs of the old one are then unknown)", path, err)
	}
	return c, nil
}

func parse(b []byte) (*CA, error) {
	keyBlock, b := pem.Decode(b)
	if keyBlock == nil || keyBlock.Type != pemKey {
		return nil, errors.New("does not begin with a private key in PEM")
	}
	rootBlock, b := pem.Decode(b)
	if rootBlock == nil || rootBlock.Type != pemCertificate || len(bytes.TrimSpace(b)) > 0 {
		return nil, errors.New("holds something else than a key and a certificate in PEM")
	}
	k, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, errors.New("the key is damaged") // the cause could tell of the key
	}
	key, ok := k.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("the key is not of P-256")
	}
	root, err := x509.ParseCertificate(rootBlock.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the certificate is damaged: %w", err)
	}
	if !key.PublicKey.Equal(root.PublicKey) {
		return nil, errors.New("key and certificate do not belong together")
	}
	if root.Subject.CommonName != Name || !root.IsCA {
		return nil, fmt.Errorf("the certificate is not that of %q", Name)
	}
	if err := root.CheckSignatureFrom(root); err != nil {
		return nil, fmt.Errorf("the certificate is not signed by itself: %w", err)
	}
	return &CA{key: key, root: root}, nil
}

// newRoot makes a key and its certificate, in PEM.
func newRoot() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("tpmca: new key: %w", err)
	}
	subject := pkix.Name{CommonName: Name, Organization: []string{"Lockstep"}, OrganizationalUnit: []string{"Keys in process memory, no hardware"}}
	from, to := validity()
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial(), Subject: subject, Issuer: subject, NotBefore: from, NotAfter: to,
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, &x509.Certificate{Subject: subject}, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("tpmca: new root: %w", err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("tpmca: new key: %w", err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: pkcs8}),
		pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: der})...), nil
}

// Root is the certificate that relying parties trust. The caller does not
// change it.
func (c *CA) Root() *x509.Certificate { return c.root }

// RootPEM is Root in PEM, without the key.
func (c *CA) RootPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: c.root.Raw})
}

// validity is the life of a certificate. An EK has no end, and RFC 5280
// section 4.1.2.5 writes that as the last second of the year 9999. The day
// before now allows for clocks that differ.
func validity() (from, to time.Time) {
	return time.Now().Add(-24 * time.Hour).UTC(), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
}

// serial is a positive random number of at most 127 bits.
func serial() *big.Int {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b[:])
}
