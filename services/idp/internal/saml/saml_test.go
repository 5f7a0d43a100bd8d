package saml

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/big"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

func TestGoldenAssertionsAreTaken(t *testing.T) {
	for name, want := range map[string]Subject{
		"good.xml":    {ImmutableID: goldenImmutableID, UPN: "carol@adatum.test", AssertionID: goldenID, NotOnOrAfter: goldenTime().Add(time.Hour)},
		"escaped.xml": {ImmutableID: "++//AAECAwQFBgcICQoLDA==", UPN: "o'brien&co@adatum.test", AssertionID: "_0b9d4f6e-58a1-4f3c-8e2d-7c1a5b6d9e02", NotOnOrAfter: goldenTime().Add(time.Hour)},
	} {
		v, _ := newVerifier(t)
		got, err := v.Verify(federation(t), golden(t, name))
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

// TestGoldenAssertionsVerifyWithXMLSec asks an independent implementation of
// XML signatures about the same files.
func TestGoldenAssertionsVerifyWithXMLSec(t *testing.T) {
	tool, err := exec.LookPath("xmlsec1")
	if err != nil {
		t.Skip("xmlsec1 is not in PATH: the goldens were checked by our own library only")
	}
	for _, name := range []string{"good.xml", "escaped.xml"} {
		out, err := exec.CommandContext(t.Context(), tool, "--verify", "--pubkey-cert-pem", "testdata/signing.pem",
			"--id-attr:AssertionID", nsSAML+":Assertion", "testdata/"+name).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

func TestFED06_TimeWindowWithSkew(t *testing.T) {
	start, end := goldenTime(), goldenTime().Add(time.Hour)
	for name, c := range map[string]struct {
		now  time.Time
		want error
	}{
		"first moment":    {start.Add(-DefaultSkew), nil},
		"a moment before": {start.Add(-DefaultSkew - time.Millisecond), whyEarly},
		"last moment":     {end.Add(DefaultSkew - time.Millisecond), nil},
		"expired":         {end.Add(DefaultSkew), whyLate},
	} {
		v, h := newVerifier(t)
		h.now = c.now
		if _, err := v.verify(federation(t), golden(t, "good.xml")); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

func TestFED06_Attack25_AnAssertionIsUsedOnce(t *testing.T) {
	v, h := newVerifier(t)
	good := golden(t, "good.xml")
	if _, err := v.Verify(federation(t), good); err != nil {
		t.Fatal(err)
	}
	for _, later := range []time.Duration{0, 30 * time.Minute, 34 * time.Minute} {
		h.now = h.now.Add(later)
		if _, err := v.verify(federation(t), good); !errors.Is(err, whyReplay) {
			t.Errorf("again at %v: %v", h.now, err)
		}
	}
	h.now = goldenTime().Add(time.Hour + DefaultSkew)
	if _, err := v.verify(federation(t), good); !errors.Is(err, whyLate) {
		t.Errorf("after its end: %v", err)
	}
}

func TestFED06_ManyAtOnceUseItOnce(t *testing.T) {
	v, _ := newVerifier(t)
	fed, good := federation(t), golden(t, "good.xml")
	var taken atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if _, err := v.Verify(fed, good); err == nil {
				taken.Add(1)
			}
		})
	}
	wg.Wait()
	if taken.Load() != 1 {
		t.Errorf("taken %d times", taken.Load())
	}
}

// A refused assertion must not use up the good one with the same id.
func TestARefusalUsesNothingUp(t *testing.T) {
	v, _ := newVerifier(t)
	good := golden(t, "good.xml")
	bad := bytes.Replace(good, []byte("carol@"), []byte("alice@"), 1)
	if _, err := v.Verify(federation(t), bad); err == nil {
		t.Fatal("taken")
	}
	other := federation(t)
	other.Domain = "contoso.test"
	if _, err := v.Verify(other, good); err == nil {
		t.Fatal("taken")
	}
	if _, err := v.Verify(federation(t), good); err != nil {
		t.Error(err)
	}
}

func TestErrorsAreOfThreeKinds(t *testing.T) {
	var log bytes.Buffer
	v, _ := newVerifier(t)
	v.log = slog.New(slog.NewTextHandler(&log, nil))
	s := goldenSigner(t)
	unsigned, _ := cut(t, string(golden(t, "good.xml")))
	without := swap(t, unsigned, "ImmutableID", "SomethingElse")
	_, err := v.Verify(federation(t), []byte(s.sign(t, without)))
	if prterr.CodeOf(err) != aadsts.MissingImmutableID {
		t.Errorf("without ImmutableID: %v", err)
	}
	v.used = newReplays(0)
	if _, err = v.Verify(federation(t), golden(t, "good.xml")); prterr.CodeOf(err) != aadsts.Throttled {
		t.Errorf("full memory: %v", err)
	}
	if _, err = v.Verify(federation(t), []byte("<canary/>")); prterr.CodeOf(err) != aadsts.InvalidAssertion {
		t.Errorf("not an assertion: %v", err)
	}
	if strings.Contains(log.String(), "canary") || !strings.Contains(log.String(), string(whyRoot)) {
		t.Errorf("the log is %s", log.String())
	}
}

func TestAttack26_MultipleAuthnIsReadWhereItIsSigned(t *testing.T) {
	unsigned, _ := cut(t, string(golden(t, "good.xml")))
	const attr = `<saml:Attribute AttributeName="authnmethodsreferences" AttributeNamespace="http://schemas.microsoft.com/claims">` +
		`<saml:AttributeValue>http://schemas.microsoft.com/ws/2008/06/identity/authenticationmethod/password</saml:AttributeValue>` +
		`<saml:AttributeValue>http://schemas.microsoft.com/claims/multipleauthn</saml:AttributeValue></saml:Attribute></saml:AttributeStatement>`
	with := swap(t, unsigned, "</saml:AttributeStatement>", attr)
	for xml, want := range map[string]bool{
		with: true,
		swap(t, with, "claims/multipleauthn<", "claims/multipleauthn <"):                                    false,
		swap(t, with, `AttributeNamespace="http://schemas.microsoft.com/claims"`, `AttributeNamespace="x"`): false,
	} {
		v, _ := newVerifier(t)
		got, err := v.Verify(federation(t), []byte(goldenSigner(t).sign(t, xml)))
		if err != nil || got.MultipleAuthn != want {
			t.Errorf("got %+v, %v, want %v", got, err, want)
		}
	}
}

func TestSettingsThatCannotBeUsed(t *testing.T) {
	for _, cfg := range []Config{{}, {Audience: audience, Skew: -1}} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
	v, _ := newVerifier(t)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Federation){
		"no domain":      func(f *Federation) { f.Domain = "" },
		"no issuer":      func(f *Federation) { f.Issuer = "" },
		"no certificate": func(f *Federation) { f.Certificate = nil },
		"not RSA":        func(f *Federation) { f.Certificate = &x509.Certificate{PublicKey: curve.Public()} },
		"short key": func(f *Federation) {
			f.Certificate = &x509.Certificate{PublicKey: &rsa.PublicKey{N: big.NewInt(1 << 40), E: 3}}
		},
	} {
		f := federation(t)
		change(&f)
		if _, err := v.Verify(f, golden(t, "good.xml")); prterr.KindOf(err) != prterr.Internal {
			t.Errorf("%s: %v", name, err)
		}
	}
}
