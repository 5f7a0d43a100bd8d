package browsertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/tools/browsertest/internal/chrome"
	"github.com/lockstep-sso/lockstep/tools/browsertest/internal/cloud"
)

const certAuth = "certauth." + cloud.Login

// authority issues the cards of a tenant's people.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Contoso Cards"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	c, err = x509.ParseCertificate(der)
	return &authority{c, key}, err
}

// issue makes a card with a mail address.
func (a *authority) issue(t testing.TB, mail string) chrome.Card {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: mail}, EmailAddresses: []string{mail},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return chrome.Card{Certificate: block("CERTIFICATE", der), Key: block("PRIVATE KEY", pkcs8)}
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// withCard opens a window of another browser process, in whose machine the card is.
func withCard(t testing.TB, card chrome.Card) *browser {
	t.Helper()
	if err := chrome.CardReader(t.Context()); err != nil {
		t.Skip("NOT LOOKED AT: signing in with a certificate:", err)
	}
	program, err := chrome.Find()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	start, err := chrome.Insert(t.Context(), dir, program, card, "https://"+certAuth)
	if err != nil {
		t.Fatal(err)
	}
	c, err := chrome.Start(t.Context(), chrome.Config{Program: start, Proxy: the.cloud.Proxy, PublicKeys: the.keys, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return &browser{c.Open(t), t}
}

// otherWay chooses another way to sign in on the page with the password.
func (b *browser) otherWay(value string) {
	b.t.Helper()
	b.See("#idA_PWD_SwitchToCredPicker")
	if !b.Sees(`button[value="` + value + `"]`) {
		b.Click("#idA_PWD_SwitchToCredPicker")
	}
	b.Press(`button[value="` + value + `"]`)
}

// The browser shows the certificate to the one name that asks for it, and it counts
// as two factors.
func TestCertificate(t *testing.T) {
	t.Parallel()
	p := newPerson(t, "Zoe").demandMFA()
	b := withCard(t, the.authority.issue(t, p.name))
	s := the.app.Begin()
	b.Go(s.URL)
	b.user(p)
	b.otherWay("certificate")
	b.page("certificate")
	b.Press("#idSIButton9")
	if got := b.done(s, p).AMR(); !slices.Contains(got, "mfa") || slices.Contains(got, "pwd") {
		t.Errorf("methods of the token are %v", got)
	}
}

// A card signs its holder in, and nobody else: not the person whose name was typed.
func TestCertificateOfSomebodyElse(t *testing.T) {
	t.Parallel()
	p, other := newPerson(t, "Zac"), newPerson(t, "Zenobia")
	b := withCard(t, the.authority.issue(t, other.name))
	s := the.app.Begin()
	b.Go(s.URL)
	b.user(p)
	b.otherWay("certificate")
	b.Press("#idSIButton9")
	b.done(s, other)
}

// A card of nobody, by the right authority.
func TestCertificateOfNobody(t *testing.T) {
	t.Parallel()
	p := newPerson(t, "Zoltan")
	b := withCard(t, the.authority.issue(t, "nobody@"+domain))
	s := the.app.Begin()
	b.Go(s.URL)
	b.user(p)
	b.otherWay("certificate")
	b.Press("#idSIButton9")
	b.See("[role=alert]")
	b.page("certificate refused")
}

// Without a card nothing is shown, and the page says so.
func TestNoCertificate(t *testing.T) {
	t.Parallel()
	p, b := newPerson(t, "Zita"), private(t)
	s := the.app.Begin()
	b.Go(s.URL)
	b.user(p)
	b.otherWay("certificate")
	b.Press("#idSIButton9")
	b.See("[role=alert]")
	b.page("no certificate")
}

// tenants writes the file of testdata with the authority of this run in it.
func tenants(dir string, a *authority) (string, error) {
	text, err := os.ReadFile("testdata/tenants.yaml")
	if err != nil {
		return "", err
	}
	pemFile := filepath.Join(dir, "cards.pem")
	if err := os.WriteFile(pemFile, block("CERTIFICATE", a.certificate.Raw), 0o600); err != nil {
		return "", err
	}
	text = append(text, "    certificate_authorities:\n      - {name: Cards, file: "+pemFile+", multi_factor: true, user_binding: rfc822}\n"...)
	file := filepath.Join(dir, "tenants.yaml")
	return file, os.WriteFile(file, text, 0o600)
}
