package host

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// The headers of a proxy that ended TLS.
const (
	protoHeader = "X-Forwarded-Proto"
	// CertificateHeader has the TLS client certificate of the proxy's client:
	// DER in base64, one certificate.
	CertificateHeader = "X-Client-Cert"
)

// maxCertificate bounds that header in bytes; a device's certificate takes some
// 1.3 KiB there.
const maxCertificate = 8 << 10

// checkBehind refuses every address but one of this machine, whatever else is
// exposed: see serveBehind for what who connects there is believed.
func checkBehind(addr string) error {
	if addr == "" {
		return nil
	}
	name, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("address behind a proxy %q is not of the form HOST:PORT", addr)
	}
	if ip := net.ParseIP(name); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("address behind a proxy %q is not a loopback address: the proxy runs on this machine, so use one such as 127.0.0.1:8445", addr)
	}
	return nil
}

// serveBehind takes requests in plain HTTP/1.1 from a proxy on this machine that
// ended TLS, and makes of them what the HTTPS listener would have. Host is the name
// that the proxy's client asked.
//
// Who switches this on trusts every process that can connect to loopback as much
// as the proxy, in two things. That the client was on TLS: passwords and tokens
// cross the loopback interface in the clear. And that the client proved, in its
// handshake with the proxy, that it has the key of the certificate in the header:
// the certificate itself is no secret, since every signed request of a device shows
// it, and who shows it here can remove that device, and do nothing else by it.
// The proxy must replace the header that its client sent, or drop it. A page in a
// browser cannot get through: both headers are none that it may set without asking.
func (h *Host) serveBehind(w http.ResponseWriter, r *http.Request) {
	if proto := r.Header.Values(protoHeader); len(proto) != 1 || !strings.EqualFold(proto[0], "https") {
		http.Error(w, "lockstep: this listener is for a proxy that ended TLS: it says so with "+protoHeader+": https", http.StatusBadRequest)
		return
	}
	name := bare(r.Host)
	state := &tls.ConnectionState{HandshakeComplete: true, ServerName: name}
	if shown := r.Header.Values(CertificateHeader); len(shown) > 0 {
		cert, err := readCertificate(shown)
		if err != nil {
			http.Error(w, "lockstep: "+CertificateHeader+": "+err.Error(), http.StatusBadRequest)
			return
		}
		// The HTTPS listener asks nobody else for one; and people sign in by a handshake
		// alone, because with the header every process that can connect to loopback
		// could be each of them.
		if asksForCertificate(name) && !signsPeopleIn(name) {
			state.PeerCertificates = []*x509.Certificate{cert}
		}
	}
	r = withoutCertificateHeader(r)
	r.TLS = state
	h.route(w, r)
}

// serveTLS takes requests from the HTTPS listener, where certificates come by TLS
// and a stranger's header says nothing.
func (h *Host) serveTLS(w http.ResponseWriter, r *http.Request) {
	if _, sent := r.Header[CertificateHeader]; sent {
		r = withoutCertificateHeader(r)
	}
	h.route(w, r)
}

// withoutCertificateHeader is a copy of the request for handlers, none of which
// can then take the header for more than it is.
func withoutCertificateHeader(r *http.Request) *http.Request {
	r = r.WithContext(r.Context())
	r.Header = r.Header.Clone()
	r.Header.Del(CertificateHeader)
	return r
}

func readCertificate(shown []string) (*x509.Certificate, error) {
	if len(shown) != 1 || len(shown[0]) > maxCertificate {
		return nil, fmt.Errorf("send one certificate, at most %d bytes", maxCertificate)
	}
	der, err := base64.StdEncoding.Strict().DecodeString(shown[0])
	if err != nil {
		return nil, fmt.Errorf("it is not base64: send the DER form in base64, without the lines of PEM")
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("it is not a certificate in DER")
	}
	return cert, nil
}
