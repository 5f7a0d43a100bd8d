// Package cardtest makes smart cards for tests: an authority, and cards whose
// certificates name a user principal name as those of Windows do.
//
// What lives here: certificates that good and bad cards have. What never may: anything
// that a component uses. Tests of the federation provider and of whole systems call it.
package cardtest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/wstrust"
)

// Authority issues cards.
type Authority struct {
	t    testing.TB
	key  *rsa.PrivateKey
	cert *x509.Certificate
	now  time.Time
}

// NewAuthority makes an authority that is valid for ten years around now.
func NewAuthority(t testing.TB, now time.Time) *Authority {
	t.Helper()
	a := &Authority{t: t, now: now}
	var err error
	if a.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Smart Card Authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: now.AddDate(-5, 0, 0), NotAfter: now.AddDate(5, 0, 0), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

// PEM of the authority's certificate.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// Card is a key with its certificate.
type Card struct {
	t     testing.TB
	key   *rsa.PrivateKey
	Chain [][]byte
}

// Issue makes a card for a user. change may spoil its certificate.
func (a *Authority) Issue(upn string, change ...func(*x509.Certificate)) Card {
	a.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: upn}, KeyUsage: x509.KeyUsageDigitalSignature,
		NotBefore: a.now.AddDate(-1, 0, 0), NotAfter: a.now.AddDate(1, 0, 0), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		ExtraExtensions: []pkix.Extension{AlternativeName(a.t, upn)},
	}
	for _, c := range change {
		c(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return Card{t: a.t, key: key, Chain: [][]byte{der}}
}

// TLS is the card as a browser shows it to a host that asks for a certificate.
func (c Card) TLS() tls.Certificate { return tls.Certificate{Certificate: c.Chain, PrivateKey: c.key} }

// AlternativeName is the extension with user principal names (otherName,
// szOID_NT_PRINCIPAL_NAME).
func AlternativeName(t testing.TB, upns ...string) pkix.Extension {
	t.Helper()
	type other struct {
		ID    asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	var names []asn1.RawValue
	for _, upn := range upns {
		text, err := asn1.MarshalWithParams(upn, "utf8")
		if err != nil {
			t.Fatal(err)
		}
		der, err := asn1.Marshal(other{asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3}, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: text}})
		if err != nil {
			t.Fatal(err)
		}
		var inner asn1.RawValue
		if _, err := asn1.Unmarshal(der, &inner); err != nil {
			t.Fatal(err)
		}
		names = append(names, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: inner.Bytes})
	}
	value, err := asn1.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: value}
}

// Prove makes a proof about a user.
func (c Card) Prove(upn string, now time.Time) wstrust.CertificateProof {
	c.t.Helper()
	p, err := wstrust.SignProof(c.key, c.Chain, upn, now)
	if err != nil {
		c.t.Fatal(err)
	}
	return p
}
