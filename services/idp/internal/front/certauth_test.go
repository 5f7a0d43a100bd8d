package front_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

const (
	certHost          = "certauth.login.microsoftonline.com"
	submitCertificate = idpv1.SignInService_SubmitCertificate_FullMethodName
)

func personalCertificate(t testing.TB) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Alice"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// certAuth posts the form over a connection with these certificates.
func certAuth(t testing.TB, c *cloud, state *tls.ConnectionState, host, origin, body string) reply {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "https://"+host+"/common/certauth", strings.NewReader(body))
	r.Host, r.TLS = host, state
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	w := httptest.NewRecorder()
	newFront(t, c).ServeHTTP(w, r)
	return reply{w.Result(), w.Body.String()}
}

func TestCertificateOfAConnection(t *testing.T) {
	c := newCloud()
	always(c, submitCertificate, &idpv1.SubmitCertificateResponse{Next: signedIn("query")})
	cert := personalCertificate(t)
	shown := &tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true, PeerCertificates: []*x509.Certificate{cert}}
	r := certAuth(t, c, shown, certHost, "https://"+login, form("flowToken", "1.f.1", "canary", "k", "login", "alice@contoso.test"))
	wantStatus(t, r, 302)
	if q := asked[*idpv1.SubmitCertificateRequest](t, c, submitCertificate); len(q.GetChain()) != 1 || string(q.GetChain()[0]) != string(cert.Raw) || q.GetFlowToken() != "1.f.1" {
		t.Errorf("%v", q)
	}
	// What is proven goes back to the login host, whose cookies the session is in.
	always(c, submitCertificate, &idpv1.SubmitCertificateResponse{Next: pageAction(idpv1.PageKind_PAGE_KIND_HAND_OVER)})
	r = certAuth(t, c, shown, certHost, "https://"+login, "flowToken=1.f.1")
	if !strings.Contains(r.text, `action="https://login.microsoftonline.com/common/resume"`) || !strings.Contains(r.text, `name="flowToken"`) || !strings.Contains(r.text, `name="canary"`) || len(r.Cookies()) != 0 {
		t.Errorf("%s", r.text)
	}
	// Pages that follow belong to the login host.
	always(c, submitCertificate, &idpv1.SubmitCertificateResponse{Next: pageAction(idpv1.PageKind_PAGE_KIND_STAY_SIGNED_IN)})
	r = certAuth(t, c, shown, certHost, "https://"+login, "flowToken=1.f.1")
	if !strings.Contains(r.text, `action="https://login.microsoftonline.com/kmsi"`) || string(configOf(t, r)["urlPost"]) != `"https://login.microsoftonline.com/kmsi"` {
		t.Errorf("%s", r.text)
	}
	// A certificate that was not good: the sign-in page, with a form of the login host.
	wrong := fullPage(idpv1.PageKind_PAGE_KIND_SIGN_IN)
	wrong.ErrorCode = 50017
	always(c, submitCertificate, &idpv1.SubmitCertificateResponse{Next: &idpv1.NextAction{Action: &idpv1.NextAction_Page{Page: wrong}}})
	always(c, discover, &idpv1.DiscoverCredentialsResponse{DomainKnown: true, Credentials: []idpv1.CredentialType{idpv1.CredentialType_CREDENTIAL_TYPE_PASSKEY, idpv1.CredentialType_CREDENTIAL_TYPE_PASSWORD}})
	r = certAuth(t, c, shown, certHost, "https://"+login, "flowToken=1.f.1")
	if !strings.Contains(r.text, `action="https://login.microsoftonline.com/common/login"`) || strings.Contains(r.text, `action="/`) || c.called(beginPasskey) {
		t.Errorf("%s", r.text)
	}
	many := &tls.ConnectionState{Version: tls.VersionTLS13, PeerCertificates: make([]*x509.Certificate, 20)}
	for i := range many.PeerCertificates {
		many.PeerCertificates[i] = cert
	}
	certAuth(t, c, many, certHost, "https://"+login, "flowToken=1.f.1")
	if q := asked[*idpv1.SubmitCertificateRequest](t, c, submitCertificate); len(q.GetChain()) != 8 {
		t.Errorf("%d certificates", len(q.GetChain()))
	}
}

