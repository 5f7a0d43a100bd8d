// Package attestationtest makes what attestation is tested with: makers of TPMs,
// and TPMs that lie.
//
// What lives here: a certificate authority for endorsement keys, and a Rogue, which
// speaks like a TPM about keys that are in no TPM. It is what a trusted maker could
// sell, and so it is also how a test has a device with keys in memory registered
// where attested keys are demanded. What never may: a shortcut into the verifier.
// Tests of the identity provider call it. Real exchanges, with a TPM in software
// and with swtpm, stand beside it wherever it is used to show what is taken.
package attestationtest

import (
	"crypto"
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

// Maker is a maker of TPMs: an authority that issues endorsement certificates. They
// are valid from the year 2000 to 2100, whatever clock a test has.
type Maker struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func from() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }
func to() time.Time   { return time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC) }

// NewMaker makes an authority. It panics when the machine cannot.
func NewMaker(name string) *Maker {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: from(), NotAfter: to(),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, root, root, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return &Maker{cert, key}
}

// PEM is the certificate of the authority.
func (m *Maker) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.cert.Raw})
}

// Certificate issues an endorsement certificate in DER, as the makers of TPMs write
// them: an empty subject, manufacturer, model and version in a critical alternative
// name, the purpose of the TCG. Change may spoil it.
func (m *Maker) Certificate(t testing.TB, ek crypto.PublicKey, change func(*x509.Certificate)) []byte {
	t.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: from(), NotAfter: to(), KeyUsage: x509.KeyUsageKeyAgreement, BasicConstraintsValid: true,
		UnknownExtKeyUsage: []asn1.ObjectIdentifier{{2, 23, 133, 8, 1}},
		ExtraExtensions:    []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: true, Value: alternativeName(t)}},
	}
	if change != nil {
		change(c)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, m.cert, ek, m.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// alternativeName is a directory name with the attributes of the TCG EK profile.
func alternativeName(t testing.TB) []byte {
	t.Helper()
	var rdn pkix.RDNSequence
	for i, v := range []string{"id:4C4B5354", "rogue", "id:1"} {
		rdn = append(rdn, pkix.RelativeDistinguishedNameSET{{Type: asn1.ObjectIdentifier{2, 23, 133, 2, i + 1}, Value: v}})
	}
	raw, err := asn1.Marshal(rdn)
	if err != nil {
		t.Fatal(err)
	}
	name, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true, Bytes: raw})
	if err != nil {
		t.Fatal(err)
	}
	all, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: name})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
