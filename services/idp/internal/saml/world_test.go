package saml

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/lockstep-sso/lockstep/pkg/clock"
)

// The golden files were written by the federation provider's own tests; the
// key that signed them signs nothing else.
const (
	goldenID          = "_6f0c3a52-1d7b-4c0e-9a57-2f4f8e3b9d10"
	goldenImmutableID = "zK4iG3pNEkWyVd0kX8a2jQ=="
	audience          = "urn:federation:MicrosoftOnline"
)

func goldenTime() time.Time { return time.Date(2026, 1, 15, 9, 30, 0, 123e6, time.UTC) }

// hand is a clock that stands still until a test moves it.
type hand struct {
	clock.Clock
	now time.Time
}

func (h *hand) Now() time.Time { return h.now }

func newVerifier(t testing.TB) (*Verifier, *hand) {
	t.Helper()
	h := &hand{Clock: clock.Real(), now: goldenTime().Add(10 * time.Second)}
	v, err := New(Config{Audience: audience, Clock: h})
	if err != nil {
		t.Fatal(err)
	}
	return v, h
}

func golden(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func goldenPEM(t testing.TB, name string) []byte {
	t.Helper()
	block, _ := pem.Decode(golden(t, name))
	if block == nil {
		t.Fatalf("%s is not PEM", name)
	}
	return block.Bytes
}

func federation(t testing.TB) Federation {
	t.Helper()
	cert, err := x509.ParseCertificate(goldenPEM(t, "signing.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return Federation{Domain: "adatum.test", Issuer: "http://sts.adatum.test/adfs/services/trust/", Certificate: cert}
}

// signer signs what a test has changed, with the right key, so that the check
// behind the signature is what refuses it.
type signer struct {
	key       *rsa.PrivateKey
	cert      []byte
	method    string
	canonical dsig.Canonicalizer
	idAttr    string
}

func goldenSigner(t testing.TB) signer {
	t.Helper()
	key, err := x509.ParsePKCS8PrivateKey(goldenPEM(t, "signing.key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return signer{
		key: key.(*rsa.PrivateKey), cert: goldenPEM(t, "signing.pem"), method: dsig.RSASHA256SignatureMethod,
		canonical: dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList(""), idAttr: idAttribute,
	}
}

func (s signer) sign(t testing.TB, unsigned string) string {
	t.Helper()
	doc := etree.NewDocument()
	doc.ReadSettings.PreserveDuplicateAttrs = true
	if err := doc.ReadFromString(unsigned); err != nil {
		t.Fatal(err)
	}
	ctx, err := dsig.NewSigningContext(s.key, [][]byte{s.cert})
	if err != nil {
		t.Fatal(err)
	}
	ctx.IdAttribute, ctx.Canonicalizer = s.idAttr, s.canonical
	if err := ctx.SetSignatureMethod(s.method); err != nil {
		t.Fatal(err)
	}
	signed, err := ctx.SignEnveloped(doc.Root())
	if err != nil {
		t.Fatal(err)
	}
	doc.SetRoot(signed)
	out, err := doc.WriteToString()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// cut takes the signature out of a golden assertion.
func cut(t testing.TB, xml string) (unsigned, signature string) {
	t.Helper()
	from, end := strings.Index(xml, "<ds:Signature "), "</ds:Signature>"
	to := strings.Index(xml, end)
	if from < 0 || to < 0 {
		t.Fatal("no signature to cut")
	}
	return xml[:from] + xml[to+len(end):], xml[from : to+len(end)]
}

// swap replaces once and fails when there is nothing to replace, so that no
// case tests an unchanged assertion.
func swap(t testing.TB, xml, old, now string) string {
	t.Helper()
	if !strings.Contains(xml, old) {
		t.Fatalf("%q is not in the assertion", old)
	}
	return strings.Replace(xml, old, now, 1)
}

func swapAll(t testing.TB, xml, old, now string) string {
	t.Helper()
	return strings.ReplaceAll(swap(t, xml, old, old), old, now)
}
