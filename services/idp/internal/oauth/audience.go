package oauth

import (
	"slices"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

const (
	graphURI = "https://graph.microsoft.com"
	// everything is the scope that stands for whatever there is.
	everything = ".default"
	// wholeUser is the one scope of a resource that knows no finer one.
	wholeUser = "user_impersonation"
	maxScopes = 64
)

// audience is what a request asks tokens for.
type audience struct {
	// resource of the access token; nil asks for none.
	resource *tenant.Resource
	// scopes are granted, as the claim scp has them.
	scopes []string
	// told is the member scope of the answer.
	told []string
	// prefix is the resource as the client spelled it, asked the scopes so.
	prefix string
	asked  []string
	// The scopes of OpenID Connect, and aza, which asks for a PRT.
	openid, profile, email, offline, aza bool
}

// audience reads what is asked for. The endpoint v2.0 takes scope, the other one
// resource; a request that says neither means what its grant was made for, which
// is what the fallback says.
func (x *exchange) audience(scope, resource string) (audience, error) {
	switch {
	case x.Version == 2 && x.Scope != "":
		return parseScope(x.tenant, x.app.Application, x.Scope)
	case x.Version == 2 && scope != "":
		return parseScope(x.tenant, x.app.Application, scope)
	case x.Version == 2 && resource != "":
		return parseScope(x.tenant, x.app.Application, strings.TrimSuffix(resource, "/")+"/"+everything+" openid profile offline_access")
	case x.Version == 2:
		return audience{}, prterr.AADSTS(aadsts.MissingParameter, "scope is missing: name a scope of a resource, or openid")
	case x.Resource != "":
		return namedResource(x.tenant, x.app.Application, x.Resource, x.Scope)
	case resource != "":
		return namedResource(x.tenant, x.app.Application, resource, x.Scope)
	case scope != "" && x.Scope == "":
		return x.fromScope(scope)
	default:
		return namedResource(x.tenant, x.app.Application, "", x.Scope)
	}
}

// fromScope is what a grant of the other endpoint is for.
func (x *exchange) fromScope(scope string) (audience, error) {
	a, err := parseScope(x.tenant, x.app.Application, scope)
	if err != nil || a.resource == nil {
		return a, err
	}
	return namedResource(x.tenant, x.app.Application, a.resource.URI, scope)
}

// namedResource is the audience of the endpoint without a version: all of a
// resource, or no access token at all. There are always an ID token and a refresh
// token.
func namedResource(t *tenant.Tenant, app tenant.Application, name, scope string) (audience, error) {
	a := audience{openid: true, profile: true, offline: true, aza: entrawire.HasScope(scope, "aza")}
	if name == "" {
		return a, nil
	}
	r, known := t.Resource(name)
	if !known || !app.MayAsk(r) {
		return a, prterr.AADSTS(aadsts.ResourceNotFound, "")
	}
	a.resource, a.prefix, a.scopes = &r, name, all(r)
	a.told = a.scopes
	return a, nil
}

func all(r tenant.Resource) []string {
	if len(r.Scopes) == 0 {
		return []string{wholeUser}
	}
	return slices.DeleteFunc(slices.Clone(r.Scopes), oidc)
}

func oidc(s string) bool {
	return slices.Contains([]string{"openid", "profile", "email", "offline_access"}, s)
}

// parseScope is the audience of the endpoint v2.0: scopes of one resource, or
// .default for all of it, and those of OpenID Connect. A bare scope is one of
// Microsoft Graph. AADSTS70011 for everything that cannot be.
func parseScope(t *tenant.Tenant, app tenant.Application, scope string) (audience, error) {
	var a audience
	words := strings.Fields(scope)
	if len(words) > maxScopes {
		return a, prterr.AADSTS(aadsts.InvalidScope, "scope has more than %d scopes", maxScopes)
	}
	whole := false
	for _, w := range words {
		switch w {
		case "openid":
			a.openid = true
		case "profile":
			a.profile = true
		case "email":
			a.email = true
		case "offline_access":
			a.offline = true
		case "aza":
			a.aza = true
		case "ugs":
		default:
			prefix, name := splitScope(w)
			if err := a.join(t, app, prefix); err != nil {
				return a, err
			}
			whole = whole || name == everything
			a.asked = append(a.asked, w)
			if err := a.add(name); err != nil {
				return a, err
			}
		}
	}
	if whole && len(a.asked) > 1 {
		return a, prterr.AADSTS(aadsts.InvalidScope, "%s does not go with other scopes of a resource", everything)
	}
	return a.finish(t, app, whole)
}

// splitScope parts a scope into resource and name. The resource may end with a
// slash of its own: https://management.core.windows.net//.default.
func splitScope(w string) (prefix, name string) {
	i := strings.LastIndexByte(w, '/')
	if i < 0 {
		return graphURI, w
	}
	return w[:i], w[i+1:]
}

// join fixes the resource; all scopes are of one.
func (a *audience) join(t *tenant.Tenant, app tenant.Application, prefix string) error {
	r, known := t.Resource(prefix)
	switch {
	case !known || !app.MayAsk(r):
		return prterr.AADSTS(aadsts.InvalidScope, "scope names a resource that is not known in this tenant, or that the application may not ask for")
	case a.resource != nil && a.resource.URI != r.URI:
		return prterr.AADSTS(aadsts.InvalidScope, "scope names two resources: ask for one at a time")
	}
	a.resource, a.prefix = &r, prefix
	return nil
}

// add grants a scope by its name. Of a built-in resource every well-formed name is
// taken, because no list of them is complete; of a tenant's own resource those
// that it lists.
func (a *audience) add(name string) error {
	if name == everything {
		return nil
	}
	known := a.resource.Scopes
	if len(known) == 0 {
		known = []string{wholeUser}
	}
	i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, name) })
	switch {
	case i >= 0:
		name = known[i]
	case !a.resource.BuiltIn || !permission(name):
		return prterr.AADSTS(aadsts.InvalidScope, "scope has a name that the resource does not offer: check its spelling")
	}
	if !slices.Contains(a.scopes, name) {
		a.scopes = append(a.scopes, name)
	}
	return nil
}

// permission reports whether a name can be one of a permission, such as
// Mail.Read.Shared.
func permission(name string) bool {
	letters := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-'
	}
	return name != "" && len(name) <= 128 && strings.TrimFunc(name, letters) == "" && name[0] != '.'
}

// finish fills in what follows from the whole: the answer repeats the scopes as
// they were asked for, because clients look for what was declined.
func (a audience) finish(t *tenant.Tenant, app tenant.Application, whole bool) (audience, error) {
	a.told = slices.Clone(a.asked)
	if a.resource == nil {
		// Only scopes of OpenID Connect: the access token is for Graph, as on Entra,
		// and good for the userinfo endpoint.
		if err := a.join(t, app, graphURI); err != nil {
			return a, err
		}
	}
	if whole {
		a.scopes = all(*a.resource)
		for _, s := range a.scopes {
			a.told = append(a.told, a.prefix+"/"+s)
		}
	}
	for _, o := range []struct {
		name  string
		asked bool
	}{{"openid", a.openid}, {"profile", a.profile}, {"email", a.email}} {
		if !o.asked {
			continue
		}
		a.told = append(a.told, o.name)
		if a.resource.URI == graphURI {
			a.scopes = append(a.scopes, o.name)
		}
	}
	if len(a.told) == 0 && !a.offline && !a.aza {
		return a, prterr.AADSTS(aadsts.InvalidScope, "scope is empty")
	}
	return a, nil
}
