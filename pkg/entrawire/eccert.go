package entrawire

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
)

// ErrECKey says that a public key is not on the one curve the protocol has.
var ErrECKey = errors.New("key is not on the curve P-256")

// ParseECCSR reads the certificate request of a device for version 4 of the
// protocol: as ParseCSR does, but with a key on P-256 and ECDSA with SHA-256.
func ParseECCSR(der []byte) (*x509.CertificateRequest, error) {
	return parseCSR(der, checkP256, x509.ECDSAWithSHA256)
}

// CreateECCSR makes such a request, for tests, tools and conformance runs.
func CreateECCSR(key *ecdsa.PrivateKey) ([]byte, error) {
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: CSRSubject}, SignatureAlgorithm: x509.ECDSAWithSHA256,
	}, key)
}

// ParseECDeviceCertificate reads the identity out of a device certificate as
// ParseDeviceCertificate does, but the key is on P-256.
func ParseECDeviceCertificate(cert *x509.Certificate) (DeviceIdentity, error) {
	return parseDeviceCertificate(cert, checkP256)
}

func checkP256(key any) error {
	if pub, ok := key.(*ecdsa.PublicKey); !ok || pub.Curve != elliptic.P256() {
		return ErrECKey
	}
	return nil
}

// parseCSR is what both kinds of certificate request have in common.
func parseCSR(der []byte, check func(key any) error, alg x509.SignatureAlgorithm) (*x509.CertificateRequest, error) {
	if len(der) > MaxCSR {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrCSR, MaxCSR)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("%w: not a PKCS#10 request", ErrCSR)
	}
	if cn, ok := onlyCommonName(csr.Subject); !ok || cn != CSRSubject {
		return nil, fmt.Errorf("%w: subject is not CN=%s", ErrCSR, CSRSubject)
	}
	if err := check(csr.PublicKey); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCSR, err)
	}
	if csr.SignatureAlgorithm != alg {
		return nil, fmt.Errorf("%w: signature algorithm is not %v", ErrCSR, alg)
	}
	if csr.CheckSignature() != nil {
		return nil, fmt.Errorf("%w: signature does not verify", ErrCSR)
	}
	return csr, nil
}
