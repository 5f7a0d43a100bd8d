package entrawire

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"
)

func TestRSA1Blob(t *testing.T) {
	k := newRSA(t)
	blob, err := MarshalRSA1(&k.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if len(blob) != 283 || !strings.HasPrefix(base64.StdEncoding.EncodeToString(blob), "UlNBMQAIAAADAAAAAAEAAAAAAAAAAAAAAQAB") {
		t.Errorf("blob of %d bytes begins %x", len(blob), blob[:27])
	}
	pub, err := ParseRSA1(blob)
	if err != nil || !pub.Equal(&k.PublicKey) {
		t.Errorf("parse: %v", err)
	}
	for i := range 27 {
		bad := bytes.Clone(blob)
		bad[i] ^= 1
		if _, err := ParseRSA1(bad); !errors.Is(err, ErrRSA1) {
			t.Errorf("header byte %d changed: %v", i, err)
		}
	}
	short, even := bytes.Clone(blob), bytes.Clone(blob)
	short[27] &= 0x7F
	even[282] &= 0xFE
	for name, bad := range map[string][]byte{"empty": nil, "cut": blob[:282], "one more": append(bytes.Clone(blob), 0), "2047 bits": short, "even modulus": even} {
		if _, err := ParseRSA1(bad); !errors.Is(err, ErrRSA1) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := MarshalRSA1(&rsa.PublicKey{N: k.N, E: 3}); !errors.Is(err, ErrRSAKey) {
		t.Errorf("exponent 3: %v", err)
	}
}

func TestCSR(t *testing.T) {
	k := newRSA(t)
	der, err := CreateCSR(k)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := ParseCSR(der)
	if err != nil || !k.PublicKey.Equal(csr.PublicKey) {
		t.Fatalf("parse: %v", err)
	}
	subject := pkix.Name{CommonName: CSRSubject}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	build := func(name pkix.Name, alg x509.SignatureAlgorithm, signer crypto.Signer) []byte {
		t.Helper()
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: name, SignatureAlgorithm: alg}, signer)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	forged := bytes.Clone(der)
	forged[len(forged)-1] ^= 1
	for name, bad := range map[string][]byte{
		"empty":              nil,
		"garbage":            []byte("not DER"),
		"trailing byte":      append(bytes.Clone(der), 0),
		"more than 8 KiB":    append(bytes.Clone(der), bytes.Repeat([]byte{0}, 8<<10)...),
		"another name":       build(pkix.Name{CommonName: "DESKTOP-1"}, x509.SHA256WithRSA, k),
		"name in lower case": build(pkix.Name{CommonName: strings.ToLower(CSRSubject)}, x509.SHA256WithRSA, k),
		"no name":            build(pkix.Name{}, x509.SHA256WithRSA, k),
		"more than a name":   build(pkix.Name{CommonName: CSRSubject, Organization: []string{"Contoso"}}, x509.SHA256WithRSA, k),
		"two names":          build(pkix.Name{CommonName: CSRSubject, ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: CSRSubject}, {Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "x"}}}, x509.SHA256WithRSA, k),
		"SHA-384":            build(subject, x509.SHA384WithRSA, k),
		"PSS":                build(subject, x509.SHA256WithRSAPSS, k),
		"RSA-1024":           build(subject, x509.SHA256WithRSA, small),
		"elliptic curve":     build(subject, x509.ECDSAWithSHA256, ec),
		"signature changed":  forged,
	} {
		if _, err := ParseCSR(bad); !errors.Is(err, ErrCSR) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := CreateCSR(ec); !errors.Is(err, ErrRSAKey) {
		t.Errorf("request for an elliptic curve key: %v", err)
	}
}

func deviceCert(t *testing.T, k *rsa.PrivateKey, cn pkix.Name, ext []pkix.Extension) *x509.Certificate {
	t.Helper()
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: cn, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0), ExtraExtensions: ext}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestDeviceCertificate(t *testing.T) {
	k := newRSA(t)
	ext, err := DeviceExtensions(someDevice, someUser, someTenant, JoinJoined)
	if err != nil {
		t.Fatal(err)
	}
	// 0b1d3c5e-7f90-4a2b-... in the order of Windows, as an octet string.
	if want := "04105e3c1d0b907f2b4a8c4d6e8f0a1b2c3d"; hexOf(ext[0].Value) != want {
		t.Errorf("device id extension %x, want %s", ext[0].Value, want)
	}
	if ext[3].Id.String() != "1.2.840.113556.1.5.284.7" || hexOf(ext[3].Value) != "040131" {
		t.Errorf("join type extension %v %x", ext[3].Id, ext[3].Value)
	}
	region, err := RegionExtension("EU")
	if err != nil {
		t.Fatal(err)
	}
	name := pkix.Name{CommonName: someDevice}
	got, err := ParseDeviceCertificate(deviceCert(t, k, name, append(ext[:4:4], region)))
	want := DeviceIdentity{DeviceID: someDevice, UserID: someUser, TenantID: someTenant, JoinType: JoinJoined, Region: "EU"}
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	with := func(i int, value []byte) []pkix.Extension {
		e := append([]pkix.Extension(nil), ext...)
		e[i].Value = value
		return e
	}
	for what, cert := range map[string]*x509.Certificate{
		"subject of another device": deviceCert(t, k, pkix.Name{CommonName: someUser}, ext),
		"subject in upper case":     deviceCert(t, k, pkix.Name{CommonName: strings.ToUpper(someDevice)}, ext),
		"subject with more":         deviceCert(t, k, pkix.Name{CommonName: someDevice, Country: []string{"DE"}}, ext),
		"no subject":                deviceCert(t, k, pkix.Name{}, ext),
		"no extensions":             deviceCert(t, k, name, nil),
		"no tenant":                 deviceCert(t, k, name, append(ext[:2:2], ext[3])),
		"no user":                   deviceCert(t, k, name, append(ext[:1:1], ext[2:]...)),
		"no join type":              deviceCert(t, k, name, ext[:3]),
		"unknown join type":         deviceCert(t, k, name, with(3, []byte{4, 1, '7'})),
		"raw device id":             deviceCert(t, k, name, with(0, ext[0].Value[2:])),
		"short device id":           deviceCert(t, k, name, with(0, append([]byte{4, 15}, ext[0].Value[2:17]...))),
		"trailing byte":             deviceCert(t, k, name, with(0, append(bytes.Clone(ext[0].Value), 0))),
	} {
		if id, err := ParseDeviceCertificate(cert); !errors.Is(err, ErrDeviceCertificate) || id != (DeviceIdentity{}) {
			t.Errorf("%s: %+v, %v", what, id, err)
		}
	}
	for _, bad := range [][3]string{{"x", someUser, someTenant}, {someDevice, "", someTenant}, {someDevice, someUser, someTenant + "0"}} {
		if _, err := DeviceExtensions(bad[0], bad[1], bad[2], JoinJoined); err == nil {
			t.Errorf("extensions for %v", bad)
		}
	}
	if _, err := DeviceExtensions(someDevice, someUser, someTenant, "6"); err == nil {
		t.Error("extensions for join type 6")
	}
	if _, err := RegionExtension(strings.Repeat("x", 17)); err == nil {
		t.Error("region of 17 bytes")
	}
}
