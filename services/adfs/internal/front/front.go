// Package front is the federation provider's HTTP: metadata exchange, WS-Trust
// with a user name and a password or a certificate, and the sign-in page of
// WS-Federation.
//
// What lives here: the change from these wires to calls of the token service and
// back, and the pages. What never may: a decision about who is who, a session,
// windowstransport (Kerberos) in any form. The door hands it to whoever listens;
// TLS and time limits are the listener's.
package front

import (
	"crypto/x509"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/wstrust"
	"github.com/lockstep-sso/lockstep/services/adfs/internal/org"
	"github.com/lockstep-sso/lockstep/services/adfs/internal/sts"
)

// Paths beside those of the token service.
const (
	pathPassive  = "/adfs/ls/"
	pathMetadata = "/FederationMetadata/2007-06/FederationMetadata.xml"
)

// Config is what the front stands on. All but Log must be set.
type Config struct {
	STS          *sts.STS
	Organisation *org.Organisation
	// Certificate is the token-signing certificate, for the metadata.
	Certificate *x509.Certificate
	// Log gets what could not be answered for a fault of ours; nil discards.
	Log *slog.Logger
}

// Front is an http.Handler.
type Front struct {
	sts      *sts.STS
	org      *org.Organisation
	log      *slog.Logger
	pages    *template.Template
	mex      []byte
	metadata []byte
	routes   map[string]http.HandlerFunc
	origin   *http.CrossOriginProtection
}

// New prepares the documents that do not change.
func New(cfg Config) (*Front, error) {
	if cfg.STS == nil || cfg.Organisation == nil || cfg.Certificate == nil {
		return nil, errors.New("federation front: STS, Organisation and Certificate are all needed")
	}
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	f := &Front{sts: cfg.STS, org: cfg.Organisation, log: log, origin: http.NewCrossOriginProtection()}
	base := cfg.Organisation.BaseURL()
	var err error
	meta := wstrust.Metadata{Endpoints: []wstrust.Endpoint{
		{Version: wstrust.Trust13, URL: base + sts.PathWSTrust13},
		{Version: wstrust.Trust2005, URL: base + sts.PathWSTrust2005},
	}}
	for _, at := range cfg.STS.CertificateEndpoints() {
		meta.Certificates = append(meta.Certificates, wstrust.Endpoint{Version: wstrust.Trust13, URL: at})
	}
	f.mex, err = meta.Encode()
	if err != nil {
		return nil, err
	}
	if f.metadata, err = federationMetadata(cfg.Organisation, cfg.Certificate); err != nil {
		return nil, err
	}
	if f.pages, err = template.ParseFS(pages, "page/*.html"); err != nil {
		return nil, err
	}
	f.routes = map[string]http.HandlerFunc{}
	f.route(sts.PathMetadata, document(wstrust.MetadataType, f.mex))
	f.route(pathMetadata, document("application/samlmetadata+xml; charset=utf-8", f.metadata))
	f.route(sts.PathWSTrust13, f.issue(wstrust.Trust13, base+sts.PathWSTrust13, false))
	f.route(sts.PathWSTrust2005, f.issue(wstrust.Trust2005, base+sts.PathWSTrust2005, false))
	for _, e := range meta.Certificates {
		f.route(sts.PathCertificate, f.issue(e.Version, e.URL, true))
	}
	f.route(pathPassive, f.passive)
	return f, nil
}

func (f *Front) route(path string, h http.HandlerFunc) { f.routes[canonical(path)] = h }

// canonical takes paths without regard to case, as IIS and AD FS do, and with or
// without a slash at the end. Nothing else is cleaned: what is not on the list
// is not there.
func canonical(path string) string { return strings.TrimSuffix(strings.ToLower(path), "/") }

// ServeHTTP answers one request.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	handler := f.routes[canonical(r.URL.Path)]
	if handler == nil {
		http.Error(w, "not found: the federation provider serves "+sts.PathMetadata+" and what is named there", http.StatusNotFound)
		return
	}
	handler(w, r)
}

// document serves bytes that do not change.
func document(contentType string, body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !allowed(w, r, http.MethodGet, http.MethodHead) {
			return
		}
		write(w, http.StatusOK, contentType, body)
	}
}

// write sends the whole answer with its length: some clients cannot read a chunked
// one.
func write(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // who has gone away need not be told
}

func allowed(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	for _, m := range methods {
		if r.Method == m {
			return true
		}
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	http.Error(w, "the method is not allowed here: use "+strings.Join(methods, " or "), http.StatusMethodNotAllowed)
	return false
}
