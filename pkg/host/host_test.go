package host_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/host"
)

// said is a handler that tells which one it is, and what it saw.
func said(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprintf(w, "%s %s %s certificates=%d head=%d", name, r.Host, r.Proto, len(r.TLS.PeerCertificates), len(r.Header.Get("Cookie")))
	})
}

func start(t *testing.T, cfg host.Config) *host.Host {
	t.Helper()
	if cfg.Handler == nil {
		cfg.Handler = said("default")
	}
	h, err := host.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Abort(); err != nil {
			t.Error(err)
		}
		select {
		case err := <-h.Failed():
			t.Error(err)
		default:
		}
	})
	return h
}

func get(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	status, body, err := fetch(c, url, nil)
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	return status, body
}

func fetch(c *http.Client, url string, header http.Header) (int, string, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	for k, v := range header {
		req.Header[k] = v
		if k == "Host" {
			req.Host = v[0]
		}
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

func client(h *host.Host) *http.Client {
	return &http.Client{Transport: h.Transport(), Timeout: 10 * time.Second}
}

func TestDEP04_HostNamesOfTheCloud(t *testing.T) {
	h := start(t, host.Config{
		Hosts: map[string]http.Handler{"graph.microsoft.com": said("graph"), "sts.adatum.test": said("adfs"), "*.apps.test": said("apps")},
		Names: []string{"cloud.example"},
	})
	c := client(h)
	for name, want := range map[string]string{
		"login.microsoftonline.com": "default", "LOGIN.microsoftonline.com": "default", "login.windows.net:8443": "default",
		"enterpriseregistration.windows.net": "default", "device.login.microsoftonline.com": "default",
		"graph.microsoft.com": "graph", "sts.adatum.test": "adfs", "portal.apps.test": "apps", "anything.lockstep.test": "default",
		"cloud.example": "default", "localhost": "default", "127.0.0.1": "default", "[::1]": "default",
	} {
		if status, body := get(t, c, "https://"+name+"/x"); status != 200 || !strings.HasPrefix(body, want+" ") || !strings.Contains(body, "HTTP/2.0") {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	// An address that was chosen is a name too.
	other := start(t, host.Config{Listen: "127.77.0.1:0"})
	get(t, client(other), "https://127.77.0.1/")
	if _, _, err := fetch(c, "https://www.example.org/", nil); err == nil {
		t.Error("another name was dialled")
	}
	for _, foreign := range []string{"evil.example", "a.b.apps.test", "apps.test", "*.apps.test"} {
		if status, _, err := fetch(c, "https://localhost/", http.Header{"Host": {foreign}}); err != nil || status != http.StatusMisdirectedRequest {
			t.Errorf("a request for %q: %d, %v", foreign, status, err)
		}
	}
}

// selfSigned is a certificate that nobody here issued.
func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a device"}, NotAfter: time.Now().Add(-time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestDEP04_ClientCertificatesReachTheHandler(t *testing.T) {
	h := start(t, host.Config{})
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		asked := map[string]bool{}
		tr, foreign := h.Transport(), selfSigned(t)
		tr.TLSClientConfig.MaxVersion = version
		tr.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked["yes"] = true
			return &foreign, nil
		}
		c := &http.Client{Transport: tr}
		for name, want := range map[string]bool{
			"enterpriseregistration.windows.net": true, "device.login.microsoftonline.com": true, "enterpriseregistration.lockstep.test": true,
			"login.microsoftonline.com": false, "localhost": false,
		} {
			asked["yes"] = false
			// Expired, of nobody we know, and not refused: it is the handler's to judge.
			status, body := get(t, c, "https://"+name+"/")
			if status != 200 || asked["yes"] != want || strings.Contains(body, "certificates=1") != want {
				t.Errorf("%s, TLS %x: %d, asked: %v, %s", name, version, status, asked["yes"], body)
			}
		}
	}
	// Nobody has to show one.
	if status, body := get(t, client(h), "https://enterpriseregistration.windows.net/"); status != 200 || !strings.Contains(body, "certificates=0") {
		t.Errorf("without a certificate: %d %s", status, body)
	}
	// A connection for the one kind of names does not serve the other.
	for sni, name := range map[string]string{"login.microsoftonline.com": "enterpriseregistration.windows.net", "device.login.microsoftonline.com": "login.microsoftonline.com"} {
		if status, _, err := fetch(client(h), "https://"+sni+"/", http.Header{"Host": {name}}); err != nil || status != http.StatusMisdirectedRequest {
			t.Errorf("%s over a connection for %s: %d, %v", name, sni, status, err)
		}
	}
}

func TestHeadersOf16KiBAndMore(t *testing.T) {
	h := start(t, host.Config{})
	for _, h2 := range []bool{true, false} {
		tr := h.Transport()
		if tr.ForceAttemptHTTP2 = h2; !h2 {
			tr.TLSClientConfig.NextProtos = []string{"http/1.1"}
		}
		c := &http.Client{Transport: tr}
		for size, want := range map[int]int{16 << 10: 200, 30 << 10: 200, 64 << 10: http.StatusRequestHeaderFieldsTooLarge} {
			status, _, err := fetch(c, "https://localhost/", http.Header{"Cookie": {strings.Repeat("x", size)}})
			refused := err != nil || status == want // over HTTP/2 the client itself may refuse to send it
			if want == 200 && (err != nil || status != 200) || want != 200 && (!refused || status == 200) {
				t.Errorf("HTTP/2 %v, %d bytes: %d, %v", h2, size, status, err)
			}
		}
	}
}

func TestDEP05_TheAuthorityStaysOnlyWithAStateFolder(t *testing.T) {
	a, b := start(t, host.Config{}), start(t, host.Config{})
	if bytes.Equal(a.CAPEM(), b.CAPEM()) {
		t.Error("two hosts without state have one authority")
	}
	dir := filepath.Join(t.TempDir(), "state")
	c, d := start(t, host.Config{StateDir: dir}), start(t, host.Config{StateDir: dir})
	if !bytes.Equal(c.CAPEM(), d.CAPEM()) {
		t.Error("the authority did not stay")
	}
	// Who trusted the first is content with the second.
	tr := d.Transport()
	tr.TLSClientConfig.RootCAs = c.CAPool()
	get(t, &http.Client{Transport: tr}, "https://login.microsoftonline.com/")
	if _, _, err := fetch(&http.Client{Transport: func() *http.Transport { tr := a.Transport(); tr.TLSClientConfig.RootCAs = b.CAPool(); return tr }()}, "https://localhost/", nil); err == nil {
		t.Error("a foreign authority is trusted")
	}
	public, err := os.ReadFile(filepath.Join(dir, host.CAFile))
	if err != nil || !bytes.Equal(public, c.CAPEM()) {
		t.Errorf("%s: %v", host.CAFile, err)
	}
	all, _ := os.ReadDir(dir)
	for _, f := range all {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", f.Name(), info.Mode(), err)
		}
	}
	if _, err := host.New(host.Config{Handler: said(""), StateDir: dir, Names: []string{"cloud.example"}}); err == nil || !strings.Contains(err.Error(), "delete authority.pem") {
		t.Errorf("a name that the kept authority may not sign for: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "authority.pem"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := host.New(host.Config{Handler: said(""), StateDir: dir}); err == nil {
		t.Error("a damaged authority was replaced, and with it what clients trust")
	}
}

// Who takes the authority's key must not be any site to those who trust it.
func TestTheAuthorityIsBoundToItsNames(t *testing.T) {
	dir := t.TempDir()
	if pem := start(t, host.Config{StateDir: dir}).CAPEM(); bytes.Contains(pem, []byte("PRIVATE")) {
		t.Fatal("the public certificate came with a key")
	}
	b, err := os.ReadFile(filepath.Join(dir, "authority.pem"))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := tls.X509KeyPair(b, b)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.Leaf)
	for name, good := range map[string]bool{"login.microsoftonline.com": true, "www.example.org": false, "www.microsoft.com": false} {
		leaf := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, leaf, ca.Leaf, &ca.PrivateKey.(*ecdsa.PrivateKey).PublicKey, ca.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); (err == nil) != good {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !strings.Contains(ca.Leaf.Subject.String(), "Lockstep lab CA") {
		t.Errorf("the authority is called %s", ca.Leaf.Subject)
	}
}

func TestOnlyThisMachine(t *testing.T) {
	for addr, good := range map[string]bool{"127.0.0.1:0": true, "127.77.0.1:0": true, "[::1]:0": true, "localhost:0": true, ":0": false, "0.0.0.0:0": false, "192.0.2.1:0": false, "example.org:0": false, "127.0.0.1": false} {
		for _, cfg := range []host.Config{{Listen: addr}, {ProxyListen: addr}} {
			cfg.Handler = said("")
			if _, err := host.New(cfg); (err == nil) != good {
				t.Errorf("%q: %v", addr, err)
			}
		}
	}
	if _, err := host.New(host.Config{Handler: said(""), Listen: "0.0.0.0:0", Expose: true}); err != nil {
		t.Error(err)
	}
	for _, bad := range []host.Config{{}, {Handler: said(""), Names: []string{"Upper.test"}}, {Handler: said(""), Names: []string{"a.test:443"}}, {Handler: said(""), Hosts: map[string]http.Handler{"": said("")}}} {
		if _, err := host.New(bad); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

// Requests under way are answered, new ones are not.
func TestCloseLetsRequestsFinish(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	h := start(t, host.Config{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-leave
		_, _ = io.WriteString(w, "done")
	})})
	answer := make(chan string, 1)
	go func() {
		_, body, err := fetch(client(h), "https://localhost/", nil)
		answer <- fmt.Sprint(body, err)
	}()
	<-entered
	closed := make(chan error, 1)
	go func() { closed <- h.Close() }()
	for { // until the listener is gone
		if conn, err := net.Dial("tcp", h.Addr()); err != nil {
			break
		} else if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
	close(leave)
	if got := <-answer; got != "done<nil>" {
		t.Errorf("the request under way got %q", got)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

func TestAPortThatIsTaken(t *testing.T) {
	a := start(t, host.Config{ProxyListen: "127.0.0.1:0"})
	for _, cfg := range []host.Config{{Listen: a.Addr()}, {ProxyListen: a.ProxyAddr()}} {
		cfg.Handler = said("")
		h, err := host.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Start(); err == nil || !strings.Contains(err.Error(), "listener") {
			t.Errorf("%+v: %v", cfg, err)
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}
}

// lines collects a log.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
