package host

import (
	"cmp"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Limits bound what a client can hold. Sizes of bodies are the handlers' limits.
type Limits struct {
	// Header is the time for the TLS handshake, and again for the head of a
	// request; 10 s.
	Header time.Duration
	// Read is the time for a whole request; 30 s.
	Read time.Duration
	// Write is the time for a request with its answer; 60 s.
	Write time.Duration
	// Idle is how long a connection may wait for the next request; 2 min.
	Idle time.Duration
	// HeaderBytes bound the head of a request; 32 KiB. A PRT cookie takes some
	// 4 KiB, several of them and a device cookie must fit.
	HeaderBytes int
	// Connections at a time, for HTTPS and for the proxy each; 1024. More wait.
	Connections int
}

func (l Limits) orDefault() Limits {
	return Limits{
		Header: cmp.Or(l.Header, 10*time.Second), Read: cmp.Or(l.Read, 30*time.Second),
		Write: cmp.Or(l.Write, time.Minute), Idle: cmp.Or(l.Idle, 2*time.Minute),
		HeaderBytes: cmp.Or(l.HeaderBytes, 32<<10), Connections: cmp.Or(l.Connections, 1024),
	}
}

func (l Limits) server(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: handler, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: l.Header, ReadTimeout: l.Read, WriteTimeout: l.Write, IdleTimeout: l.Idle,
		MaxHeaderBytes: l.HeaderBytes,
	}
}

// checkListen refuses addresses that other machines reach: a laboratory has
// passwords that stand in files, and a certificate that looks like the cloud's.
func checkListen(addr string, expose bool) error {
	if addr == "" {
		return nil
	}
	name, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("listen address %q is not of the form HOST:PORT", addr)
	}
	ip := net.ParseIP(name)
	if expose || name == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("listen address %q can be reached by other machines: use 127.0.0.1, or say that it is to be exposed", addr)
}
