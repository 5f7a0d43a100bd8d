package adfs_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/wstrust"
	"github.com/lockstep-sso/lockstep/services/adfs"
)

const (
	path13   = "/adfs/services/trust/13/usernamemixed"
	path2005 = "/adfs/services/trust/2005/usernamemixed"
)

func handler(t testing.TB, cfg adfs.Config) http.Handler {
	t.Helper()
	s, err := adfs.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s.Handler()
}

func ask(h http.Handler, method, path, contentType, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "https://sts.adatum.test"+path, strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func rst(t testing.TB, v wstrust.Version, change ...func(*wstrust.Request)) string {
	t.Helper()
	path := path13
	if v == wstrust.Trust2005 {
		path = path2005
	}
	r := wstrust.Request{
		Version: v, MessageID: "urn:uuid:1", To: "https://sts.adatum.test" + path, Created: time.Now(), Expires: time.Now().Add(time.Minute),
		Username: "carol@adatum.test", Password: secret.NewText("federated horse"), AppliesTo: "urn:federation:MicrosoftOnline",
	}
	for _, c := range change {
		c(&r)
	}
	xml, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return xml.Reveal()
}

func TestWire_MetadataAtEverySpellingOfThePath(t *testing.T) {
	h := handler(t, adfs.Config{Organisation: []byte("issuer: http://sts.a.test/trust/\ndomain: a.test\nbase_url: https://sts.a.test:8443\nusers:\n  - {upn: x@a.test, password: x, immutable_id: AAAAAAAAAAAAAAAAAAAAAA==}\n")})
	for _, path := range []string{"/adfs/services/trust/mex", "/ADFS/Services/Trust/MEX", "/adfs/services/trust/mex/", "/adfs/services/trust/mex?wsdl"} {
		w := ask(h, http.MethodGet, path, "", "")
		m, err := wstrust.ReadMetadata(w.Body.Bytes())
		if w.Code != 200 || w.Header().Get("Content-Type") != "text/xml; charset=utf-8" || err != nil || len(m.Endpoints) != 2 ||
			m.Endpoints[0] != (wstrust.Endpoint{Version: wstrust.Trust13, URL: "https://sts.a.test:8443" + path13}) {
			t.Errorf("%s: %d %+v %v", path, w.Code, m, err)
		}
	}
	if w := ask(h, http.MethodPost, "/adfs/services/trust/mex", "", ""); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d", w.Code)
	}
}

func TestWire_ATokenIsAnsweredByteForByteAsItWasSigned(t *testing.T) {
	signer := sharedSigner(t)
	h := handler(t, adfs.Config{Signer: signer})
	for v, path := range map[wstrust.Version]string{wstrust.Trust13: path13, wstrust.Trust2005: "/ADFS/services/trust/2005/UsernameMixed"} {
		w := ask(h, http.MethodPost, path, "application/soap+xml; charset=UTF-8", rst(t, v))
		if w.Code != 200 || w.Header().Get("Content-Type") != "application/soap+xml; charset=utf-8" || w.Header().Get("Cache-Control") != "no-store" {
			t.Fatalf("%s: %d %v", v, w.Code, w.Header())
		}
		r, err := wstrust.ReadAnswer(w.Body.Bytes())
		if err != nil || r.Version != v || r.RelatesTo != "urn:uuid:1" || r.TokenType != wstrust.TokenSAML11 || r.Expires.Sub(r.Created) != time.Hour {
			t.Fatalf("%s: %+v, %v", v, r, err)
		}
		doc := etree.NewDocument()
		if err := doc.ReadFromString(r.Assertion.Reveal()); err != nil {
			t.Fatal(err)
		}
		ctx := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{signer.Certificate}})
		ctx.IdAttribute = "AssertionID"
		if _, err := ctx.Validate(doc.Root()); err != nil {
			t.Errorf("%s: the signature does not verify any more: %v", v, err)
		}
	}
}

