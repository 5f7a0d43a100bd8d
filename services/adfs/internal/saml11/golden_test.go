package saml11_test

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/services/adfs/internal/saml11"
)

var update = flag.Bool("update", false, "write the golden assertions that the cloud's verifier is tested with")

// goldens is where the cloud's verifier keeps what it must take. The two sides
// share no code, so these files are the contract between them.
const goldens = "../../../idp/internal/saml/testdata"

// at is the time of every golden sign-in.
func at() time.Time { return time.Date(2026, 1, 15, 9, 30, 0, 123e6, time.UTC) }

func goldenSubjects() map[string]saml11.Subject {
	return map[string]saml11.Subject{
		"good.xml":    {ID: "_6f0c3a52-1d7b-4c0e-9a57-2f4f8e3b9d10", UPN: "carol@adatum.test", ImmutableID: "zK4iG3pNEkWyVd0kX8a2jQ==", At: at()},
		"escaped.xml": {ID: "_0b9d4f6e-58a1-4f3c-8e2d-7c1a5b6d9e02", UPN: "o'brien&co@adatum.test", ImmutableID: "++//AAECAwQFBgcICQoLDA==", At: at()},
	}
}

// TestGoldenAssertions holds what this room writes against the files, byte for
// byte: key, id and time are fixed, and RSA PKCS #1 v1.5 is deterministic.
func TestGoldenAssertions(t *testing.T) {
	key, cert := goldenSigner(t)
	issuer := newIssuer(t, key, cert)
	for name, subject := range goldenSubjects() {
		xml, err := issuer.Issue(subject)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(goldens, name)
		if *update {
			writeFile(t, path, []byte(xml.Reveal()))
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if xml.Reveal() != string(want) {
			t.Errorf("%s is not what is issued now; if the change is meant, run go test with -update\n%s", name, xml.Reveal())
		}
	}
}

func newIssuer(t *testing.T, key crypto.Signer, cert *x509.Certificate) *saml11.Issuer {
	t.Helper()
	i, err := saml11.New(saml11.Config{
		Issuer: "http://sts.adatum.test/adfs/services/trust/", Audience: "urn:federation:MicrosoftOnline",
		Key: key, Certificate: cert,
	})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// goldenSigner reads the fixed key, which signs nothing but golden files. With
// -update it is made when it is missing.
func goldenSigner(t *testing.T) (crypto.Signer, *x509.Certificate) {
	t.Helper()
	keyPath, certPath := filepath.Join(goldens, "signing.key.pem"), filepath.Join(goldens, "signing.pem")
	if _, err := os.Stat(keyPath); *update && errors.Is(err, fs.ErrNotExist) {
		key, cert, err := saml11.SelfSigned("sts.adatum.test", at())
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, keyPath, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
		writeFile(t, certPath, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
	}
	parsed, err := x509.ParsePKCS8PrivateKey(readPEM(t, keyPath))
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(readPEM(t, certPath))
	if err != nil {
		t.Fatal(err)
	}
	return parsed.(crypto.Signer), cert
}

func readPEM(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		t.Fatalf("%s is not PEM", path)
	}
	return block.Bytes
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
