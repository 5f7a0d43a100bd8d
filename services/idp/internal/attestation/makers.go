package attestation

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

func oidSubjectAltName() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 5, 29, 17} }

// oidEKCertificate is tcg-kp-EKCertificate (TCG EK Credential Profile).
func oidEKCertificate() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 23, 133, 8, 1} }

// trusted is a maker with the pool of its issuers. Each maker has a pool of its
// own, so that no issuer of one lends itself to another.
type trusted struct {
	name       string
	protection store.Protection
	issuers    *x509.CertPool
}

func trust(makers []tenant.Maker) []trusted {
	var all []trusted
	for _, m := range makers {
		t := trusted{name: m.Name, protection: store.ProtectionEmulated, issuers: x509.NewCertPool()}
		if m.Kind == tenant.MakesHardware {
			t.protection = store.ProtectionHardware
		}
		for _, c := range m.Certificates {
			t.issuers.AddCert(c)
		}
		all = append(all, t)
	}
	return all
}

// verdict is whose TPM it is, as far as that is known.
type verdict struct {
	protection store.Protection
	// maker is the name of its maker, empty when nobody trusts it.
	maker string
}

// judge finds the maker of a TPM from the certificate of its endorsement key. A TPM
// without one, or by a maker whom nobody trusts, may be anything: its keys count as
// software. A certificate for another key is a forgery and an error.
func judge(makers []trusted, der []byte, ek crypto.PublicKey, now time.Time) (verdict, error) {
	unknown := verdict{protection: store.ProtectionSoftware}
	if len(der) == 0 {
		return unknown, nil
	}
	if len(der) > maxCertificate {
		return unknown, reason("endorsement certificate: is longer than %d bytes", maxCertificate)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return unknown, nil //nolint:nilerr // there are chips whose certificate is not X.509 to the letter: nobody vouches for them
	}
	key, ok := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !key.Equal(ek) {
		return unknown, reason("endorsement certificate: is for another key")
	}
	if !isEKCertificate(cert) {
		return unknown, nil
	}
	for _, m := range makers {
		// Which purposes a chain may have is not said for these certificates, but for
		// the purpose of the last, which isEKCertificate has judged.
		_, err := cert.Verify(x509.VerifyOptions{
			Roots: m.issuers, Intermediates: x509.NewCertPool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
		})
		if err == nil {
			return verdict{m.protection, m.name}, nil
		}
	}
	return unknown, nil
}

// isEKCertificate judges what crypto/x509 does not know about: the alternative name,
// which is critical and holds model and version of the TPM, is the one extension
// that it may leave unhandled, and a certificate that names purposes must name the
// endorsement of a TPM.
func isEKCertificate(c *x509.Certificate) bool {
	c.UnhandledCriticalExtensions = slices.DeleteFunc(c.UnhandledCriticalExtensions, oidSubjectAltName().Equal)
	named := len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) > 0
	return !c.IsCA && (!named || slices.ContainsFunc(c.UnknownExtKeyUsage, oidEKCertificate().Equal))
}
