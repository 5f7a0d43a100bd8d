package host_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/host"
)

// proxied is a client that knows nothing but the proxy and the authority.
func proxied(h *host.Host) *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		Proxy:             http.ProxyURL(&url.URL{Scheme: "http", Host: h.ProxyAddr()}),
		TLSClientConfig:   &tls.Config{RootCAs: h.CAPool()},
		ForceAttemptHTTP2: true,
	}}
}

func TestDEP04_ProxyForClientsWithFixedNames(t *testing.T) {
	log := &lines{}
	h := start(t, host.Config{ProxyListen: "127.0.0.1:0", Hosts: map[string]http.Handler{"graph.microsoft.com": said("graph")}, Log: log.logger()})
	c := proxied(h)
	for name, want := range map[string]string{"login.microsoftonline.com": "default", "graph.microsoft.com": "graph", "enterpriseregistration.windows.net": "default"} {
		if status, body := get(t, c, "https://"+name+"/"); status != 200 || !strings.HasPrefix(body, want+" "+name+" HTTP/2.0") {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	for _, foreign := range []string{"www.example.org", "127.0.0.2", "login.microsoftonline.com:444", "login.microsoftonline.com.example.org"} {
		if _, _, err := fetch(c, "https://"+foreign+"/", nil); err == nil || !strings.Contains(err.Error(), "Forbidden") {
			t.Errorf("%s: %v", foreign, err)
		}
		if !strings.Contains(log.String(), foreign) {
			t.Errorf("the log does not name %s", foreign)
		}
	}
	status, body := get(t, c, "http://login.microsoftonline.com/")
	if status != http.StatusForbidden || !strings.Contains(body, `"login.microsoftonline.com" is refused`) {
		t.Errorf("plain http: %d %s", status, body)
	}
	direct := &http.Client{Timeout: 5 * time.Second}
	if status, body := get(t, direct, "http://"+h.ProxyAddr()+"/"); status != 200 || !strings.Contains(body, "HTTPS_PROXY=http://"+h.ProxyAddr()) || !strings.Contains(body, "\n  login.microsoftonline.com\n") {
		t.Errorf("the page: %d %s", status, body)
	}
	if status, _ := get(t, direct, "http://"+h.ProxyAddr()+"/other"); status != http.StatusNotFound {
		t.Errorf("another page: %d", status)
	}
}

// A client may send its first TLS bytes without waiting for the proxy's answer.
func TestBytesSentAheadOfTheAnswerAreNotLost(t *testing.T) {
	h := start(t, host.Config{ProxyListen: "127.0.0.1:0"})
	conn, err := net.Dial("tcp", h.ProxyAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	eager := &ahead{Conn: conn, first: []byte("CONNECT login.microsoftonline.com:443 HTTP/1.1\r\nHost: x\r\n\r\n")}
	tc := tls.Client(eager, &tls.Config{RootCAs: h.CAPool(), ServerName: "login.microsoftonline.com"})
	if err := tc.Handshake(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(tc, "GET / HTTP/1.1\r\nHost: login.microsoftonline.com\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(tc); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 200 OK") {
		t.Errorf("%s, %v", b, err)
	}
}

// ahead puts a text before the first write and cuts the proxy's answer off.
type ahead struct {
	net.Conn
	first []byte
	r     *bufio.Reader
}

func (c *ahead) Write(b []byte) (int, error) {
	n := len(b)
	b = append(c.first, b...)
	c.first = nil
	_, err := c.Conn.Write(b)
	return n, err
}

func (c *ahead) Read(b []byte) (int, error) {
	if c.r == nil {
		c.r = bufio.NewReader(c.Conn)
		for line := ""; line != "\r\n"; {
			var err error
			if line, err = c.r.ReadString('\n'); err != nil {
				return 0, err
			}
		}
	}
	return c.r.Read(b)
}

// drip sends byte by byte until the other end has enough, and says how long that
// took.
func drip(t *testing.T, conn net.Conn, text string) time.Duration {
	t.Helper()
	began := time.Now()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, conn)
	}()
	for i := 0; time.Since(began) < 10*time.Second; i++ {
		select {
		case <-ended:
			return time.Since(began)
		case <-time.After(20 * time.Millisecond):
			if _, err := conn.Write([]byte{text[i%len(text)]}); err != nil {
				<-ended
				return time.Since(began)
			}
		}
	}
	_ = conn.Close()
	return time.Since(began)
}

func TestSlowClientsAreCutOff(t *testing.T) {
	const limit = 300 * time.Millisecond
	h := start(t, host.Config{ProxyListen: "127.0.0.1:0", Limits: host.Limits{Header: limit, Read: 2 * limit, Write: 2 * limit, Idle: limit}})
	secure := func(t *testing.T, head string) net.Conn {
		conn, err := tls.Dial("tcp", h.Addr(), &tls.Config{RootCAs: h.CAPool(), ServerName: "localhost", NextProtos: []string{"http/1.1"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, head); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	plain := func(t *testing.T, addr, head string) net.Conn {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, head); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	for name, conn := range map[string]func(*testing.T) net.Conn{
		"handshake": func(t *testing.T) net.Conn { return plain(t, h.Addr(), "\x16\x03\x01\x02\x00") },
		"head":      func(t *testing.T) net.Conn { return secure(t, "GET / HTTP/1.1\r\nHost: localhost\r\nX: ") },
		"body": func(t *testing.T) net.Conn {
			return secure(t, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999\r\n\r\n")
		},
		"proxy head": func(t *testing.T) net.Conn { return plain(t, h.ProxyAddr(), "CONNECT localhost:443 HTTP/1.1\r\nX: ") },
		"behind CONNECT": func(t *testing.T) net.Conn {
			return plain(t, h.ProxyAddr(), "CONNECT localhost:443 HTTP/1.1\r\nHost: x\r\n\r\n\x16\x03\x01\x02\x00")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if took := drip(t, conn(t), "x"); took > 10*limit {
				t.Errorf("a slow client was served for %v", took)
			}
		})
	}
	t.Run("idle", func(t *testing.T) {
		t.Parallel()
		conn := secure(t, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		began := time.Now()
		_ = conn.SetReadDeadline(began.Add(10 * time.Second))
		if _, err := io.Copy(io.Discard, conn); err != nil || time.Since(began) > 10*limit {
			t.Errorf("an idle connection was kept for %v, %v", time.Since(began), err)
		}
	})
}

// More connections than there is room for wait, and are served later.
func TestConnectionsAreBounded(t *testing.T) {
	h := start(t, host.Config{Limits: host.Limits{Connections: 1}})
	dial := func() *http.Client {
		tr := h.Transport()
		tr.TLSClientConfig.NextProtos = []string{"http/1.1"}
		tr.ForceAttemptHTTP2 = false
		return &http.Client{Transport: tr, Timeout: 5 * time.Second}
	}
	first := dial()
	get(t, first, "https://localhost/") // stays open, idle
	second := dial()
	second.Timeout = 300 * time.Millisecond
	if _, _, err := fetch(second, "https://localhost/", nil); err == nil {
		t.Error("a second connection was served")
	}
	first.CloseIdleConnections()
	second.Timeout = 5 * time.Second
	get(t, second, "https://localhost/")
	second.CloseIdleConnections()
}
