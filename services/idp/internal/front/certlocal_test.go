package front_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/publicsuffix"

	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/certificate/certificatetest"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// person is a browser with a card: it keeps cookies as browsers do, finds every name on
// this machine, and stops where it would leave for an application.
type person struct {
	*http.Client
	port string
}

func withCard(t *testing.T, handler http.Handler, card tls.Certificate) person {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	jar, err := cookiejar.New(&cookiejar.Options{PublicSuffixList: publicsuffix.List})
	if err != nil {
		t.Fatal(err)
	}
	at := server.Listener.Addr().String()
	_, port, _ := net.SplitHostPort(at)
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, at)
	}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	// The test's server has a certificate for that name, whatever name is asked.
	trust := &tls.Config{RootCAs: roots, ServerName: "example.com", Certificates: []tls.Certificate{card}}
	return person{&http.Client{
		Jar: jar, Transport: &http.Transport{DialContext: dial, TLSClientConfig: trust},
		CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			if !strings.Contains(r.URL.Host, "localhost") {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}, port}
}

// do sends a request from a page of a host.
func (p person) do(t *testing.T, method, address, origin string, form url.Values) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if origin != "" {
		r.Header.Set("Origin", origin)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	a, err := p.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{a, string(text)}
}

// fields are the hidden fields of a page, with more.
func fields(r reply, more ...string) url.Values {
	v := url.Values{}
	all := append(hidden(r), more...)
	for i := 0; i < len(all); i += 2 {
		v.Set(all[i], html.UnescapeString(all[i+1]))
	}
	return v
}

// A laboratory is reached as localhost too, for which browsers take no cookie of another
// name: the session that a certificate begins is the login host's all the same.
func TestACertificateSignsInAtLocalhost(t *testing.T) {
	authority := certificatetest.New(t, "Cards", time.Now())
	s := whole(t, func(c *idp.Config) {
		parts := strings.SplitAfterN(string(tenant.Default()), "    profile: today\n", 2)
		c.Tenants = []byte(parts[0] + fmt.Sprintf("    certificate_authorities:\n      - {name: Cards, multi_factor: true, pem: %q}\n", authority.PEM()) + parts[1])
	})
	der, key := authority.Issue(t, []string{alice})
	p := withCard(t, s.handler, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})
	host := "https://localhost:" + p.port
	first := p.do(t, http.MethodGet, host+visit("&prompt=login"), "", nil)
	name := p.do(t, http.MethodPost, host+"/common/login", host, fields(first, "login", alice))
	choice := p.do(t, http.MethodPost, host+"/common/login", host, fields(name, "login", alice, "credential", "certificate"))
	to := regexp.MustCompile(`action="(https://certauth\.localhost:` + p.port + `/common/certauth)"`).FindStringSubmatch(choice.text)
	if to == nil {
		t.Fatalf("no form for the certificate: %s", choice.text)
	}
	over := p.do(t, http.MethodPost, to[1], host, fields(choice))
	if len(over.Cookies()) != 0 || !strings.Contains(over.text, `action="`+host+`/common/resume"`) {
		t.Fatalf("%v %s", over.Cookies(), over.text)
	}
	wantCode(t, p.do(t, http.MethodPost, host+"/common/resume", "https://certauth.localhost:"+p.port, fields(over)))
	wantCode(t, p.do(t, http.MethodGet, host+visit("&prompt=none"), "", nil))
	// By a link it goes nowhere: a browser does not say whose link it was.
	again := p.do(t, http.MethodPost, to[1], host, fields(choice))
	link := p.do(t, http.MethodGet, host+"/common/resume?"+fields(again).Encode(), "", nil)
	if !strings.Contains(link.text, "AADSTS50089") {
		t.Errorf("%d %s", link.StatusCode, link.text)
	}
}
