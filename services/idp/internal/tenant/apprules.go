package tenant

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Problem is what is wrong with an application of a tenant: the field, as the
// tenant file calls it, and why; empty when nothing is. Its secrets are judged by
// SecretProblem.
func (a Application) Problem(t *Tenant) (field, problem string) {
	if !short(a.Name) {
		return "name", "is not 1 to 256 characters"
	}
	if !a.Consent.known() {
		return "consent", "is not one of none, required and administrator"
	}
	for _, list := range []struct {
		field string
		uris  []string
	}{{"redirect_uris", a.RedirectURIs}, {"spa_redirect_uris", a.SPARedirectURIs}, {"post_logout_redirect_uris", a.PostLogoutURIs}} {
		for i, uri := range list.uris {
			if !RedirectURI(uri) {
				return fmt.Sprintf("%s[%d]", list.field, i), "is not an absolute URI without fragment"
			}
		}
	}
	for i, r := range a.Resources {
		if known, ok := t.Resource(r); !ok || known.URI != r {
			return fmt.Sprintf("resources[%d]", i), "is not one of the tenant's resources"
		}
	}
	return "", ""
}

// Problem is what is wrong with a resource: the field, as the tenant file calls
// it, and why; empty when nothing is.
func (r Resource) Problem() (field, problem string) {
	switch {
	case !absoluteURI(r.URI):
		return "uri", "is not an absolute URI"
	case r.Version < 0 || r.Version > 2:
		return "token_version", "is not 1 or 2"
	}
	for i, s := range append(slices.Clone(r.Scopes), r.Aliases...) {
		if !short(s) || strings.ContainsAny(s, " \t") {
			return "scopes", fmt.Sprintf("or aliases have one (number %d) with blanks, or not of 1 to 256 characters", i+1)
		}
	}
	return "", ""
}

// SecretProblem is what is wrong with a client secret; empty when nothing is.
func SecretProblem(s string) string {
	if len(s) < 8 || len(s) > 256 {
		return "is not 8 to 256 bytes"
	}
	return ""
}

// RedirectURI reports whether uri may be registered: absolute, no fragment, at
// most 2048 bytes, and no scheme that runs in the page.
func RedirectURI(uri string) bool {
	u, err := url.Parse(uri)
	return err == nil && u.Scheme != "" && u.Fragment == "" && len(uri) <= 2048 &&
		!slices.Contains([]string{"javascript", "data", "vbscript", "file", "blob"}, strings.ToLower(u.Scheme))
}