// Without a certificate the page says why, and what else can be done.
func TestConnectionsWithoutACertificate(t *testing.T) {
	for name, f := range map[string]struct {
		state *tls.ConnectionState
		says  string
	}{
		"the browser showed none": {&tls.ConnectionState{Version: tls.VersionTLS13}, "showed no certificate"},
		"a proxy ended TLS":       {&tls.ConnectionState{HandshakeComplete: true}, "a proxy that ended it passed no certificate on"},
		"no TLS at all":           {nil, "a proxy that ended it passed no certificate on"},
	} {
		c := newCloud()
		r := certAuth(t, c, f.state, certHost, "https://"+login, "flowToken=1.f.1&canary=k&login=alice%40contoso.test")
		if c.called(submitCertificate) || !strings.Contains(r.text, f.says) || !strings.Contains(r.text, `name="flowToken" value="1.f.1"`) {
			t.Errorf("%s: %s", name, r.text)
		}
		if r := certAuth(t, c, f.state, certHost, "https://"+login, "flowToken=1.f.1&AuthMethodId=CertificateKey"); string(configOf(t, r)["pgid"]) != `"ConvergedTFA"` {
			t.Errorf("%s: %s", name, r.text)
		}
	}
}

// Only pages of the login host that a name for certificates belongs to post there,
// and the other way round.
func TestWhoPostsToTheNameForCertificates(t *testing.T) {
	shown := &tls.ConnectionState{Version: tls.VersionTLS13, PeerCertificates: []*x509.Certificate{personalCertificate(t)}}
	for _, f := range []struct {
		host, origin string
		taken        bool
	}{
		{certHost, "https://" + login, true}, {certHost, "https://login.windows.net", true}, {certHost, "https://" + certHost, true}, {certHost, "", true},
		{certHost, "https://evil.test", false}, {certHost, "http://" + login, false}, {certHost, "null", false}, {certHost, "https://localhost:8443", false},
		{certHost, "https://graph.microsoft.com", false}, {certHost, "https://" + login + ":8443", false},
		{"certauth.localhost:8443", "https://localhost:8443", true}, {"certauth.localhost:8443", "https://localhost:9443", false}, {"certauth.localhost:8443", "https://" + login, false},
	} {
		c := newCloud()
		always(c, submitCertificate, &idpv1.SubmitCertificateResponse{Next: signedIn("query")})
		if certAuth(t, c, shown, f.host, f.origin, "flowToken=1.f.1"); c.called(submitCertificate) != f.taken {
			t.Errorf("%s from %q: taken %v", f.host, f.origin, !f.taken)
		}
	}
	for origin, taken := range map[string]bool{"https://" + certHost: true, "https://certauth.evil.test": false, "https://certauth." + login + ".evil.test": false} {
		c := newCloud()
		always(c, idpv1.SignInService_SubmitPassword_FullMethodName, &idpv1.SubmitPasswordResponse{Next: signedIn("query")})
		raw(t, c, strings.Replace(post("/common/login", "login=a%40x.test&passwd=p&flowToken=f&canary=c"), "\n\n", "\nOrigin: "+origin+"\n\n", 1))
		if c.called(idpv1.SignInService_SubmitPassword_FullMethodName) != taken {
			t.Errorf("%s: taken %v", origin, !taken)
		}
	}
	// The path exists under that name only: elsewhere nobody is asked for a certificate.
	for _, host := range []string{login, "localhost", drs} {
		if r := certAuth(t, newCloud(), shown, host, "", "flowToken=1.f.1"); r.StatusCode != 404 {
			t.Errorf("%s: %d", host, r.StatusCode)
		}
	}
}
