package rpc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials"
)

// trustDomain is the host of the SPIFFE-style names in certificates.
const trustDomain = "lockstep"

// identityLife bounds a certificate made here: these are certificates of a
// laboratory, a cluster brings its own.
const identityLife = 397 * 24 * time.Hour

var errNoIdentity = errors.New("the peer has no component identity")

// CA is a throw-away authority for the components of one deployment.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewCA makes an authority with a fresh key that exists only in this process.
func NewCA() (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("component authority: %w", err)
	}
	t, err := template("Lockstep component authority")
	if err != nil {
		return nil, err
	}
	t.IsCA, t.BasicConstraintsValid, t.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("component authority: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("component authority: %w", err)
	}
	return &CA{cert: cert, key: key}, nil
}

// Identity is what a component shows to others and what it trusts. One that was loaded
// from a folder follows it: see LoadIdentity.
type Identity struct {
	// Name of the component, such as "tpm-agent".
	Name    string
	current atomic.Pointer[material]
	folder  *folder
}

// material is one state of an identity, which does not change.
type material struct {
	cert tls.Certificate
	// roots are what authorities bundles in PEM.
	roots       *x509.CertPool
	authorities []byte
	// serving is made once, so that all connections of one state share their session
	// tickets, and those of another state are worth nothing.
	serving credentials.TransportCredentials
}

func newMaterial(cert tls.Certificate, authorities []byte) (*material, error) {
	roots, err := parseAuthorities(authorities)
	if err != nil {
		return nil, err
	}
	return &material{cert: cert, roots: roots, authorities: authorities, serving: credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert},
		ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert,
	})}, nil
}

// Issue makes the identity of one component.
func (ca *CA) Issue(name string) (*Identity, error) {
	if !validName(name) {
		return nil, fmt.Errorf("component name %q: use lower-case letters, digits and dashes", name)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("identity of %s: %w", name, err)
	}
	t, err := template(name)
	if err != nil {
		return nil, err
	}
	t.DNSNames = []string{name}
	t.URIs = []*url.URL{{Scheme: "spiffe", Host: trustDomain, Path: "/" + name}}
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	der, err := x509.CreateCertificate(rand.Reader, t, ca.cert, &key.PublicKey, ca.key)
	if err != nil {
		return nil, fmt.Errorf("identity of %s: %w", name, err)
	}
	m, err := newMaterial(tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw}))
	if err != nil {
		return nil, fmt.Errorf("identity of %s: %w", name, err)
	}
	id := &Identity{Name: name}
	id.current.Store(m)
	return id, nil
}

func template(cn string) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("certificate serial: %w", err)
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: cn},
		NotBefore: now.Add(-time.Minute), NotAfter: now.Add(identityLife),
	}, nil
}

// validName keeps names usable as DNS name, file name and path of a URI: a lower-case
// letter, then at most 62 letters, digits and dashes. Every call of every component
// passes here, which is why it is not a regular expression.
func validName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if !('a' <= c && c <= 'z' || i > 0 && ('0' <= c && c <= '9' || c == '-')) {
			return false
		}
	}
	return name != "" && len(name) <= 63
}

// componentName reads the name out of a verified certificate: exactly one URI,
// ours. The common name and DNS names are not looked at.
func componentName(cert *x509.Certificate) (string, error) {
	if len(cert.URIs) != 1 {
		return "", errNoIdentity
	}
	u := cert.URIs[0]
	name := strings.TrimPrefix(u.Path, "/")
	if u.Scheme != "spiffe" || u.Host != trustDomain || !validName(name) {
		return "", errNoIdentity
	}
	return name, nil
}
