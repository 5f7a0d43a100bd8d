package host

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// serveProxy answers CONNECT for the names that are served, and gives the
// connection to the HTTPS server of this host: it dials nobody, so it can be
// abused to reach nobody.
func (h *Host) serveProxy(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodConnect:
		h.connect(w, r)
	case r.URL.Host == "" && r.URL.Path == "/" && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = fmt.Fprint(w, h.proxyHelp())
	case r.URL.Host != "":
		h.refuse(w, r, r.URL.Host, "this proxy takes CONNECT only, so use https")
	default:
		http.Error(w, "lockstep proxy: there is nothing here; GET / explains how to use this port", http.StatusNotFound)
	}
}

func (h *Host) connect(w http.ResponseWriter, r *http.Request) {
	name, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		h.refuse(w, r, r.Host, "name it as HOST:443")
		return
	}
	_, own, _ := net.SplitHostPort(h.Addr())
	switch {
	case !serves(h.names, name):
		h.refuse(w, r, r.Host, "it is not one of the cloud's names, and nothing else is reached from here")
		return
	case port != "443" && port != own:
		h.refuse(w, r, r.Host, "use port 443")
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "lockstep proxy: CONNECT needs HTTP/1.1", http.StatusHTTPVersionNotSupported)
		return
	}
	if err := conn.SetDeadline(time.Now().Add(h.cfg.Limits.Header)); err != nil {
		_ = conn.Close()
		return
	}
	if _, err := conn.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n")); err != nil {
		_ = conn.Close()
		return
	}
	_ = conn.SetDeadline(time.Time{}) // the limits of the HTTPS server follow
	h.through.hand(&readAhead{Conn: conn, r: rw.Reader})
}

// refuse names what was refused, to the client and in the log: that shows what a
// client wants beside the identity provider.
func (h *Host) refuse(w http.ResponseWriter, r *http.Request, what, hint string) {
	what = clip(what)
	h.cfg.Log.WarnContext(r.Context(), "the proxy refused a host", "host", what)
	http.Error(w, fmt.Sprintf("lockstep proxy: %q is refused: %s", what, hint), http.StatusForbidden)
}

func (h *Host) proxyHelp() string {
	return "This is the proxy of a Lockstep laboratory. It leads the names below to the laboratory and refuses all others.\n" +
		"Use it with HTTPS_PROXY=http://" + h.ProxyAddr() + " and trust the laboratory's CA: see lockstep trust.\n\n  " +
		strings.Join(h.names, "\n  ") + "\n"
}

// readAhead is a connection of which some bytes were read already.
type readAhead struct {
	net.Conn
	r *bufio.Reader
}

func (c *readAhead) Read(b []byte) (int, error) {
	if c.r != nil && c.r.Buffered() > 0 {
		return c.r.Read(b[:min(len(b), c.r.Buffered())])
	}
	c.r = nil
	return c.Conn.Read(b)
}

// handed is a listener whose connections are given to it.
type handed struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newHanded() *handed { return &handed{conns: make(chan net.Conn), done: make(chan struct{})} }

func (l *handed) hand(c net.Conn) {
	select {
	case l.conns <- c:
	case <-l.done:
		_ = c.Close()
	}
}

// Accept implements net.Listener.
func (l *handed) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *handed) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr implements net.Listener.
func (l *handed) Addr() net.Addr { return &net.UnixAddr{Name: "proxy", Net: "unix"} }
