package tenant

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/idp/internal/devicerule"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
)

// maxContext is the number of the last authentication context, c99.
const maxContext = 99

// PolicyProblem is what is wrong with a policy in this tenant: the field and why;
// empty when nothing is.
func (t *Tenant) PolicyProblem(p Policy) (field, problem string) {
	for _, rule := range []func(Policy) (string, string){identity, targets, conditions, controls, session, t.references} {
		if field, problem = rule(p); problem != "" {
			return field, problem
		}
	}
	return "", ""
}

func identity(p Policy) (field, problem string) {
	_, err := uuid.Parse(p.ID)
	switch {
	case err != nil || len(p.ID) != 36:
		return "id", "is not a GUID of 36 characters"
	case !short(p.Name):
		return "name", "is not 1 to 256 characters"
	case !slices.Contains([]State{Enabled, Report, Disabled}, p.State):
		return "state", "is not one of enabled, report and disabled"
	}
	return "", ""
}

func targets(p Policy) (field, problem string) {
	kinds := 0
	for _, n := range []int{len(p.IncludeResources), len(p.UserActions), len(p.AuthContexts)} {
		kinds += min(n, 1)
	}
	switch {
	case len(p.IncludeUsers) == 0:
		return "include_users", "is empty: name users, groups, or All"
	case kinds == 0:
		return "include_resources", "is empty: name resources, or All; or user_actions or auth_contexts in their place"
	case kinds > 1:
		return "include_resources", "does not go with user_actions or auth_contexts: make one policy for each"
	case len(p.ExcludeResources) > 0 && len(p.IncludeResources) == 0:
		return "exclude_resources", "goes with include_resources only"
	case other(p.UserActions, RegisterSecurityInfo, RegisterDevice):
		return "user_actions", "has another one than register_security_info and register_device"
	case slices.ContainsFunc(p.AuthContexts, func(c string) bool { return !contextID(c) }):
		return "auth_contexts", "has another one than c1 to c99"
	}
	return "", ""
}

func contextID(c string) bool {
	n, err := strconv.Atoi(strings.TrimPrefix(c, "c"))
	return err == nil && n >= 1 && n <= maxContext && c == "c"+strconv.Itoa(n)
}

func other[T comparable](list []T, known ...T) bool {
	return slices.ContainsFunc(list, func(v T) bool { return !slices.Contains(known, v) })
}

func conditions(p Policy) (field, problem string) {
	platforms := []Platform{Windows, MacOS, Linux, IOS, Android}
	switch {
	case other(p.ClientApps, Browser, Native):
		return "client_apps", "has another one than browser and native"
	case other(p.Platforms, platforms...):
		return "platforms", "has another one than windows, macos, linux, ios and android"
	case other(p.ExcludePlatforms, platforms...):
		return "exclude_platforms", "has another one than windows, macos, linux, ios and android"
	case other(p.SignInRisks, RiskNone, RiskLow, RiskMedium, RiskHigh):
		return "sign_in_risks", "has another one than none, low, medium and high"
	case other(p.Flows, FlowDeviceCode, FlowTransfer):
		return "flows", "has another flow than device_code and authentication_transfer"
	}
	return p.DeviceFilter.problem()
}

func (f DeviceFilter) problem() (field, problem string) {
	if f == (DeviceFilter{}) {
		return "", ""
	}
	if f.Mode != FilterInclude && f.Mode != FilterExclude {
		return "device_filter.mode", "is not one of include and exclude"
	}
	if _, err := devicerule.Read(f.Rule); err != nil {
		return "device_filter.rule", err.Error()
	}
	return "", ""
}

// controls checks what a policy demands before it grants. The control mfa and an authentication
// strength are two ways to say one thing and exclude each other, as on the public
// service ("Conditional Access authentication strengths").
func controls(p Policy) (field, problem string) {
	g := p.Demands()
	switch {
	case other(g.Controls, GrantBlock, GrantMFA, GrantDevice, GrantCompliant, GrantHybrid):
		return "grant", "is not one of block, mfa, device, compliant_device and hybrid_joined_device"
	case p.Grant != GrantNone && (len(p.Grants.Controls) > 0 || p.Grants.Strength != ""):
		return "grant", "does not go with grants: write it as one of the controls"
	case g.Operator != OperatorAnd && g.Operator != OperatorOr:
		return "grants.operator", "is neither and nor or"
	case g.Strength != "" && slices.Contains(g.Controls, GrantMFA):
		return "grants.strength", "does not go with the control mfa: the strength demands a second factor already"
	case slices.Contains(g.Controls, GrantBlock) && (len(g.Controls) > 1 || g.Strength != ""):
		return "grants.controls", "has block beside something else: nothing more can be demanded of who is blocked"
	}
	return "", ""
}

