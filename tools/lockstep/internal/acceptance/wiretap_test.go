package acceptance_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// tapAddress is where a device of a tapped lab finds the cloud.
const tapAddress = "mem:tap"

// exchange is a request of a device with its answer, as they were on the wire.
type exchange struct {
	form   url.Values
	status int
	answer string
}

// tap stands between a device and the HTTPS side of the cloud, with a certificate that
// the device trusts, and reads along.
type tap struct {
	cert tls.Certificate
	pem  string // file
	mu   sync.Mutex
	seen []exchange
	// spoil changes a form before it goes on; nil changes nothing.
	spoil func(url.Values)
}

// tapped is a lab whose device speaks with the cloud through a tap.
func tapped(t *testing.T, cfg lab.Config) (*world, *tap) {
	t.Helper()
	p := &tap{}
	p.certify(t)
	through := map[string]string{"idp-via": tapAddress, "idp-roots": p.pem}
	cfg.HTTPS, cfg.DeviceSettings = true, map[string]map[string]string{"lsa-cloudap": through, "wam-broker": through}
	w := newWorld(t, cfg)
	client, err := w.lab.Web()
	if err != nil {
		t.Fatal(err)
	}
	client.Jar = nil
	l, err := w.lab.Listen(tapAddress)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(p.handler(client))
	_ = server.Listener.Close()
	server.Listener, server.TLS = l, &tls.Config{Certificates: []tls.Certificate{p.cert}, MinVersion: tls.VersionTLS12}
	server.EnableHTTP2 = true // connections of the lab do not time reads out as HTTP/1.1 wants
	server.StartTLS()
	t.Cleanup(server.Close)
	return w, p
}

// certify makes the certificate of the tap.
func (p *tap) certify(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a tap on the wire"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
		DNSNames: []string{"login.microsoftonline.com", "enterpriseregistration.windows.net"}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	p.cert = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	p.pem = filepath.Join(t.TempDir(), "tap.pem")
	if err := os.WriteFile(p.pem, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (p *tap) handler(onward *http.Client) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		form, _ := url.ParseQuery(string(body)) // what is no form is passed on as it is
		p.mu.Lock()
		if p.spoil != nil && form.Has("request") {
			p.spoil(form)
			body = []byte(form.Encode())
		}
		p.mu.Unlock()
		next, err := http.NewRequestWithContext(r.Context(), r.Method, "https://"+r.Host+r.URL.RequestURI(), bytes.NewReader(body))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		next.Header = r.Header.Clone()
		resp, err := onward.Do(next)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer func() { _ = resp.Body.Close() }()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		p.mu.Lock()
		p.seen = append(p.seen, exchange{form, resp.StatusCode, string(answer)})
		p.mu.Unlock()
		for name, values := range resp.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(resp.StatusCode)
		_, _ = w.Write(answer)
	})
}

// took gives what passed since the last time.
func (p *tap) took() []exchange {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.seen
	p.seen = nil
	return out
}

func (p *tap) set(spoil func(url.Values)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spoil = spoil
}
