package tenant

import (
	"crypto/x509"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// brokerRedirect and nativeRedirect are addresses that every native client may
// use: the broker of Windows with the client's id, and a page that shows nothing.
const (
	brokerRedirect = "ms-appx-web://Microsoft.AAD.BrokerPlugin/"
	nativeRedirect = "https://login.microsoftonline.com/common/oauth2/nativeclient"
)

// Application is a registered client.
type Application struct {
	ID           ids.ClientID
	Name         string
	RedirectURIs []string
	// SPARedirectURIs are of code in a browser; their tokens are for its origin.
	SPARedirectURIs []string
	// Resources it may ask for; empty is all of the tenant's.
	Resources []string
	// Secrets and Certificates make it a confidential client: it must prove itself.
	Secrets      []secret.Text
	Certificates []*x509.Certificate
	// Family members may redeem each other's refresh tokens.
	Family bool
	// BuiltIn applications are in every tenant.
	BuiltIn bool
	// PostLogoutURIs are where a browser may go after signing out.
	PostLogoutURIs []string
	// AppRoles are granted to the application itself, as the claim roles.
	AppRoles []string
	// Consent says who has to allow it what it asks for.
	Consent Consent
	// Pages marks pages of ours that sign people in: codes go to their registered
	// addresses alone, and there is no other way to their tokens. Whoever could make a
	// person sign in to them elsewhere, by a device code or at an address that is easy
	// to copy from, could change how that person signs in.
	Pages bool
}

// Confidential reports whether the application must prove itself.
func (a Application) Confidential() bool { return len(a.Secrets)+len(a.Certificates) > 0 }

// Redirects reports whether uri is registered, letter for letter, but that the
// port of http://localhost and of a loopback address may be any (RFC 8252 section
// 7.3). The addresses of the broker and of native clients go with every client
// that is not confidential and is not our own pages.
func (a Application) Redirects(uri string) bool {
	switch {
	case slices.Contains(a.RedirectURIs, uri), slices.Contains(a.SPARedirectURIs, uri):
		return true
	case !a.Confidential() && !a.Pages && (uri == brokerRedirect+string(a.ID) || uri == nativeRedirect):
		return true
	}
	bare, ok := withoutPort(uri)
	return ok && slices.ContainsFunc(a.RedirectURIs, func(registered string) bool {
		r, ok := withoutPort(registered)
		return ok && r == bare
	})
}

// SPA reports whether uri belongs to code in a browser.
func (a Application) SPA(uri string) bool { return slices.Contains(a.SPARedirectURIs, uri) }

// withoutPort is a loopback address of plain HTTP without its port, and whether
// uri is one.
func withoutPort(uri string) (string, bool) {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "http" || u.User != nil || u.Fragment != "" || u.RawQuery != "" {
		return "", false
	}
	host := u.Hostname()
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", false
	}
	return host + "/" + strings.TrimPrefix(u.EscapedPath(), "/"), true
}

// MayAsk reports whether the application may ask for a resource.
func (a Application) MayAsk(r Resource) bool {
	return len(a.Resources) == 0 || slices.ContainsFunc(a.Resources, r.Is)
}

// Resource is an audience of access tokens.
type Resource struct {
	// URI names it, such as https://graph.microsoft.com.
	URI string
	// ID is the application id of the resource; empty when it has none.
	ID   ids.ClientID
	Name string
	// Aliases are other URIs for it.
	Aliases []string
	// Scopes that clients may be given; none is user_impersonation.
	Scopes []string
	// Version of the access tokens it takes, 1 or 2; by the endpoint when 0.
	Version int
	// CAE says that it checks tokens for revocation and answers with claims
	// challenges, so that clients which take those get tokens that live long.
	CAE bool
	// BuiltIn resources are in every tenant.
	BuiltIn bool
}

// Is reports whether name means the resource: its URI or an alias, with a slash
// at the end or without, because clients do not agree on it; its id; or api:// and
// the id.
func (r Resource) Is(name string) bool {
	bare := strings.TrimSuffix(name, "/")
	if r.ID != "" && (strings.EqualFold(bare, string(r.ID)) || strings.EqualFold(bare, "api://"+string(r.ID))) {
		return true
	}
	same := func(uri string) bool { return strings.EqualFold(strings.TrimSuffix(uri, "/"), bare) }
	return bare != "" && (same(r.URI) || slices.ContainsFunc(r.Aliases, same))
}

// Application finds a registered client.
func (t *Tenant) Application(id ids.ClientID) (Application, bool) {
	for _, a := range t.Applications {
		if a.ID == id {
			return a, true
		}
	}
	return Application{}, false
}

// Resource finds a resource by any of its names.
func (t *Tenant) Resource(name string) (Resource, bool) {
	for _, r := range t.Resources {
		if r.Is(name) {
			return r, true
		}
	}
	return Resource{}, false
}
