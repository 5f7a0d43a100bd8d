package saml11_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/lockstep-sso/lockstep/services/adfs/internal/saml11"
)

func TestAssertionSaysWhatACloudDirectoryReads(t *testing.T) {
	key, cert := goldenSigner(t)
	subject := goldenSubjects()["escaped.xml"]
	xml, err := newIssuer(t, key, cert).Issue(subject)
	if err != nil {
		t.Fatal(err)
	}
	if printed := fmt.Sprint(xml); strings.Contains(printed, "Assertion") {
		t.Errorf("an assertion prints: %s", printed)
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromString(xml.Reveal()); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"//Audience": "urn:federation:MicrosoftOnline",
		"//AttributeStatement/Subject/NameIdentifier":                   subject.ImmutableID,
		"//AuthenticationStatement/Subject/NameIdentifier":              subject.ImmutableID,
		"//AuthenticationStatement//ConfirmationMethod":                 "urn:oasis:names:tc:SAML:1.0:cm:bearer",
		"//Attribute[@AttributeName='UPN']/AttributeValue":              "o'brien&co@adatum.test",
		"//Attribute[@AttributeName='ImmutableID']/AttributeValue":      subject.ImmutableID,
		"//Attribute[@AttributeNamespace='" + upnSpace + "']/*":         "o'brien&co@adatum.test",
		"//Attribute[@AttributeNamespace='" + immutableIDSpace + "']/*": subject.ImmutableID,
	} {
		if found := doc.FindElements(path); len(found) != 1 || found[0].Text() != want {
			t.Errorf("%s: %d elements, want one of %q", path, len(found), want)
		}
	}
	for path, want := range map[string]string{
		"/Assertion@AssertionID":                                  "_0b9d4f6e-58a1-4f3c-8e2d-7c1a5b6d9e02",
		"/Assertion@Issuer":                                       "http://sts.adatum.test/adfs/services/trust/",
		"/Assertion@IssueInstant":                                 "2026-01-15T09:30:00.123Z",
		"/Assertion/Conditions@NotBefore":                         "2026-01-15T09:30:00.123Z",
		"/Assertion/Conditions@NotOnOrAfter":                      "2026-01-15T10:30:00.123Z",
		"/Assertion/AuthenticationStatement@AuthenticationMethod": "urn:oasis:names:tc:SAML:1.0:am:password",
		"//SignatureMethod@Algorithm":                             "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
		"//CanonicalizationMethod@Algorithm":                      "http://www.w3.org/2001/10/xml-exc-c14n#",
		"//Reference@URI":                                         "#_0b9d4f6e-58a1-4f3c-8e2d-7c1a5b6d9e02",
	} {
		element, attr, _ := strings.Cut(path, "@")
		if e := doc.FindElement(element); e == nil || e.SelectAttrValue(attr, "") != want {
			t.Errorf("%s is not %q", path, want)
		}
	}
	checkSignature(t, doc.Root(), cert)
}

const (
	upnSpace         = "http://schemas.xmlsoap.org/claims"
	immutableIDSpace = "http://schemas.microsoft.com/LiveID/Federation/2008/05"
)

func checkSignature(t *testing.T, root *etree.Element, cert *x509.Certificate) {
	t.Helper()
	ctx := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{cert}})
	ctx.IdAttribute, ctx.Clock = "AssertionID", dsig.NewFakeClockAt(at())
	if _, err := ctx.Validate(root); err != nil {
		t.Errorf("the signature does not verify: %v", err)
	}
}

func TestIssueRefuses(t *testing.T) {
	key, cert := goldenSigner(t)
	issuer := newIssuer(t, key, cert)
	good := goldenSubjects()["good.xml"]
	for name, change := range map[string]func(*saml11.Subject){
		"no id":                     func(s *saml11.Subject) { s.ID = "" },
		"id begins with a digit":    func(s *saml11.Subject) { s.ID = "6f0c" },
		"certificate has ended":     func(s *saml11.Subject) { s.At = cert.NotAfter.Add(time.Second) },
		"certificate has not begun": func(s *saml11.Subject) { s.At = cert.NotBefore.Add(-time.Second) },
	} {
		s := good
		change(&s)
		if xml, err := issuer.Issue(s); err == nil || !xml.Empty() {
			t.Errorf("%s: issued", name)
		}
	}
}

func TestNewRefusesASignerThatCannotSign(t *testing.T) {
	key, cert := goldenSigner(t)
	other, _, err := saml11.SelfSigned("other", at())
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for field, cfg := range map[string]saml11.Config{
		"Issuer is missing":      {Audience: "a", Key: key, Certificate: cert},
		"Audience is missing":    {Issuer: "i", Key: key, Certificate: cert},
		"Key is missing":         {Issuer: "i", Audience: "a", Certificate: cert},
		"Certificate is missing": {Issuer: "i", Audience: "a", Key: key},
		"Certificate is not":     {Issuer: "i", Audience: "a", Key: other, Certificate: cert},
		"Key is not RSA":         {Issuer: "i", Audience: "a", Key: crypto.Signer(curve), Certificate: cert},
		"2048 bits":              {Issuer: "i", Audience: "a", Key: short, Certificate: cert},
	} {
		if _, err := saml11.New(cfg); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

func TestSelfSigned(t *testing.T) {
	key, cert, err := saml11.SelfSigned("sts.adatum.test", at())
	if err != nil {
		t.Fatal(err)
	}
	pub := key.Public().(*rsa.PublicKey)
	if pub.N.BitLen() != 2048 || !pub.Equal(cert.PublicKey) {
		t.Error("not RSA-2048, or not the certificate of the key")
	}
	if !cert.NotAfter.Equal(at().Add(365*24*time.Hour).Truncate(time.Second)) || cert.NotBefore.After(at()) {
		t.Errorf("valid from %v to %v", cert.NotBefore, cert.NotAfter)
	}
}
