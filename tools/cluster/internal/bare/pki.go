package bare

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// lifetime of the certificates; a run takes minutes.
const lifetime = 24 * time.Hour

// pki is an authority for the two servers and the clients of one run. Whoever else is
// on the machine reaches their ports, so both ask for a certificate.
type pki struct {
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

// newPKI makes the authority and writes its certificate to ca.pem.
func newPKI(dir string) (*pki, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("key of the authority: %w", err)
	}
	form, err := template("bare authority")
	if err != nil {
		return nil, err
	}
	form.IsCA, form.BasicConstraintsValid, form.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("certificate of the authority: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("certificate of the authority: %w", err)
	}
	p := &pki{dir: dir, key: key, cert: cert}
	return p, p.write("ca.pem", "CERTIFICATE", der)
}

func template(name string, groups ...string) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("serial number: %w", err)
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name, Organization: groups},
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().Add(lifetime),
	}, nil
}

// issue writes FILE.pem and FILE.key for a name; Kubernetes takes the common name for
// the user and the organisations for the groups.
func (p *pki) issue(file, name string, groups ...string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("key of %s: %w", name, err)
	}
	form, err := template(name, groups...)
	if err != nil {
		return err
	}
	form.KeyUsage = x509.KeyUsageDigitalSignature
	form.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	form.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	form.DNSNames = []string{"localhost"}
	der, err := x509.CreateCertificate(rand.Reader, form, p.cert, key.Public(), p.key)
	if err != nil {
		return fmt.Errorf("certificate of %s: %w", name, err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("key of %s: %w", name, err)
	}
	if err := p.write(file+".key", "PRIVATE KEY", private); err != nil {
		return err
	}
	return p.write(file+".pem", "CERTIFICATE", der)
}

func (p *pki) write(file, kind string, der []byte) error {
	if err := os.WriteFile(p.path(file), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}

func (p *pki) path(file string) string { return filepath.Join(p.dir, file) }
