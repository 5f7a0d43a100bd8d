package saml11

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"
)

const (
	certificateLifetime = 365 * 24 * time.Hour
	// backdate lets a cloud whose clock is a little behind take the first
	// assertions.
	backdate = 10 * time.Minute
)

// SelfSigned makes a fresh token-signing key, RSA-2048, with a certificate of
// its own for one year. Nobody builds a chain to it: the cloud is told the
// certificate itself.
func SelfSigned(host string, now time.Time) (crypto.Signer, *x509.Certificate, error) {
	key, err := rsa.GenerateKey(rand.Reader, minRSABits)
	if err != nil {
		return nil, nil, fmt.Errorf("token-signing key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, fmt.Errorf("token-signing certificate: %w", err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)),
		Subject:      pkix.Name{CommonName: "Token Signing - " + host},
		NotBefore:    now.Add(-backdate),
		NotAfter:     now.Add(certificateLifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return nil, nil, fmt.Errorf("token-signing certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, fmt.Errorf("token-signing certificate: %w", err)
	}
	return key, cert, nil
}
