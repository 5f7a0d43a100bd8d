package host

import (
	"crypto/tls"
	"fmt"
	"net/http"
)

// tls makes the configuration of the listener: two certificates, because a
// browser that holds a connection to one name uses it for every other name of
// the same certificate, and a connection where no client certificate was asked
// for can never deliver one.
func (h *Host) tls() (*tls.Config, error) {
	var plain, proving []string
	for _, n := range h.names {
		if asksForCertificate(n) {
			proving = append(proving, n)
		} else {
			plain = append(plain, n)
		}
	}
	cert, err := h.ca.issue(plain)
	if err != nil {
		return nil, err
	}
	devices, err := h.ca.issue(proving)
	if err != nil {
		return nil, err
	}
	protocols := []string{"h2", "http/1.1"}
	// The certificate is not checked here: those of devices are judged by whoever
	// knows the devices, and a foreign one must not end the handshake.
	asking := &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: protocols,
		Certificates: []tls.Certificate{devices}, ClientAuth: tls.RequestClientCert,
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: protocols, Certificates: []tls.Certificate{cert},
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if asksForCertificate(bare(hello.ServerName)) {
				return asking, nil
			}
			return nil, nil
		},
	}, nil
}

// route finds the handler of a name. A name that is not served, or that came over
// a connection for the other kind of names, is misdirected (RFC 9110 15.5.20):
// clients try again on a connection of its own.
func (h *Host) route(w http.ResponseWriter, r *http.Request) {
	name := bare(r.Host)
	if !serves(h.names, name) {
		h.cfg.Log.WarnContext(r.Context(), "a request for a name that is not served", "host", clip(r.Host))
		http.Error(w, fmt.Sprintf("lockstep: %q is not served here", clip(r.Host)), http.StatusMisdirectedRequest)
		return
	}
	if sni := bare(r.TLS.ServerName); sni != "" && asksForCertificate(sni) != asksForCertificate(name) {
		http.Error(w, fmt.Sprintf("lockstep: %s needs a connection of its own, this one is for %s", name, clip(sni)), http.StatusMisdirectedRequest)
		return
	}
	for _, n := range []string{name, wildcard(name)} {
		if handler := h.cfg.Hosts[n]; handler != nil {
			handler.ServeHTTP(w, r)
			return
		}
	}
	h.cfg.Handler.ServeHTTP(w, r)
}

// clip bounds what a stranger's text takes in a log or an answer, in bytes.
func clip(s string) string {
	const most = 100
	if len(s) > most {
		return s[:most]
	}
	return s
}
