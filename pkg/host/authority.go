package host

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
	"io/fs"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/durable"
)

// CAFile is the name of the authority's certificate in Config.StateDir.
const CAFile = "ca.pem"

// secretFile holds key and certificate of the authority, in one file so that
// neither can be there without the other.
const secretFile = "authority.pem"

const (
	caLife = 10 * 365 * 24 * time.Hour
	// leafLife is the longest that clients take from a server (CA/Browser Forum).
	leafLife = 397 * 24 * time.Hour
)

// authority signs the certificates of one laboratory. It is bound to the names of
// that laboratory by name constraints (RFC 5280 4.2.1.10): who steals its key
// cannot be the rest of the web to those who trust it.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func openAuthority(dir string, names []string) (*authority, error) {
	if dir == "" {
		return newAuthority(names)
	}
	path := filepath.Join(dir, secretFile)
	ca, err := loadAuthority(path)
	if errors.Is(err, fs.ErrNotExist) {
		if ca, err = newAuthority(names); err == nil {
			err = ca.save(path)
		}
	}
	if err != nil {
		return nil, err
	}
	if err := durable.WriteFile(filepath.Join(dir, CAFile), ca.pem(), nil); err != nil {
		return nil, err
	}
	return ca, nil
}

func newAuthority(names []string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	t, err := template("Lockstep lab CA "+time.Now().UTC().Format("2006-01-02 15:04:05"), caLife)
	if err != nil {
		return nil, err
	}
	t.IsCA, t.BasicConstraintsValid, t.MaxPathLenZero = true, true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	t.PermittedDNSDomainsCritical = true
	for _, n := range names {
		if ip := net.ParseIP(n); ip == nil {
			t.PermittedDNSDomains = append(t.PermittedDNSDomains, strings.TrimPrefix(n, "*."))
		} else if !ip.IsLoopback() {
			t.PermittedIPRanges = append(t.PermittedIPRanges, single(ip))
		}
	}
	// The reserved domain for tests can be given to nobody.
	t.PermittedDNSDomains = append(t.PermittedDNSDomains, "test")
	t.PermittedIPRanges = append(t.PermittedIPRanges,
		&net.IPNet{IP: net.IPv4(127, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)}, single(net.IPv6loopback))
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	return &authority{cert: cert, key: key}, nil
}

func single(ip net.IP) *net.IPNet {
	if v4 := ip.To4(); v4 != nil {
		return &net.IPNet{IP: v4, Mask: net.CIDRMask(32, 32)}
	}
	return &net.IPNet{IP: ip, Mask: net.CIDRMask(128, 128)}
}

func template(cn string, life time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("certificate serial: %w", err)
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: cn, Organization: []string{"Lockstep laboratory, not a real cloud"}},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(life),
	}, nil
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

func (a *authority) save(path string) error {
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return fmt.Errorf("certificate authority: %w", err)
	}
	return durable.WriteFile(path, append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), a.pem()...), nil)
}

func loadAuthority(path string) (*authority, error) {
	b, err := durable.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(b, b)
	if err != nil {
		return nil, fmt.Errorf("certificate authority in %s: %w", path, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	switch {
	case !ok || !pair.Leaf.IsCA:
		return nil, fmt.Errorf("certificate authority in %s is not one that was made here", path)
	case time.Now().After(pair.Leaf.NotAfter.Add(-leafLife)):
		return nil, fmt.Errorf("certificate authority in %s ends on %s: delete the file for a new one, which clients must be told to trust",
			path, pair.Leaf.NotAfter.Format(time.DateOnly))
	}
	return &authority{cert: pair.Leaf, key: key}, nil
}

// issue makes a server certificate. It is ECDSA because an RSA one makes every
// handshake twice as dear.
func (a *authority) issue(names []string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("server certificate: %w", err)
	}
	t, err := template(names[0], leafLife)
	if err != nil {
		return tls.Certificate{}, err
	}
	t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("server certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("server certificate: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots}); err != nil {
		return tls.Certificate{}, fmt.Errorf("the certificate authority may not sign for all of these names: delete %s for a new one, which clients must be told to trust: %w", secretFile, err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}
