// Package authority keeps one authority for each namespace in a folder, and issues the
// certificates that components know each other by.
//
// The keys are files of mode 0600 in that folder, which lies on a volume of the signer;
// they are never in an object of the cluster, where backups and readers of Secrets would
// find them. Callers are the signer and the bootstrap.
package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"time"
)

// trustDomain is the host of the names in certificates.
const trustDomain = "lockstep"

const (
	// caLife is the life of an authority. It cannot be renewed under the same key, so it
	// outlives what it is for.
	caLife = 10 * 365 * 24 * time.Hour
	// backdate allows for clocks that are behind; the API server allows five minutes.
	backdate = time.Minute
)

// Authority is that of one namespace.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// PEM is the authority's certificate.
func (a *Authority) PEM() []byte { return certPEM(a.cert.Raw) }

// Issued is one certificate.
type Issued struct {
	PEM  []byte
	Leaf *x509.Certificate
}

// Issue makes the certificate of a component, for a life of that many whole seconds. Only
// keys on P-256 are taken.
func (a *Authority) Issue(name string, key *ecdsa.PublicKey, now time.Time, life time.Duration) (*Issued, error) {
	if key == nil || key.Curve != elliptic.P256() {
		return nil, errors.New("the key is not on P-256")
	}
	from := now.Add(-backdate).UTC().Truncate(time.Second)
	t, err := template(name, from, from.Add(life.Truncate(time.Second)))
	if err != nil {
		return nil, err
	}
	if t.NotAfter.After(a.cert.NotAfter) {
		return nil, fmt.Errorf("the authority ends at %s, before the certificate would", a.cert.NotAfter.Format(time.RFC3339))
	}
	t.DNSNames = []string{name}
	t.URIs = []*url.URL{{Scheme: "spiffe", Host: trustDomain, Path: "/" + name}}
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, key, a.key)
	if err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", name, err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", name, err)
	}
	return &Issued{PEM: certPEM(der), Leaf: leaf}, nil
}

// Made reports whether the authority issued a certificate.
func (a *Authority) Made(leaf *x509.Certificate) bool { return leaf.CheckSignatureFrom(a.cert) == nil }

// generate makes an authority. Its certificate says that it may name components of this
// domain alone, and no other authority.
func generate(namespace string, now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t, err := template("Lockstep component authority of "+namespace, now.Add(-backdate), now.Add(caLife))
	if err != nil {
		return nil, err
	}
	t.IsCA, t.BasicConstraintsValid, t.MaxPathLenZero = true, true, true
	t.KeyUsage = x509.KeyUsageCertSign
	t.PermittedURIDomains, t.PermittedDNSDomainsCritical = []string{trustDomain}, true
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &Authority{cert: cert, key: key}, err
}

func template(cn string, from, to time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("certificate serial: %w", err)
	}
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: cn}, NotBefore: from, NotAfter: to}, nil
}

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
