package adfscarrier

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/wstrust"
	federationv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/federation/v1"
)

// Windows codes of the same failures, where it has one.
const (
	hresultNotXML      = 0xCAA9002C // the metadata is not XML
	hresultDTD         = 0xC00CEE4F // XML with a DTD
	hresultNoPasswords = 0xC004848B // the metadata names no endpoint for passwords
)

// maxEndpoints bounds what is remembered of metadata; beyond, all is forgotten
// and asked for anew.
const maxEndpoints = 256

func (c *Conn) getMetadata(ctx context.Context, req *federationv1.GetMetadataRequest, out *federationv1.GetMetadataResponse) error {
	at := req.GetMetadataUrl()
	if at == "" {
		at = c.fallback
	}
	if at == "" {
		return prterr.New(prterr.Invalid, "metadata_url is missing: give the one of realm discovery")
	}
	found, err := c.fetch(ctx, at)
	if err != nil {
		return err
	}
	out.UsernameMixedUrls, out.CertificateMixedUrls = nil, nil
	for _, e := range found.Endpoints {
		out.UsernameMixedUrls = append(out.UsernameMixedUrls, e.URL)
	}
	for _, e := range found.Certificates {
		out.CertificateMixedUrls = append(out.CertificateMixedUrls, e.URL)
	}
	return nil
}

// fetch reads the metadata and remembers the endpoints that may be used.
func (c *Conn) fetch(ctx context.Context, at string) (wstrust.Metadata, error) {
	home, err := parseURL(at)
	if err != nil {
		return wstrust.Metadata{}, prterr.New(prterr.Invalid, "metadata_url is not a plain https URL")
	}
	a, err := c.exchange(ctx, message{method: http.MethodGet, url: at, limit: wstrust.MaxMetadata})
	switch {
	case err != nil:
		return wstrust.Metadata{}, err
	case a.status == http.StatusNotFound:
		return wstrust.Metadata{}, prterr.New(prterr.NotFound, "metadata_url is not of the provider at that host")
	case a.status != http.StatusOK:
		return wstrust.Metadata{}, refusedStatus(a.status)
	}
	meta, err := wstrust.ReadMetadata(a.body)
	if err != nil {
		return wstrust.Metadata{}, notRead("the metadata", err)
	}
	usable := wstrust.Metadata{Endpoints: near(home, meta.Endpoints), Certificates: near(home, meta.Certificates)}
	if len(usable.Endpoints) == 0 {
		return wstrust.Metadata{}, bad("the metadata names no https endpoint for passwords on its own host").WithHRESULT(hresultNoPasswords)
	}
	c.remember(usable)
	return usable, nil
}

// near keeps the endpoints that may be used.
func near(home *url.URL, all []wstrust.Endpoint) (usable []wstrust.Endpoint) {
	for _, e := range all {
		if u, err := parseURL(e.URL); err == nil && sameHost(home, u) {
			usable = append(usable, e)
		}
	}
	return usable
}

func (c *Conn) remember(m wstrust.Metadata) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.versions)+len(m.Endpoints)+len(m.Certificates) > maxEndpoints {
		clear(c.versions)
	}
	for _, e := range m.Endpoints {
		c.versions[endpoint{e.URL, false}] = e.Version
	}
	for _, e := range m.Certificates {
		c.versions[endpoint{e.URL, true}] = e.Version
	}
}

func (c *Conn) version(e endpoint) (wstrust.Version, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.versions[e]
	return v, ok
}

// sameHost holds endpoints to the host and port of the metadata. The cloud names
// that host in realm discovery, and it is all that vouches for where a user's
// password may go: a document that was altered at its source, or that lies on
// somebody's file server, must not be able to send passwords further. A wider
// family (a parent domain) would need to know which domains have one owner, and
// AD FS puts both on one name anyway.
func sameHost(a, b *url.URL) bool {
	return strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return "443"
}

const maxURL = 2 << 10

var errURL = errors.New("not a plain https URL")

// parseURL takes absolute https URLs without user, fragment or blanks.
func parseURL(s string) (*url.URL, error) {
	if s == "" || len(s) > maxURL || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errURL
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return nil, errURL
	}
	if _, _, err := net.SplitHostPort(u.Host); err != nil && u.Port() != "" {
		return nil, errURL
	}
	return u, nil
}
