// Package signinurl decides which URLs are sign-in pages of the identity
// provider and takes the nonce from them (browser SSO, step C).
//
// It is the last check before a PRT cookie is made, whatever browser and native
// host have checked before: a cookie for a foreign page signs its owner in as the
// user. So it takes one spelling and refuses everything that two URL parsers
// could read differently. It is pure and calls nobody.
package signinurl

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/artefact"
)

// Limits, in bytes.
const (
	maxURL   = 16 << 10
	maxHosts = 64
)

const nonceName = "sso_nonce"

// DefaultHosts are the sign-in hosts of the public cloud.
func DefaultHosts() []string {
	return []string{"login.microsoftonline.com", "login.microsoft.com", "login.windows.net"}
}

// ErrNonce is wrapped by every error about the nonce: the page is the identity
// provider's, but no cookie can be made for it.
var ErrNonce = errors.New("sign_in_uri: sso_nonce")

var (
	hostForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)
	pathForm = regexp.MustCompile(`^/[A-Za-z0-9][A-Za-z0-9.-]{0,252}/oauth2(/v2\.0)?/authorize$`)
)

// List is the set of hosts whose pages may get a cookie.
type List struct{ hosts map[string]bool }

// NewList takes host names in lower case, without port. International names are
// refused, in either spelling: no sign-in host has one, look-alikes do.
func NewList(hosts []string) (*List, error) {
	if len(hosts) == 0 || len(hosts) > maxHosts {
		return nil, fmt.Errorf("sign-in hosts: give 1 to %d", maxHosts)
	}
	l := &List{hosts: make(map[string]bool, len(hosts))}
	for _, h := range hosts {
		if len(h) > 253 || !hostForm.MatchString(h) || strings.Contains(h, "xn--") {
			return nil, fmt.Errorf("sign-in host %q is not a plain lower-case host name", h)
		}
		l.hosts[h] = true
	}
	return l, nil
}

// Nonce checks a URL and returns its sso_nonce unchanged. Errors never quote the
// URL.
func (l *List) Nonce(raw string) (string, error) {
	u, err := l.page(raw)
	if err != nil {
		return "", fmt.Errorf("sign_in_uri: %w", err)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "", errors.New("sign_in_uri: the query is malformed")
	}
	return nonce(query)
}

func (l *List) page(raw string) (*url.URL, error) {
	if raw == "" || len(raw) > maxURL {
		return nil, fmt.Errorf("give a URL of 1 to %d bytes", maxURL)
	}
	// Browsers drop tabs and line breaks, and take a backslash for a slash; Go
	// does not. Neither has a place in a URL.
	for i := range len(raw) {
		if c := raw[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\\\"<>^`{|}", c) >= 0 {
			return nil, errors.New("the URL has a character that does not belong in one")
		}
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.Opaque != "" {
		return nil, errors.New("use an absolute https URL")
	}
	if u.User != nil || strings.Contains(u.Host, "@") {
		return nil, errors.New("the URL names a user")
	}
	// An exact compare of the whole authority: another port, an empty port, a
	// trailing dot, brackets or escapes are simply not in the list.
	if !l.hosts[strings.TrimSuffix(strings.ToLower(u.Host), ":443")] {
		return nil, errors.New("the host is not a sign-in host of the identity provider")
	}
	if u.RawPath != "" || !pathForm.MatchString(u.EscapedPath()) {
		return nil, errors.New("the path is not the authorization endpoint")
	}
	if u.Fragment != "" || strings.Contains(raw, "#") {
		return nil, errors.New("the URL has a fragment")
	}
	return u, nil
}

// nonce wants exactly one value under exactly one spelling of the name, so that
// nobody can hide a second one for the other reader.
func nonce(query url.Values) (string, error) {
	found := 0
	for name, values := range query {
		if strings.EqualFold(name, nonceName) {
			found += len(values)
		}
	}
	value := query.Get(nonceName)
	switch {
	case found == 0:
		return "", fmt.Errorf("%w is missing: open the page again so that the identity provider adds one", ErrNonce)
	case found > 1:
		return "", fmt.Errorf("%w stands more than once", ErrNonce)
	case !artefact.Opaque(value, artefact.MaxNonce):
		return "", fmt.Errorf("%w must be 1 to %d letters, digits, dots, dashes or underscores", ErrNonce, artefact.MaxNonce)
	}
	return value, nil
}
