package grants

import (
	"cmp"
	"slices"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// graphURI is the resource of scopes that name none.
const graphURI = "https://graph.microsoft.com"

// resourceOf finds what a request is for: v1 says it in resource, later versions in
// the scopes, where one that names no resource belongs to Microsoft Graph (bare).
// It answers false when it asks for no resource, and else the scope to tell the
// client, which is empty when the resource was named by itself.
func resourceOf(t *tenant.Tenant, resource, scopes string, bare bool) (r tenant.Resource, granted string, asked bool, err error) {
	if resource != "" {
		r, known := t.Resource(resource)
		if !known {
			return r, "", false, prterr.AADSTS(aadsts.ResourceNotFound, "")
		}
		return r, "", true, nil
	}
	for _, scope := range strings.Fields(scopes) {
		owner := ownerOf(scope)
		if protocolScope(scope) || owner == "" && !bare {
			continue
		}
		next, known := t.Resource(cmp.Or(owner, graphURI))
		switch {
		case !known:
			return r, "", false, prterr.AADSTS(aadsts.InvalidScope, "a scope names a resource that does not exist: check its spelling")
		case asked && next.URI != r.URI:
			return r, "", false, prterr.AADSTS(aadsts.InvalidScope, "the scopes belong to more than one resource: ask for one at a time")
		}
		r, asked = next, true
		granted = strings.TrimSpace(granted + " " + scope)
	}
	return r, granted, asked, nil
}

// protocolScope is one that belongs to no resource.
func protocolScope(s string) bool {
	return slices.Contains([]string{"openid", "profile", "email", "offline_access", "aza", "ugs"}, s)
}

// ownerOf is the resource's part of a scope: before the last slash, as in
// https://graph.microsoft.com/User.Read; empty when it names none.
func ownerOf(scope string) string {
	if i := strings.LastIndexByte(scope, '/'); i > 0 {
		return scope[:i]
	}
	return ""
}
