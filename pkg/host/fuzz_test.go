package host

import (
	"crypto/tls"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
)

// FuzzRoute and FuzzProxy: whatever a stranger says, a name that is not served
// gets nothing, and nothing falls over.
func FuzzRoute(f *testing.F) {
	h, err := New(Config{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })})
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range []string{"localhost", "login.microsoftonline.com:443", "[::1]:1", "::", "a.lockstep.test", "*.lockstep.test", "..", "\x00", "EVIL.test."} {
		f.Add(name, name)
		f.Add(name, "")
	}
	f.Fuzz(func(t *testing.T, name, sni string) {
		w := httptest.NewRecorder()
		h.route(w, &http.Request{Host: name, URL: &url.URL{Path: "/"}, TLS: &tls.ConnectionState{ServerName: sni}})
		served := w.Code == http.StatusTeapot
		if !served && w.Code != http.StatusMisdirectedRequest {
			t.Errorf("%q: %d", name, w.Code)
		}
		if n := bare(name); served && !slices.Contains(h.names, n) && wildcard(n) != "*.lockstep.test" {
			t.Errorf("%q was served", name)
		}
		if served && sni != "" && asksForCertificate(bare(sni)) != asksForCertificate(bare(name)) {
			t.Errorf("%q was served over a connection for %q", name, sni)
		}
	})
}

func FuzzProxy(f *testing.F) {
	h, err := New(Config{Handler: http.NotFoundHandler()})
	if err != nil {
		f.Fatal(err)
	}
	for _, target := range []string{"localhost:443", "login.microsoftonline.com:443", "www.example.org:443", "x", "[::1]:443", ":443", "localhost:"} {
		f.Add(http.MethodConnect, target)
		f.Add(http.MethodGet, target)
	}
	f.Fuzz(func(t *testing.T, method, target string) {
		w := httptest.NewRecorder() // it cannot be hijacked, so nobody gets through
		h.serveProxy(w, &http.Request{Method: method, Host: target, URL: &url.URL{Host: target, Path: "/"}})
		if w.Code < 400 && (method == http.MethodConnect || target != "") {
			t.Errorf("%s %q: %d", method, target, w.Code)
		}
		known := serves(h.names, bare(target))
		if method == http.MethodConnect && !known && w.Code != http.StatusForbidden {
			t.Errorf("CONNECT %q: %d", target, w.Code)
		}
	})
}

// FuzzBehind: whatever stands in the header, a handler sees a certificate only
// where one is asked for, and never the header.
func FuzzBehind(f *testing.F) {
	h, err := New(Config{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, sent := r.Header[CertificateHeader]; sent || len(r.TLS.PeerCertificates) > 0 && !asksForCertificate(bare(r.Host)) {
			w.WriteHeader(http.StatusTeapot)
		}
	})})
	if err != nil {
		f.Fatal(err)
	}
	der := base64.StdEncoding.EncodeToString(h.ca.cert.Raw)
	for _, cert := range []string{der, der + "=", der[4:], "", "AAAA", "\x00", "-----BEGIN CERTIFICATE-----"} {
		f.Add("enterpriseregistration.windows.net", "https", cert)
		f.Add("localhost", "http", cert)
	}
	f.Fuzz(func(t *testing.T, name, proto, cert string) {
		w := httptest.NewRecorder()
		h.serveBehind(w, &http.Request{Host: name, URL: &url.URL{Path: "/"}, Header: http.Header{protoHeader: {proto}, CertificateHeader: {cert}}})
		if w.Code != http.StatusOK && w.Code != http.StatusBadRequest && w.Code != http.StatusMisdirectedRequest {
			t.Errorf("%q %q %q: %d", name, proto, cert, w.Code)
		}
	})
}
