package tpmca_test

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
	"github.com/lockstep-sso/lockstep/pkg/tpmca"
)

// endorsement is the EK of a TPM in software.
func endorsement(t testing.TB, template tpm2.TPMTPublic) *tpm2.TPMTPublic {
	t.Helper()
	tpm, err := softtpm.New(softtpm.Config{})
	ok(t, err)
	defer func() { _ = tpm.Close() }()
	_, err = tpm2.Startup{StartupType: tpm2.TPMSUClear}.Execute(tpm)
	ok(t, err)
	r, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHEndorsement, InPublic: tpm2.New2B(template)}.Execute(tpm)
	ok(t, err)
	pub, err := r.OutPublic.Contents()
	ok(t, err)
	return pub
}

// verify checks a certificate as a relying party does.
func verify(t testing.TB, der []byte, ca *tpmca.CA, key crypto.PublicKey) *x509.Certificate {
	t.Helper()
	cert, err := x509.ParseCertificate(der)
	ok(t, err)
	if len(cert.UnhandledCriticalExtensions) != 1 || cert.UnhandledCriticalExtensions[0].String() != "2.5.29.17" {
		t.Fatalf("critical extensions that Go does not know: %v", cert.UnhandledCriticalExtensions)
	}
	cert.UnhandledCriticalExtensions = nil // the name of the TPM, which the caller reads
	roots := x509.NewCertPool()
	roots.AddCert(ca.Root())
	_, err = cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	ok(t, err)
	if pub, is := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !is || !pub.Equal(key) {
		t.Error("the certificate is for another key")
	}
	return cert
}

func publicKey(t testing.TB, ek *tpm2.TPMTPublic) crypto.PublicKey {
	t.Helper()
	if ek.Type == tpm2.TPMAlgRSA {
		pub, err := tpm2.Pub(*ek)
		ok(t, err)
		return pub
	}
	parms, err := ek.Parameters.ECCDetail()
	ok(t, err)
	point, err := ek.Unique.ECC()
	ok(t, err)
	pub, err := tpm2.ECDSAPub(parms, point)
	ok(t, err)
	return pub
}

func TestCertify(t *testing.T) {
	ca := open(t, t.TempDir())
	for _, c := range []struct {
		name     string
		template tpm2.TPMTPublic
		usage    x509.KeyUsage
	}{
		{"ECC", tpm2.ECCEKTemplate, x509.KeyUsageKeyAgreement},
		{"RSA", tpm2.RSAEKTemplate, x509.KeyUsageKeyEncipherment},
	} {
		t.Run(c.name, func(t *testing.T) {
			ek := endorsement(t, c.template)
			der, err := ca.Certify(ek, tpmca.About{Firmware: 0x100000002, Revision: 138})
			ok(t, err)
			cert := verify(t, der, ca, publicKey(t, ek))
			if cert.KeyUsage != c.usage || cert.IsCA || len(cert.Subject.Names) != 0 {
				t.Errorf("key usage %b, CA %v, subject %v", cert.KeyUsage, cert.IsCA, cert.Subject)
			}
			if len(cert.UnknownExtKeyUsage) != 1 || cert.UnknownExtKeyUsage[0].String() != "2.23.133.8.1" || len(cert.ExtKeyUsage) != 0 {
				t.Errorf("extended key usage %v %v", cert.UnknownExtKeyUsage, cert.ExtKeyUsage)
			}
			if cert.NotAfter.Year() != 9999 || cert.SerialNumber.BitLen() > 127 || cert.SerialNumber.Sign() <= 0 {
				t.Errorf("ends %v, serial %v", cert.NotAfter, cert.SerialNumber)
			}
			checkName(t, cert)
			if got := extension(t, cert, "2.5.29.9"); got != "3019"+"3017"+"06056781050210"+"310e"+"300c"+"0c03322e30"+"020100"+"0202008a" {
				t.Errorf("specification %s", got)
			}
		})
	}
}

