package issuance

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"

	"github.com/google/uuid"
)

const (
	// deviceYears is the validity of a device certificate, authorityYears that of
	// the authority, which has to outlive every certificate it issues.
	deviceYears, authorityYears = 10, 30
	// backdate makes a certificate good on machines whose clock runs behind.
	backdate = 10 * time.Minute
	// authorityName is the common name of every tenant's device authority; the OU
	// beside it tells them apart.
	authorityName = "MS-Organization-Access"
)

// DrawKey makes the key of a tenant's device authority: RSA of 2048 bits, and
// another one for every tenant.
type DrawKey func(ids.TenantID) (*rsa.PrivateKey, error)

func drawKey(ids.TenantID) (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, rsaBits) }

// deviceCA issues the device certificates of one tenant. Each tenant has its
// own key, so that a certificate of one never chains in another.
type deviceCA struct {
	key   *rsa.PrivateKey
	cert  *x509.Certificate
	roots *x509.CertPool
}

func newDeviceCA(t ids.TenantID, draw DrawKey, now time.Time) (*deviceCA, error) {
	key, err := draw(t)
	if err != nil {
		return nil, err
	}
	der, err := authorityCertificate(key, now)
	if err != nil {
		return nil, err
	}
	return deviceCAOf(key, der)
}

func authorityCertificate(key *rsa.PrivateKey, now time.Time) ([]byte, error) {
	serial, err := serialNumber()
	if err != nil {
		return nil, err
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial, Subject: authoritySubject(uuid.NewString()),
		NotBefore: now.Add(-backdate), NotAfter: now.AddDate(authorityYears, 0, 0),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	return x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
}

func deviceCAOf(key *rsa.PrivateKey, der []byte) (*deviceCA, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return &deviceCA{key: key, cert: cert, roots: roots}, nil
}

// authoritySubject is the name that clients look for in the issuer of a device
// certificate: DC=net, DC=windows, CN=MS-Organization-Access, OU=<guid>.
func authoritySubject(unit string) pkix.Name {
	ia5 := func(s string) asn1.RawValue { return asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte(s)} }
	component := asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25} // RFC 4519 2.4
	return pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{
		{Type: component, Value: ia5("net")}, {Type: component, Value: ia5("windows")},
		{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: authorityName}, {Type: asn1.ObjectIdentifier{2, 5, 4, 11}, Value: unit},
	}}
}

// DeviceCertificate issues a device certificate, DER (protocol: subject CN is
// the device id and nothing else, client authentication, ten years). The key is
// the one that signed the certificate request, RSA or on P-256.
func (a *Authority) DeviceCertificate(id entrawire.DeviceIdentity, pub crypto.PublicKey) ([]byte, error) {
	ca, ok := a.deviceCA(id.TenantID)
	if !ok {
		return nil, fmt.Errorf("tenant has no device authority")
	}
	exts, err := entrawire.DeviceExtensions(string(id.DeviceID), string(id.UserID), string(id.TenantID), id.JoinType)
	if err != nil {
		return nil, err
	}
	if id.Region != "" {
		region, err := entrawire.RegionExtension(id.Region)
		if err != nil {
			return nil, err
		}
		exts = append(exts, region)
	}
	serial, err := serialNumber()
	if err != nil {
		return nil, err
	}
	now := a.clock.Now()
	return x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: string(id.DeviceID)}, NotBefore: now.Add(-backdate), NotAfter: now.AddDate(deviceYears, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true, ExtraExtensions: exts,
	}, ca.cert, pub, ca.key)
}

// CheckDeviceCertificate reads a certificate that a request brought: it must
// chain to the device authority of the tenant it names and be in its validity.
// That it is still the one in force is for the directory to say. Every failure
// is AADSTS50155.
func (a *Authority) CheckDeviceCertificate(der []byte) (entrawire.DeviceIdentity, *x509.Certificate, error) {
	refused := prterr.AADSTS(aadsts.DeviceAuthenticationFailed, "")
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return entrawire.DeviceIdentity{}, nil, refused
	}
	read := entrawire.ParseDeviceCertificate
	if cert.PublicKeyAlgorithm == x509.ECDSA {
		read = entrawire.ParseECDeviceCertificate
	}
	id, err := read(cert)
	if err != nil {
		return entrawire.DeviceIdentity{}, nil, refused
	}
	// The tenant is the certificate's own word here; the chain then proves it,
	// because each tenant has a key of its own.
	ca, ok := a.deviceCA(id.TenantID)
	if !ok {
		return entrawire.DeviceIdentity{}, nil, refused
	}
	_, err = cert.Verify(x509.VerifyOptions{Roots: ca.roots, CurrentTime: a.clock.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return entrawire.DeviceIdentity{}, nil, refused
	}
	return id, cert, nil
}

// DeviceAuthority is the certificate that a tenant's device certificates chain
// to, DER.
func (a *Authority) DeviceAuthority(t ids.TenantID) ([]byte, bool) {
	ca, ok := a.deviceCA(t)
	if !ok {
		return nil, false
	}
	return ca.cert.Raw, true
}

func serialNumber() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
}
