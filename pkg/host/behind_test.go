package host_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/host"
)

// shown is a handler that tells what it knows of the other end's certificate.
func shown() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, sent := r.Header["X-Client-Cert"]
		_, _ = fmt.Fprintf(w, "%s %s certificates=%d header=%v", r.Host, r.Proto, len(r.TLS.PeerCertificates), sent)
	})
}

func TestAProxyThatEndsTLS(t *testing.T) {
	h := start(t, host.Config{Handler: shown(), BehindListen: "127.0.0.1:0"})
	der := selfSigned(t).Certificate[0]
	cert := base64.StdEncoding.EncodeToString(der)
	const drs, https = "enterpriseregistration.windows.net", "https"
	for name, c := range map[string]struct {
		host   string
		proto  []string
		certs  []string
		status int
		says   string
	}{
		"certificate":                  {drs, []string{https}, []string{cert}, 200, drs + " HTTP/1.1 certificates=1 header=false"},
		"scheme in any case":           {drs, []string{"HTTPS"}, nil, 200, "certificates=0 header=false"},
		"a name that asks for none":    {"login.microsoftonline.com", []string{https}, []string{cert}, 200, "certificates=0 header=false"},
		"a name where people sign in":  {"certauth.login.microsoftonline.com", []string{https}, []string{cert}, 200, "certificates=0 header=false"},
		"a private name of that kind":  {"certauth.localhost", []string{https}, []string{cert}, 200, "certificates=0 header=false"},
		"a name that is not served":    {"www.example.org", []string{https}, nil, 421, "not served"},
		"no proxy":                     {drs, nil, []string{cert}, 400, "X-Forwarded-Proto: https"},
		"TLS was not ended":            {drs, []string{"http"}, []string{cert}, 400, "X-Forwarded-Proto: https"},
		"two schemes":                  {drs, []string{https, "http"}, nil, 400, "X-Forwarded-Proto: https"},
		"two certificates":             {drs, []string{https}, []string{cert, cert}, 400, "one certificate"},
		"empty":                        {drs, []string{https}, []string{""}, 400, "not a certificate"},
		"not base64":                   {drs, []string{https}, []string{"%%%"}, 400, "not base64"},
		"PEM on one line":              {drs, []string{https}, []string{"-----BEGIN CERTIFICATE----- " + cert}, 400, "not base64"},
		"not a certificate":            {drs, []string{https}, []string{"AAAA"}, 400, "not a certificate"},
		"bytes behind the certificate": {drs, []string{https}, []string{base64.StdEncoding.EncodeToString(append(der[:len(der):len(der)], 0))}, 400, "not a certificate"},
		"too long":                     {drs, []string{https}, []string{strings.Repeat("A", 9<<10)}, 400, "at most"},
		"malformed where none is read": {"login.microsoftonline.com", []string{https}, []string{"%%%"}, 400, "not base64"},
	} {
		head := http.Header{"Host": {c.host}}
		if c.proto != nil {
			head["X-Forwarded-Proto"] = c.proto
		}
		if c.certs != nil {
			head["X-Client-Cert"] = c.certs
		}
		status, body, err := fetch(http.DefaultClient, "http://"+h.BehindAddr()+"/", head)
		if err != nil || status != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s: %d %q, %v", name, status, body, err)
		}
	}
}

// On the HTTPS listener a certificate comes with a handshake or not at all.
func TestTheHeaderOfAStrangerShowsNoCertificate(t *testing.T) {
	cert := base64.StdEncoding.EncodeToString(selfSigned(t).Certificate[0])
	for _, behind := range []string{"", "127.0.0.1:0"} {
		h := start(t, host.Config{Handler: shown(), ProxyListen: "127.0.0.1:0", BehindListen: behind})
		for where, c := range map[string]*http.Client{"direct": client(h), "by the proxy": proxied(h)} {
			for _, value := range []string{cert, "%%%", ""} {
				_, body, err := fetch(c, "https://enterpriseregistration.windows.net/", http.Header{"X-Client-Cert": {value}, "X-Forwarded-Proto": {"https"}})
				if err != nil || !strings.Contains(body, "certificates=0 header=false") {
					t.Errorf("%s, %.5q: %s, %v", where, value, body, err)
				}
			}
		}
	}
}

func TestBehindAProxyOnThisMachineOnly(t *testing.T) {
	for addr, good := range map[string]bool{"127.0.0.1:0": true, "[::1]:0": true, "0.0.0.0:0": false, ":0": false, "192.0.2.1:0": false, "example.org:0": false, "localhost:0": false, "8445": false} {
		for _, expose := range []bool{false, true} {
			_, err := host.New(host.Config{Handler: said(""), BehindListen: addr, Expose: expose})
			if (err == nil) != good {
				t.Errorf("%q, exposed %v: %v", addr, expose, err)
			}
		}
	}
	if h := start(t, host.Config{}); h.BehindAddr() != "" {
		t.Errorf("it listens at %s without being asked to", h.BehindAddr())
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	h, err := host.New(host.Config{Handler: said(""), ProxyListen: "127.0.0.1:0", BehindListen: taken.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(); err == nil || !strings.Contains(err.Error(), "behind-proxy listener") {
		t.Errorf("a port that is taken: %v", err)
	}
}

// What a stranger may send is bounded as everywhere.
func TestLimitsBehindAProxy(t *testing.T) {
	h := start(t, host.Config{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }), BehindListen: "127.0.0.1:0"})
	head := func(size int) http.Header {
		return http.Header{"Host": {"localhost"}, "X-Forwarded-Proto": {"https"}, "Cookie": {strings.Repeat("x", size)}}
	}
	for size, want := range map[int]int{16 << 10: 200, 30 << 10: 200, 64 << 10: http.StatusRequestHeaderFieldsTooLarge} {
		if status, _, err := fetch(http.DefaultClient, "http://"+h.BehindAddr()+"/", head(size)); status != want || want == 200 && err != nil {
			t.Errorf("%d bytes: %d, %v", size, status, err)
		}
	}
}
