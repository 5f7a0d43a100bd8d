package authorize

import (
	"slices"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/flowstate"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// graph is what scopes without a resource belong to.
const graph = "https://graph.microsoft.com"

// standing scopes belong to no resource.
func standing(scope string) bool {
	return slices.Contains([]string{"openid", "profile", "email", "offline_access", "aza", "ugs"}, scope)
}

// audienceOf finds the resource that a list of scopes is for, empty for none.
// Scopes of two resources do not go together.
func audienceOf(scope string) (string, error) {
	found := ""
	for _, one := range strings.Fields(scope) {
		if standing(one) {
			continue
		}
		name := graph
		if i := strings.LastIndexByte(one, '/'); i > 0 {
			name = strings.TrimSuffix(one[:i], "/")
		}
		if found != "" && !strings.EqualFold(found, name) {
			return "", prterr.AADSTS(aadsts.InvalidScope, "scope names more than one resource")
		}
		found = name
	}
	return found, nil
}

// audience finds what the access token will be for in a tenant. Scopes of OpenID
// Connect alone give one for Graph at the endpoint v2.0. Otherwise, without a name,
// the application itself is what the user signs in to and policy is asked about.
func audience(t *tenant.Tenant, app tenant.Application, a flowstate.Asked) (r tenant.Resource, named bool, err error) {
	name := a.Resource
	if a.V2 {
		if name, err = audienceOf(a.Scope); err != nil {
			return tenant.Resource{}, false, err
		}
	}
	if name == "" && a.V2 && a.Code {
		if r, known := t.Resource(graph); known && app.MayAsk(r) {
			return r, false, nil
		}
	}
	if name == "" {
		return tenant.Resource{URI: string(app.ID), ID: app.ID, Name: app.Name}, false, nil
	}
	r, known := t.Resource(name)
	switch {
	case known && app.MayAsk(r):
		return r, true, nil
	case a.V2:
		err = prterr.AADSTS(aadsts.InvalidScope, "scope names a resource that is not known in this tenant, or that the application may not ask for")
	default:
		err = prterr.AADSTS(aadsts.ResourceNotFound, "")
	}
	return tenant.Resource{}, false, err
}

// audiences says early that no tenant in question has the resource, or that the
// token endpoint will refuse the code, so that nobody types a password for nothing.
func (s *Service) audiences(a flowstate.Asked) error {
	var last error = prterr.AADSTS(aadsts.ApplicationNotFound, "")
	for _, t := range s.gate.Tenants.All() {
		app, known := t.Application(a.Client)
		if a.Tenant != "" && t.ID != a.Tenant || !known {
			continue
		}
		if a.Code && a.Challenge == "" && app.SPA(a.RedirectURI) {
			last = prterr.AADSTS(aadsts.ProofKeyRequired, "")
			continue
		}
		if _, _, last = audience(t, app, a); last == nil {
			return nil
		}
	}
	return last
}

// maxContexts bounds authentication contexts in number, maxContext each in bytes.
const maxContexts, maxContext = 25, 64

// demands reads claims and amr_values. Both can only raise what is demanded:
// what is not known here asks for nothing more.
func demands(claims, amrValues string, a *flowstate.Asked) error {
	if len(claims) > maxClaims || len(amrValues) > maxHint {
		return prterr.AADSTS(aadsts.InvalidRequest, "claims or amr_values is longer than %d bytes", maxClaims)
	}
	for _, m := range strings.FieldsFunc(amrValues, func(r rune) bool { return r == ' ' || r == ',' }) {
		if m == "ngcmfa" || m == "mfa" {
			a.FreshFactor = true
		}
	}
	if claims == "" {
		return nil
	}
	var c struct {
		AccessToken map[string]*wanted `json:"access_token"`
	}
	if err := jose.DecodeObject([]byte(claims), &c); err != nil {
		return prterr.AADSTS(aadsts.InvalidRequest, "claims is not a claims request in JSON")
	}
	for name, w := range c.AccessToken {
		if w == nil {
			continue
		}
		switch name {
		case "amr":
			a.Factor = a.Factor || w.has("mfa")
			a.FreshFactor = a.FreshFactor || w.has("ngcmfa")
		case "acrs":
			a.Contexts = w.texts()
		case "capolids", "polids":
			a.Policies = w.texts()
		case "deviceid":
			a.Device = a.Device || w.Essential
		case "xms_cc":
			a.CAE = w.has("cp1")
		}
	}
	if err := checkPolicies(a.Policies); err != nil {
		return err
	}
	return checkContexts(a.Contexts)
}

func checkPolicies(all []string) error {
	if len(all) > maxContexts || slices.ContainsFunc(all, func(p string) bool { return len(p) > maxContext }) {
		return prterr.AADSTS(aadsts.InvalidRequest, "claims names more than %d policies, or one by more than %d bytes", maxContexts, maxContext)
	}
	return nil
}

func checkContexts(all []string) error {
	if len(all) > maxContexts || slices.ContainsFunc(all, func(c string) bool { return c == "" || len(c) > maxContext }) {
		return prterr.AADSTS(aadsts.InvalidRequest, "claims has more than %d authentication contexts, or one of more than %d bytes", maxContexts, maxContext)
	}
	return nil
}

// wanted is one claim of a claims request, OpenID Connect Core 5.5.1.
type wanted struct {
	Essential bool  `json:"essential"`
	Value     any   `json:"value"`
	Values    []any `json:"values"`
}

// texts are all values that are text.
func (w wanted) texts() []string {
	var out []string
	for _, v := range append(w.Values, w.Value) {
		if text, ok := v.(string); ok {
			out = append(out, text)
		}
	}
	return out
}

func (w wanted) has(value string) bool {
	is := func(v any) bool {
		text, ok := v.(string)
		return ok && strings.EqualFold(text, value)
	}
	return is(w.Value) || slices.ContainsFunc(w.Values, is)
}