// session checks what a policy demands of a session, and that it demands anything.
func session(p Policy) (field, problem string) {
	g := p.Demands()
	some := len(g.Controls) > 0 || g.Strength != "" || p.SignInFrequency != 0 || p.EveryTime || p.TokenProtection || p.PersistentBrowser != ""
	switch {
	case !some:
		return "grant", "is missing, and so are sign_in_frequency, token_protection and persistent_browser: a policy demands one of them"
	case p.SignInFrequency != 0 && (p.SignInFrequency < time.Minute || p.SignInFrequency > maxLifetime):
		return "sign_in_frequency", "is not from a minute to 9600 hours"
	case p.SignInFrequency != 0 && p.EveryTime:
		return "sign_in_frequency", "is a time and every_time at once"
	case other([]string{p.PersistentBrowser}, "", PersistAlways, PersistNever):
		return "persistent_browser", "is not one of always and never"
	}
	return "", ""
}

// Strangers is the first name in a policy that means nobody and nothing in this tenant:
// the field and what to do; empty when every name is known. A name that is misspelt
// would let everybody past, or shut out nobody. exists says whether there is a user of
// the name.
func (t *Tenant) Strangers(p Policy, exists func(ids.UPN) bool) (field, problem string) {
	person := func(name string) bool {
		upn, err := ids.ParseUPN(name)
		return err == nil && exists(upn) || slices.ContainsFunc(t.Groups, func(g Group) bool { return strings.EqualFold(g.Name, name) || strings.EqualFold(g.ID, name) })
	}
	// An application may be named by its id, whether or not anybody asks for its tokens.
	thing := func(name string) bool {
		_, known := t.Resource(name)
		return known || slices.ContainsFunc(t.Applications, func(a Application) bool { return strings.EqualFold(string(a.ID), name) })
	}
	for _, l := range []struct {
		field, what string
		names       []string
		known       func(string) bool
	}{
		{"include_users", "user or group", p.IncludeUsers, person}, {"exclude_users", "user or group", p.ExcludeUsers, person},
		{"include_resources", "resource", p.IncludeResources, thing}, {"exclude_resources", "resource", p.ExcludeResources, thing},
	} {
		for _, name := range l.names {
			if name != All && !l.known(name) {
				return l.field, "names " + strconv.Quote(shortened(name)) + ", which is no " + l.what + " of the tenant: correct it, or make it first"
			}
		}
	}
	return "", ""
}

// listed says whether the tenant file has a user.
func (t *Tenant) listed(name ids.UPN) bool {
	return slices.ContainsFunc(t.Users, func(u User) bool { return u.UPN == name })
}

// references checks that the strengths and locations a policy names are there; users,
// groups and resources are those of one tenant, see Strangers.
func (t *Tenant) references(p Policy) (field, problem string) {
	if s := p.Grants.Strength; s != "" {
		if _, ok := t.Strength(s); !ok {
			return "grants.strength", "names no authentication strength of the tenant: define it in strengths"
		}
	}
	for field, list := range map[string][]string{"include_locations": p.IncludeLocations, "exclude_locations": p.ExcludeLocations} {
		for _, name := range list {
			if _, ok := t.Location(name); !ok && name != All && name != Trusted {
				return field, "names no location of the tenant: define it in locations"
			}
		}
	}
	return "", ""
}

// strengthProblem is what is wrong with an authentication strength of a tenant.
func strengthProblem(s methods.Strength) (field, problem string) {
	switch {
	case !short(s.Name):
		return "name", "is not 1 to 256 characters"
	case slices.ContainsFunc(methods.BuiltIn(), func(b methods.Strength) bool { return strings.EqualFold(b.Name, s.Name) }):
		return "name", "is one of the built-in strengths, which cannot be changed: choose another"
	case len(s.Combinations) == 0:
		return "combinations", "is empty: name at least one"
	}
	for _, c := range s.Combinations {
		for _, m := range c {
			if _, known := methods.Of(m); !known {
				return "combinations", "has a method that is not known, " + strconv.Quote(shortened(string(m)))
			}
		}
		// The public service offers no combination that is a single factor, and one
		// would pass for a strength here.
		if !methods.MultiFactor(c) {
			return "combinations", "has one that is a single factor: add something the user has"
		}
	}
	return "", ""
}

func shortened(s string) string { return strings.ToValidUTF8(s[:min(len(s), 40)], "?") }

// locationProblem is what is wrong with a location.
func locationProblem(l Location) (field, problem string) {
	switch {
	case !short(l.Name):
		return "name", "is not 1 to 256 characters"
	case strings.EqualFold(l.Name, All) || strings.EqualFold(l.Name, Trusted):
		return "name", "is reserved: choose another than All and Trusted"
	case len(l.Ranges) == 0:
		return "ranges", "is empty: name at least one, such as 203.0.113.0/24"
	case slices.ContainsFunc(l.Ranges, func(r netip.Prefix) bool { return r.Bits() == 0 }):
		return "ranges", "has every address there is: leave the location out"
	}
	return "", ""
}
