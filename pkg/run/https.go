package run

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// HTTPSPeer is what a component needs to know of a peer that it reaches over HTTPS.
type HTTPSPeer struct {
	// URL is the base address.
	URL string
	// Roots are the authorities of its certificate; nil are the machine's.
	Roots *x509.CertPool
	// Dial connects to HOST:PORT; nil uses the machine's network and names.
	Dial func(ctx context.Context, address string) (net.Conn, error)
}

// OverHTTPS reports whether the address of a peer is https://HOST, and then what is
// needed to reach it. The settings NAME-roots, a PEM file, and NAME-via, an address
// to dial in place of any host, are for servers that are not public.
func (e *Env) OverHTTPS(name string) (HTTPSPeer, bool, error) {
	if !strings.HasPrefix(e.peers[name], "https://") {
		return HTTPSPeer{}, false, nil
	}
	p := HTTPSPeer{URL: e.peers[name]}
	if e.Settings[name+"-roots"] != "" {
		var err error
		if p.Roots, err = e.roots(name); err != nil {
			return p, true, err
		}
	}
	if via := e.Settings[name+"-via"]; via != "" {
		p.Dial = func(ctx context.Context, _ string) (net.Conn, error) { return e.network.Dial(ctx, via) }
	}
	return p, true, nil
}

// Client is an HTTP client for the peer: TLS 1.2 or later, its roots, its way, no
// proxy. Redirects are not followed.
func (p HTTPSPeer) Client() *http.Client {
	t := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: p.Roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute,
		TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: 30 * time.Second, MaxResponseHeaderBytes: 64 << 10,
	}
	if p.Dial != nil {
		t.DialContext = func(ctx context.Context, _, address string) (net.Conn, error) {
			// Behind one address there may be several servers, one of which has just died:
			// nothing was sent so far, so the next one may be tried.
			conn, err := p.Dial(ctx, address)
			if err != nil && ctx.Err() == nil {
				return p.Dial(ctx, address)
			}
			return conn, err
		}
	}
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// HTTPSAt is the HTTPS side at the address that the setting NAME has, whatever host a
// request names; the setting NAME-roots is the PEM file of whom to trust there. It is for
// who stands before that side.
func (e *Env) HTTPSAt(name string) (HTTPSPeer, error) {
	addr := e.Settings[name]
	if addr == "" || e.Settings[name+"-roots"] == "" || e.network == nil {
		return HTTPSPeer{}, fmt.Errorf("settings %s and %s-roots: both are needed", name, name)
	}
	roots, err := e.roots(name)
	if err != nil {
		return HTTPSPeer{}, err
	}
	return HTTPSPeer{Roots: roots, Dial: func(ctx context.Context, _ string) (net.Conn, error) { return e.network.Dial(ctx, addr) }}, nil
}

// roots are the authorities of the PEM file that the setting NAME-roots has.
func (e *Env) roots(name string) (*x509.CertPool, error) {
	path := e.Settings[name+"-roots"]
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("setting %s-roots: %w", name, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("setting %s-roots: %s holds no PEM certificate", name, path)
	}
	return pool, nil
}