func TestWire_RefusalsAreFaults(t *testing.T) {
	var log bytes.Buffer
	h := handler(t, adfs.Config{Log: textLog(&log)})
	const soap = "application/soap+xml"
	good := rst(t, wstrust.Trust13)
	for name, c := range map[string]struct {
		path, contentType, body string
		status                  int
		fault                   string
	}{
		"wrong password":   {path13, soap, rst(t, wstrust.Trust13, func(r *wstrust.Request) { r.Password = secret.NewText("canary") }), 500, "wsse:FailedAuthentication: ID3242: The security token could not be authenticated or authorized"},
		"unknown user":     {path2005, soap, rst(t, wstrust.Trust2005, func(r *wstrust.Request) { r.Username = "canary@adatum.test" }), 500, "wsse:FailedAuthentication: ID3242: The security token could not be authenticated or authorized"},
		"other audience":   {path13, soap, rst(t, wstrust.Trust13, func(r *wstrust.Request) { r.AppliesTo = "urn:canary" }), 500, "wst:InvalidScope: applies_to"},
		"SAML 2":           {path13, soap, rst(t, wstrust.Trust13, func(r *wstrust.Request) { r.TokenType = wstrust.TokenSAML20 }), 500, "wst:InvalidRequest: TokenType"},
		"another endpoint": {path13, soap, rst(t, wstrust.Trust13, func(r *wstrust.Request) { r.To = "https://sts.adatum.test" + path2005 }), 500, "wsa:DestinationUnreachable: wsa:To"},
		"another version":  {path2005, soap, good, 500, "wsa:ActionNotSupported"},
		"must understand":  {path13, soap, strings.Replace(good, "</s:Header>", `<canary s:mustUnderstand="1"/></s:Header>`, 1), 500, "MustUnderstand: a header"},
		"not XML":          {path13, soap, "canary", 400, "wst:InvalidRequest: the message is not well-formed XML"},
		"a DTD":            {path13, soap, "<!DOCTYPE canary>" + good, 400, "wst:InvalidRequest: the message has a DTD"},
		"empty":            {path13, soap, "", 400, "wst:InvalidRequest: the message is empty"},
		"too long":         {path13, soap, good + strings.Repeat(" ", wstrust.MaxMessage), 413, "wst:InvalidRequest: the message is empty or too long"},
		"a form":           {path13, "application/x-www-form-urlencoded", good, 415, "wst:InvalidRequest: Content-Type"},
		"no type":          {path13, "", good, 415, "wst:InvalidRequest: Content-Type"},
		"UTF-16":           {path13, soap + "; charset=utf-16", good, 415, "wst:InvalidRequest: Content-Type"},
	} {
		w := ask(h, http.MethodPost, c.path, c.contentType, c.body)
		_, err := wstrust.ReadAnswer(w.Body.Bytes())
		var fault *wstrust.Fault
		if w.Code != c.status || !errors.As(err, &fault) || !strings.HasPrefix(fault.Error(), c.fault) {
			t.Errorf("%s: %d %v, want %d %s", name, w.Code, err, c.status, c.fault)
		}
		if strings.Contains(w.Body.String(), "canary") {
			t.Errorf("%s: the fault repeats the message", name)
		}
	}
	if w := ask(h, http.MethodGet, path13, "", ""); w.Code != 405 || w.Header().Get("Allow") != "POST" {
		t.Errorf("GET: %d", w.Code)
	}
	r := httptest.NewRequest(http.MethodPost, "https://sts.adatum.test"+path13, io.MultiReader(strings.NewReader(good[:50]), broken{}))
	r.Header.Set("Content-Type", soap)
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != 400 {
		t.Errorf("a broken body: %d", w.Code)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r = httptest.NewRequest(http.MethodPost, "https://sts.adatum.test"+path13, strings.NewReader(good)).WithContext(ctx)
	r.Header.Set("Content-Type", soap)
	w = httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != 503 || !strings.Contains(w.Body.String(), "s:Receiver") {
		t.Errorf("given up: %d %s", w.Code, w.Body)
	}
	if strings.Contains(log.String(), "canary") {
		t.Errorf("the log has words of the request: %s", log.String())
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// A29 and FED02: Kerberos is not on this listener, nor is there a word of it.
func TestA29_WindowsTransportIsNotThere(t *testing.T) {
	h := handler(t, adfs.Config{})
	for _, path := range []string{
		"/adfs/services/trust/13/windowstransport", "/adfs/services/trust/2005/windowstransport", "/ADFS/Services/Trust/13/WindowsTransport",
		"/adfs/services/trust/13/windowstransport/", "/adfs/services/trust/13/kerberosmixed", "/adfs/services/trust/2005/windowsmixed", "/adfs/ls/wia",
		"/adfs/services/trust/13/usernamemixed/../windowstransport", "//adfs/services/trust/13/windowstransport",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodHead, http.MethodOptions} {
			r := httptest.NewRequest(method, "https://sts.adatum.test/", strings.NewReader(rst(t, wstrust.Trust13)))
			r.URL.Path = path
			r.Header.Set("Authorization", "Negotiate YII=")
			r.Header.Set("Content-Type", "application/soap+xml")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != http.StatusNotFound || w.Header().Get("WWW-Authenticate") != "" {
				t.Errorf("%s %s: %d %v", method, path, w.Code, w.Header())
			}
		}
	}
	for _, path := range []string{"/adfs/services/trust/mex", "/FederationMetadata/2007-06/FederationMetadata.xml"} {
		doc := strings.ToLower(ask(h, http.MethodGet, path, "", "").Body.String())
		for _, word := range []string{"windowstransport", "negotiate", "kerberos"} {
			if strings.Contains(doc, word) {
				t.Errorf("%s names %s", path, word)
			}
		}
	}
}

func TestFederationMetadataNamesTheCertificate(t *testing.T) {
	s, err := adfs.New(adfs.Config{})
	if err != nil {
		t.Fatal(err)
	}
	w := ask(s.Handler(), http.MethodGet, "/federationmetadata/2007-06/federationmetadata.xml", "", "")
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(w.Body.Bytes()); err != nil {
		t.Fatal(err)
	}
	pem := strings.NewReplacer("-----BEGIN CERTIFICATE-----", "", "-----END CERTIFICATE-----", "", "\n", "").Replace(string(s.SigningCertificate()))
	if doc.Root().SelectAttrValue("entityID", "") != "http://sts.adatum.test/adfs/services/trust/" || doc.FindElement("//X509Certificate").Text() != pem {
		t.Errorf("got %s", w.Body)
	}
	if a := doc.FindElements("//Address"); len(a) != 3 || a[2].Text() != "https://sts.adatum.test/adfs/ls/" {
		t.Errorf("%d addresses", len(a))
	}
}

func FuzzHandler(f *testing.F) {
	h := handler(f, adfs.Config{})
	f.Add("POST", path13, "", "application/soap+xml", rst(f, wstrust.Trust13, func(r *wstrust.Request) { r.AppliesTo = "urn:x" }))
	f.Add("GET", "/adfs/ls/", passiveQuery, "", "")
	f.Add("POST", "/adfs/ls/", passiveQuery, "application/x-www-form-urlencoded", "UserName=x&Password=y&AuthMethod=FormsAuthentication")
	f.Fuzz(func(t *testing.T, method, path, query, contentType, body string) {
		r := httptest.NewRequest(http.MethodGet, "https://sts.adatum.test/", strings.NewReader(body))
		r.Method, r.URL.Path, r.URL.RawQuery = method, path, query
		r.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code == http.StatusOK && strings.Contains(w.Body.String(), "Assertion") {
			t.Error("a token without the password")
		}
	})
}
