package policy

import (
	"slices"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/services/idp/internal/devicerule"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// about says whether a policy is about the facts, and if not, because of which
// condition: the first that does not hold, by its name in the policy file.
func (f Facts) about(p tenant.Policy) Result {
	names := f.Tenant.NamesOf(f.User)
	for _, c := range []struct {
		name  string
		holds bool
	}{
		{"include_users", listed(p.IncludeUsers, names)},
		{"exclude_users", !listed(p.ExcludeUsers, names)},
		{target(p), f.targeted(p)},
		{"exclude_resources", !f.named(p.ExcludeResources) || f.signsInTo(p)},
		{"clients", every(p.Clients, f.Client)},
		{"client_apps", every(p.ClientApps, f.App)},
		{"platforms", every(p.Platforms, f.Platform)},
		{"exclude_platforms", !slices.Contains(p.ExcludePlatforms, f.Platform)},
		{"include_locations", len(p.IncludeLocations) == 0 || f.at(p.IncludeLocations)},
		{"exclude_locations", !f.at(p.ExcludeLocations)},
		{"sign_in_risks", every(p.SignInRisks, f.risk())},
		{"flows", every(p.Flows, f.Flow)},
		{"device_filter", f.filtered(p.DeviceFilter)},
	} {
		if !c.holds {
			return Result{Policy: p, Because: c.name}
		}
	}
	return Result{Policy: p}
}

// every says whether a value is in a list; the empty list has every value.
func every[T comparable](list []T, v T) bool { return len(list) == 0 || slices.Contains(list, v) }

func listed(list, names []string) bool {
	return slices.ContainsFunc(list, func(l string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(l, n) })
	})
}

// target is the field that says what a policy is about.
func target(p tenant.Policy) string {
	switch {
	case len(p.UserActions) > 0:
		return "user_actions"
	case len(p.AuthContexts) > 0:
		return "auth_contexts"
	}
	return "include_resources"
}

func (f Facts) targeted(p tenant.Policy) bool {
	switch {
	case len(p.UserActions) > 0:
		return slices.Contains(p.UserActions, f.UserAction)
	case len(p.AuthContexts) > 0:
		return slices.ContainsFunc(p.AuthContexts, func(c string) bool { return slices.Contains(f.Contexts, c) })
	case f.Resource.Is(tenant.PRTUpdate) && f.Client == entrawire.BrokerClientID:
		// A PRT is no resource, and is issued without asking (source document s2). A page
		// that an application's token failed for asks for what that challenge named. For
		// another client than the broker it is a resource like any: the address of a visit
		// names it, and the ID token of the visit is the client's.
		return slices.Contains(f.Challenged, p.ID)
	}
	return f.named(p.IncludeResources) || f.signsInTo(p)
}

// signsInTo says whether a policy names the application that the user is signed in to.
// The address of a visit says which resource a token is for, and whoever writes it must
// not choose by that which policy is asked.
func (f Facts) signsInTo(p tenant.Policy) bool {
	if !f.SignsIn {
		return false
	}
	app := tenant.Resource{URI: string(f.Client), ID: f.Client}
	if r, known := f.Tenant.Resource(string(f.Client)); known {
		app = r
	}
	return slices.ContainsFunc(p.IncludeResources, app.Is) && !slices.ContainsFunc(p.ExcludeResources, app.Is)
}

// named says whether a list of resources has the one that is asked for. A user
// action by itself is no resource.
func (f Facts) named(list []string) bool {
	if f.Resource.URI == "" && f.Resource.ID == "" {
		return false
	}
	return slices.Contains(list, tenant.All) || slices.ContainsFunc(list, f.Resource.Is)
}

// at says whether the request comes from one of the locations. One whose address is
// not known comes from everywhere and from nowhere in particular.
func (f Facts) at(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		switch name {
		case tenant.All:
			return true
		case tenant.Trusted:
			return slices.ContainsFunc(f.Tenant.Locations, func(l tenant.Location) bool { return l.Trusted && l.Has(f.IP) })
		}
		l, ok := f.Tenant.Location(name)
		return ok && l.Has(f.IP)
	})
}

func (f Facts) risk() tenant.Risk {
	if f.Risk == "" {
		return tenant.RiskNone
	}
	return f.Risk
}

// filtered says whether a filter for devices lets a policy be about the facts. A
// rule that cannot be read was refused when the policy was written; should one be
// here all the same, it fits no device.
func (f Facts) filtered(filter tenant.DeviceFilter) bool {
	if filter.Mode == "" {
		return true
	}
	rule, err := devicerule.Read(filter.Rule)
	fits := err == nil && rule.Fits(attributes(f.Device))
	return fits == (filter.Mode == tenant.FilterInclude)
}

// attributes are what a filter sees of a device, nothing without one.
func attributes(d *store.Device) devicerule.Device {
	if d == nil {
		return nil
	}
	owner := "Company"
	if d.Trust == store.TrustRegistered {
		owner = "Personal"
	}
	compliant := "False"
	if d.Compliant {
		compliant = "True"
	}
	return devicerule.Device{
		"deviceId": string(d.ID), "displayName": d.DisplayName, "isCompliant": compliant, "trustType": string(d.Trust),
		"operatingSystem": d.Type, "operatingSystemVersion": d.OSVersion, "deviceOwnership": owner,
	}
}
