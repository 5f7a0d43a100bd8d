// Package host shows handlers to the world as the cloud: HTTPS under the names
// that clients have built in, a proxy for clients whose names cannot be
// changed, and a listener behind a proxy that ends TLS itself.
//
// What lives here: listeners, the certificate authority of a laboratory and its
// certificates, limits on connections, the way from a host name to a handler.
// What never may: anything of the protocol that is served. `lockstep serve` and
// tests that need a tenant call it.
package host

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/netutil"
)

// drainTime is what requests under way get to finish when the host stops.
const drainTime = 5 * time.Second

// Config says what is served, and where.
type Config struct {
	// Handler serves every name that is not in Hosts.
	Handler http.Handler
	// Hosts are handlers by host name: lower case, without port. A name such as
	// "*.adatum.test" stands for one label more.
	Hosts map[string]http.Handler
	// Names are served by Handler beside those of Known: host names or addresses.
	Names []string
	// Listen is the address of the HTTPS listener, HOST:PORT; empty is a free
	// port on 127.0.0.1.
	Listen string
	// ProxyListen is the address of the proxy; empty is no proxy.
	ProxyListen string
	// BehindListen is the loopback address of a plain HTTP listener for a proxy on
	// this machine that ends TLS (serveBehind says what it is trusted with); empty
	// is none. Expose does not widen it.
	BehindListen string
	// Expose lets the listeners be on an address that other machines reach.
	Expose bool
	// StateDir keeps the certificate authority; empty makes one that goes with
	// the host.
	StateDir string
	// Log gets refused hosts and failed handshakes; nil discards.
	Log *slog.Logger
	// Limits bound what one client can hold; zero fields have defaults.
	Limits Limits
}

// Host serves. Certificates are dated by the machine's clock and not by that of
// a laboratory: clients check them by theirs.
type Host struct {
	cfg     Config
	names   []string
	ca      *authority
	server  *http.Server
	proxy   *http.Server
	behind  *http.Server
	through *handed // connections that come out of the proxy
	failed  chan error

	mu                          sync.Mutex
	addr, proxyAddr, behindAddr string
}

// New checks the configuration and makes the certificates. Nothing listens yet.
func New(cfg Config) (*Host, error) {
	if cfg.Handler == nil {
		return nil, errors.New("host: Handler is missing")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	for _, addr := range []string{cfg.Listen, cfg.ProxyListen} {
		if err := checkListen(addr, cfg.Expose); err != nil {
			return nil, fmt.Errorf("host: %w", err)
		}
	}
	if err := checkBehind(cfg.BehindListen); err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	cfg.Limits = cfg.Limits.orDefault()
	h := &Host{cfg: cfg, through: newHanded(), failed: make(chan error, 4)}
	var err error
	if h.names, err = allNames(cfg); err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	if h.ca, err = openAuthority(cfg.StateDir, h.names); err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	tlsConfig, err := h.tls()
	if err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	h.server = cfg.Limits.server(http.HandlerFunc(h.serveTLS), cfg.Log)
	h.server.TLSConfig = tlsConfig
	h.proxy = cfg.Limits.server(http.HandlerFunc(h.serveProxy), cfg.Log)
	h.behind = cfg.Limits.server(http.HandlerFunc(h.serveBehind), cfg.Log)
	return h, nil
}

// Start listens and serves until Close.
func (h *Host) Start() error {
	l, err := h.listen("HTTPS", h.cfg.Listen)
	if err != nil {
		return err
	}
	p, err := h.listen("proxy", h.cfg.ProxyListen)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	b, err := h.listen("behind-proxy", h.cfg.BehindListen)
	if err != nil {
		if p != nil {
			err = errors.Join(err, p.Close())
		}
		return errors.Join(err, l.Close())
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.addr = l.Addr().String()
	h.run(func() error { return h.server.ServeTLS(l, "", "") })
	if p != nil {
		h.proxyAddr = p.Addr().String()
		h.run(func() error { return h.server.ServeTLS(h.through, "", "") })
		h.run(func() error { return h.proxy.Serve(p) })
	}
	if b != nil {
		h.behindAddr = b.Addr().String()
		h.run(func() error { return h.behind.Serve(b) })
	}
	return nil
}

// ServeOn serves on a listener of the caller's, of any network, until Close. There
// is no proxy on it.
func (h *Host) ServeOn(l net.Listener) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.addr = l.Addr().String()
	h.run(func() error { return h.server.ServeTLS(netutil.LimitListener(l, h.cfg.Limits.Connections), "", "") })
}

// listen returns nil when there is no address.
func (h *Host) listen(what, addr string) (net.Listener, error) {
	if addr == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("host: %s listener: %w", what, err)
	}
	return netutil.LimitListener(l, h.cfg.Limits.Connections), nil
}

func (h *Host) run(serve func() error) {
	go func() {
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			h.failed <- err
		}
	}()
}

// Failed delivers the error with which serving ended by itself.
func (h *Host) Failed() <-chan error { return h.failed }

// Close stops listening, lets requests under way finish, for some seconds, and
// ends all connections.
func (h *Host) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	err := errors.Join(stop(ctx, h.proxy), stop(ctx, h.behind), stop(ctx, h.server))
	return errors.Join(err, h.through.Close())
}

// Abort ends all connections at once. A graceful end costs a second when there
// are HTTP/2 clients, which nobody needs after a test.
func (h *Host) Abort() error {
	return errors.Join(h.proxy.Close(), h.behind.Close(), h.server.Close(), h.through.Close())
}

func stop(ctx context.Context, s *http.Server) error {
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return s.Close()
}

// Addr is the address of the HTTPS listener, HOST:PORT, "" before Start.
func (h *Host) Addr() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.addr
}

// ProxyAddr is the address of the proxy, HOST:PORT, "" when there is none.
func (h *Host) ProxyAddr() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.proxyAddr
}

// BehindAddr is the address of the listener for a proxy that ends TLS, HOST:PORT,
// "" when there is none.
func (h *Host) BehindAddr() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.behindAddr
}

// Names are the host names and addresses that are served, wildcards among them.
func (h *Host) Names() []string { return slices.Clone(h.names) }

// CAPEM is the certificate of the authority, for clients to trust.
func (h *Host) CAPEM() []byte { return h.ca.pem() }

// CAPool trusts the authority and nobody else.
func (h *Host) CAPool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(h.ca.cert)
	return pool
}

// Transport reaches this host under every one of its names, whatever the port,
// without a name server. Other names are refused; no proxy is used.
func (h *Host) Transport() *http.Transport {
	return &http.Transport{
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: h.CAPool()},
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: h.cfg.Limits.Header,
		IdleConnTimeout:     h.cfg.Limits.Idle,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			name, _, err := net.SplitHostPort(addr)
			if err != nil || !serves(h.names, name) {
				return nil, fmt.Errorf("%.80q is not served by this host", addr)
			}
			var d net.Dialer
			return d.DialContext(ctx, network, h.Addr())
		},
	}
}
