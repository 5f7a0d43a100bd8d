// Package certificatetest issues certificates that persons sign in with, for tests,
// and bends them.
//
// What lives here: authorities on P-256, principal names in the form that Windows
// writes. What never may: code of the room that judges them.
package certificatetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// Authority issues certificates.
type Authority struct {
	Certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	now         time.Time
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// New makes a root whose certificates are good around now.
func New(t testing.TB, name string, now time.Time, bend ...func(*x509.Certificate)) *Authority {
	t.Helper()
	return newAuthority(t, name, now, nil, bend)
}

// Under makes an authority below another.
func (a *Authority) Under(t testing.TB, name string, bend ...func(*x509.Certificate)) *Authority {
	t.Helper()
	return newAuthority(t, name, a.now, a, bend)
}

func newAuthority(t testing.TB, name string, now time.Time, by *Authority, bend []func(*x509.Certificate)) *Authority {
	t.Helper()
	a := &Authority{key: newKey(t), now: now}
	c := template(t, name, now)
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	for _, b := range bend {
		b(c)
	}
	signer := by
	if by == nil {
		signer = &Authority{Certificate: c, key: a.key}
	}
	a.Certificate = sign(t, c, signer, &a.key.PublicKey)
	return a
}

// PEM is the authority's certificate.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate.Raw})
}

// Issue makes the certificate of a person with principal names, DER, and its key.
func (a *Authority) Issue(t testing.TB, upns []string, bend ...func(*x509.Certificate)) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key := newKey(t)
	c := template(t, "A person", a.now)
	c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if len(upns) > 0 {
		c.ExtraExtensions = append(c.ExtraExtensions, Principals(t, upns...))
	}
	for _, b := range bend {
		b(c)
	}
	return create(t, c, a, &key.PublicKey), key
}

// Principals is a subject alternative name of principal names alone.
func Principals(t testing.TB, upns ...string) pkix.Extension {
	t.Helper()
	var all []asn1.RawValue
	for _, upn := range upns {
		name, err := asn1.MarshalWithParams(struct {
			Type  asn1.ObjectIdentifier
			Value string `asn1:"tag:0,explicit,utf8"`
		}{asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3}, upn}, "tag:0")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, asn1.RawValue{FullBytes: name})
	}
	der, err := asn1.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: true, Value: der}
}

func template(t testing.TB, name string, now time.Time) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		t.Fatal(err)
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
	}
}

func sign(t testing.TB, c *x509.Certificate, by *Authority, public *ecdsa.PublicKey) *x509.Certificate {
	t.Helper()
	out, err := x509.ParseCertificate(create(t, c, by, public))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func create(t testing.TB, c *x509.Certificate, by *Authority, public *ecdsa.PublicKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, by.Certificate, public, by.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
