package serve_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/serve"
)

const (
	drsHost = "enterpriseregistration.windows.net"
	broker  = "29d9ed98-a469-4536-ade2-f981bc1d605e"
)

// terminator ends TLS in front of a server, as a proxy of an operator's does. A
// header that its client sends is replaced by what the handshake showed.
func terminator(t *testing.T, i serve.Info) *httptest.Server {
	t.Helper()
	proxy := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(&url.URL{Scheme: "http", Host: i.BehindProxy})
		p.Out.Host = p.In.Host
		p.Out.Header.Set("X-Forwarded-Proto", "https")
		p.Out.Header.Del("X-Client-Cert")
		if shown := p.In.TLS.PeerCertificates; len(shown) > 0 {
			p.Out.Header.Set("X-Client-Cert", base64.StdEncoding.EncodeToString(shown[0].Raw))
		}
	}})
	proxy.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	proxy.StartTLS()
	t.Cleanup(proxy.Close)
	return proxy
}

// behind is a client whose every connection ends at the proxy, with a certificate
// to show when it is asked.
func behind(t *testing.T, proxy *httptest.Server, shown ...tls.Certificate) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(proxy.Certificate())
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "example.com", Certificates: shown},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, proxy.Listener.Addr().String())
		},
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// tell sends a request and reads the whole answer.
func tell(t *testing.T, c *http.Client, method, address string, head http.Header, body string) (http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range head {
		req.Header[k] = v
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, address, err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, address, err)
	}
	return *resp, string(text)
}

// joined is a device of alice's, registered by a client.
func joined(t *testing.T, c *http.Client) (id string, cert tls.Certificate) {
	t.Helper()
	resp, text := tell(t, c, http.MethodPost, "https://login.microsoftonline.com/common/oauth2/token", nil, url.Values{
		"grant_type": {"password"}, "client_id": {broker}, "resource": {"urn:ms-drs:" + drsHost},
		"username": {"alice@contoso.test"}, "password": {"correct horse battery staple"},
	}.Encode())
	var token struct {
		Access string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(text), &token); err != nil || token.Access == "" {
		t.Fatalf("the token: %s %s", resp.Status, text)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := entrawire.CreateCSR(key)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := entrawire.MarshalRSA1(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{
		"CertificateRequest": map[string]any{"Type": "pkcs10", "Data": csr}, "TransportKey": transport, "TargetDomain": "contoso.test",
		"DeviceType": "Linux", "OSVersion": "1", "DeviceDisplayName": "PC", "JoinType": 0,
	})
	if err != nil {
		t.Fatal(err)
	}
	resp, text = tell(t, c, http.MethodPost, "https://"+drsHost+"/EnrollmentServer/device/?api-version=2.0", http.Header{"Authorization": {"Bearer " + token.Access}}, string(body))
	var out struct{ Certificate struct{ RawBody []byte } }
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("the device: %s %s", resp.Status, text)
	}
	leaf, err := x509.ParseCertificate(out.Certificate.RawBody)
	if err != nil {
		t.Fatal(err)
	}
	return leaf.Subject.CommonName, tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}
}

// A device joins and leaves through a proxy that ends TLS: the certificate of its
// handshake counts, and one in a header that it sends itself does not.
func TestADeviceLeavesThroughAProxyThatEndsTLS(t *testing.T) {
	alone(t)
	s := start(t, serve.Config{BehindProxy: "127.0.0.1:0"})
	defer stop(t, s)
	proxy := terminator(t, s.Info())
	id, cert := joined(t, behind(t, proxy))
	address := "https://" + drsHost + "/EnrollmentServer/device/" + id + "?api-version=1.0"
	forged := http.Header{"X-Client-Cert": {base64.StdEncoding.EncodeToString(cert.Certificate[0])}, "X-Forwarded-Proto": {"https"}}
	for where, c := range map[string]*http.Client{"the proxy": behind(t, proxy), "the HTTPS listener": visitor(t, s.Info())} {
		if resp, text := tell(t, c, http.MethodDelete, address, forged, ""); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("a certificate that was only named, at %s: %s %s", where, resp.Status, text)
		}
	}
	if resp, text := tell(t, behind(t, proxy, cert), http.MethodDelete, address, nil, ""); resp.StatusCode != http.StatusOK {
		t.Errorf("the device leaves: %s %s", resp.Status, text)
	}
	if resp, _ := tell(t, behind(t, proxy, cert), http.MethodDelete, address, nil, ""); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("the device leaves twice: %s", resp.Status)
	}
	if other := start(t, serve.Config{}); other.Info().BehindProxy != "" {
		t.Errorf("nobody asked for %s", other.Info().BehindProxy)
	} else {
		stop(t, other)
	}
}
