package entrawire

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
)

// CSRSubject is the common name in every device's certificate request. The
// device has no name yet; the certificate gets its real subject from the issuer.
const CSRSubject = "7E980AD9-B86D-4306-9425-9AC066FB014A"

// MaxCSR is the size of the largest certificate request, in bytes.
const MaxCSR = 8 << 10

// ErrCSR is wrapped by every error about a certificate request.
var ErrCSR = errors.New("certificate request is not taken")

// ParseCSR reads the certificate request of a device: DER PKCS#10 of at most 8
// KiB, the fixed subject alone, an RSA-2048 key, and a SHA256-RSA signature by
// that key, which is the proof that the device holds it.
func ParseCSR(der []byte) (*x509.CertificateRequest, error) {
	return parseCSR(der, checkRSAKey, x509.SHA256WithRSA)
}

func checkRSAKey(key any) error {
	pub, ok := key.(*rsa.PublicKey)
	if !ok {
		return ErrRSAKey
	}
	return checkRSA2048(pub)
}

// CreateCSR makes such a request. The signer may be a key in a TPM.
func CreateCSR(signer crypto.Signer) ([]byte, error) {
	pub, ok := signer.Public().(*rsa.PublicKey)
	if !ok {
		return nil, ErrRSAKey
	}
	if err := checkRSA2048(pub); err != nil {
		return nil, err
	}
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:            pkix.Name{CommonName: CSRSubject},
		SignatureAlgorithm: x509.SHA256WithRSA,
	}, signer)
}

// onlyCommonName answers the common name of a subject that has nothing else.
func onlyCommonName(n pkix.Name) (string, bool) {
	if len(n.Names) != 1 || !n.Names[0].Type.Equal(asn1.ObjectIdentifier{2, 5, 4, 3}) {
		return "", false
	}
	return n.CommonName, n.CommonName != ""
}
