package wstrust_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/wstrust"
	"github.com/lockstep-sso/lockstep/pkg/wstrust/cardtest"
)

const certificate13 = "https://sts.adatum.test/adfs/services/trust/13/certificatemixed"

func certificateRequest(t *testing.T) wstrust.Request {
	t.Helper()
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	p := cardtest.NewAuthority(t, now).Issue("carol@adatum.test").Prove("carol@adatum.test", now)
	return wstrust.Request{
		Version: wstrust.Trust13, MessageID: "urn:uuid:1", To: certificate13, Created: now, Expires: now.Add(time.Minute),
		Username: "carol@adatum.test", Certificate: &p, AppliesTo: "urn:federation:MicrosoftOnline",
	}
}

func TestACertificateProofCrossesTheWireWhole(t *testing.T) {
	want := certificateRequest(t)
	xml, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := wstrust.ReadRequest([]byte(xml.Reveal()))
	if err != nil {
		t.Fatal(err)
	}
	if got.Username != want.Username || !got.Password.Empty() || got.Certificate == nil || !got.Certificate.Created.Equal(want.Certificate.Created) ||
		!bytes.Equal(got.Certificate.Signature, want.Certificate.Signature) || len(got.Certificate.Chain) != 1 || !bytes.Equal(got.Certificate.Chain[0], want.Certificate.Chain[0]) {
		t.Errorf("%+v", got)
	}
	for name, change := range map[string]func(string) string{
		"a password beside it": func(s string) string {
			return strings.Replace(s, "<ls:CertificateProof", `<wsse:UsernameToken><wsse:Username>c</wsse:Username><wsse:Password>p</wsse:Password></wsse:UsernameToken><ls:CertificateProof`, 1)
		},
		"no certificate": func(s string) string {
			return s[:strings.Index(s, "<wsse:BinarySecurityToken")] + s[strings.Index(s, "<ls:CertificateProof"):]
		},
		"no proof": func(s string) string {
			return s[:strings.Index(s, "<ls:CertificateProof")] + s[strings.Index(s, "</wsse:Security>"):]
		},
		"another type":     func(s string) string { return strings.Replace(s, "#X509v3", "#X509PKIPathv1", 1) },
		"another language": func(s string) string { return strings.Replace(s, "certificate-proof:1", "certificate-proof:2", 1) },
		"no time":          func(s string) string { return strings.Replace(s, "<ls:CreatedAt>", "<ls:CreatedAt>-", 1) },
		"no base64":        func(s string) string { return strings.Replace(s, "<ls:Signature>", "<ls:Signature>*", 1) },
		"two names": func(s string) string {
			return strings.Replace(s, "<ls:CreatedAt>", "<ls:UserPrincipalName>x</ls:UserPrincipalName><ls:CreatedAt>", 1)
		},
	} {
		raw := xml.Reveal()
		changed := change(raw)
		if changed == raw {
			t.Fatalf("%s: nothing was changed", name)
		}
		if _, err := wstrust.ReadRequest([]byte(changed)); !errors.Is(err, wstrust.ErrShape) && !errors.Is(err, wstrust.ErrNotUnderstood) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*wstrust.Request){
		"a password beside it": func(r *wstrust.Request) { r.Password = secret.NewText("x") },
		"no certificate":       func(r *wstrust.Request) { r.Certificate = &wstrust.CertificateProof{Signature: []byte{1}} },
		"nine certificates": func(r *wstrust.Request) {
			r.Certificate = &wstrust.CertificateProof{Chain: make([][]byte, 9), Signature: []byte{1}}
		},
		"no signature": func(r *wstrust.Request) { r.Certificate = &wstrust.CertificateProof{Chain: [][]byte{{1}}} },
	} {
		r := certificateRequest(t)
		change(&r)
		if _, err := r.Encode(); !errors.Is(err, wstrust.ErrShape) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTheMetadataTellsEndpointsApart: a password never goes where certificates do.
func TestTheMetadataTellsEndpointsApart(t *testing.T) {
	raw, err := wstrust.Metadata{
		Endpoints:    []wstrust.Endpoint{{Version: wstrust.Trust13, URL: url13}},
		Certificates: []wstrust.Endpoint{{Version: wstrust.Trust13, URL: certificate13}, {Version: wstrust.Trust2005, URL: "https://sts.adatum.test/2005"}},
	}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	m, err := wstrust.ReadMetadata(raw)
	if err != nil || len(m.Endpoints) != 1 || m.Endpoints[0].URL != url13 || len(m.Certificates) != 2 || m.Certificates[0].URL != certificate13 || m.Certificates[1].Version != wstrust.Trust2005 {
		t.Errorf("%+v, %v", m, err)
	}
	if n := strings.Count(string(raw), `<wsdl:portType name="IWSTrust13Async">`); n != 1 {
		t.Errorf("the port type stands %d times", n)
	}
}