func extension(t testing.TB, cert *x509.Certificate, id string) string {
	t.Helper()
	for _, e := range cert.Extensions {
		if e.Id.String() == id {
			return hex.EncodeToString(e.Value)
		}
	}
	t.Errorf("no extension %s", id)
	return ""
}

// checkName takes the name of the TPM apart by hand, as another program would.
func checkName(t *testing.T, cert *x509.Certificate) {
	t.Helper()
	der, err := hex.DecodeString(extension(t, cert, "2.5.29.17"))
	ok(t, err)
	var names []asn1.RawValue
	if rest, err := asn1.Unmarshal(der, &names); err != nil || len(rest) > 0 || len(names) != 1 || names[0].Tag != 4 {
		t.Fatalf("alternative name %x: %v", der, err)
	}
	type attribute struct {
		Type  asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	var sets []asn1.RawValue
	if _, err := asn1.Unmarshal(names[0].Bytes, &sets); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range sets {
		var a attribute
		if _, err := asn1.Unmarshal(s.Bytes, &a); err != nil {
			t.Fatal(err)
		}
		got = append(got, a.Type.String()+"="+string(a.Value.Bytes))
	}
	want := "2.23.133.2.1=id:534F4654 2.23.133.2.2=Lockstep emulated TPM 2.23.133.2.3=id:0000000100000002"
	if s := strings.Join(got, " "); s != want {
		t.Errorf("the TPM is called\n%s, want\n%s", s, want)
	}
}

// The authority vouches for endorsement keys and for nothing else.
func TestCertifyRefuses(t *testing.T) {
	ca := open(t, t.TempDir())
	good := endorsement(t, tpm2.ECCEKTemplate)
	if _, err := ca.Certify(good, tpmca.About{}); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*tpm2.TPMTPublic){
		"may leave the TPM":        func(p *tpm2.TPMTPublic) { p.ObjectAttributes.FixedTPM = false },
		"may leave its parent":     func(p *tpm2.TPMTPublic) { p.ObjectAttributes.FixedParent = false },
		"came from outside":        func(p *tpm2.TPMTPublic) { p.ObjectAttributes.SensitiveDataOrigin = false },
		"decrypts for anybody":     func(p *tpm2.TPMTPublic) { p.ObjectAttributes.Restricted = false },
		"does not decrypt":         func(p *tpm2.TPMTPublic) { p.ObjectAttributes.Decrypt = false },
		"signs":                    func(p *tpm2.TPMTPublic) { p.ObjectAttributes.SignEncrypt = true },
		"is a keyed hash":          func(p *tpm2.TPMTPublic) { p.Type = tpm2.TPMAlgKeyedHash },
		"says RSA and is not":      func(p *tpm2.TPMTPublic) { p.Type = tpm2.TPMAlgRSA },
		"is no point of the curve": func(p *tpm2.TPMTPublic) { p.Unique = point(1, 1) },
		"is no point at all":       func(p *tpm2.TPMTPublic) { p.Unique = point(0, 0) },
	} {
		ek := *good
		change(&ek)
		if _, err := ca.Certify(&ek, tpmca.About{}); err == nil {
			t.Errorf("a key that %s was certified", name)
		}
	}
	if _, err := ca.Certify(nil, tpmca.About{}); err == nil {
		t.Error("nothing was certified")
	}
	short := *endorsement(t, tpm2.RSAEKTemplate)
	short.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{Buffer: []byte{0x80, 1}})
	if _, err := ca.Certify(&short, tpmca.About{}); err == nil {
		t.Error("an RSA key of 16 bits was certified")
	}
}

func point(x, y int64) tpm2.TPMUPublicID {
	return tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{
		X: tpm2.TPM2BECCParameter{Buffer: big.NewInt(x).Bytes()},
		Y: tpm2.TPM2BECCParameter{Buffer: big.NewInt(y).Bytes()},
	})
}
