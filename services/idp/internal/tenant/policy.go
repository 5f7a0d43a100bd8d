package tenant

import (
	"slices"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
)

// All stands for every user or every resource in a policy.
const All = "All"

// State of a policy.
type State string

// The states. Report evaluates and never refuses.
const (
	Enabled  State = "enabled"
	Report   State = "report"
	Disabled State = "disabled"
)

// Grant is what a policy demands.
type Grant string

// The demands.
const (
	GrantNone      Grant = ""
	GrantBlock     Grant = "block"
	GrantMFA       Grant = "mfa"
	GrantDevice    Grant = "device"
	GrantCompliant Grant = "compliant_device"
)

// FlowDeviceCode is the condition for sign-ins by device code.
const FlowDeviceCode = "device_code"

// Policy is a conditional access policy: data, judged elsewhere.
type Policy struct {
	// ID is a GUID, which claims challenges name.
	ID    string
	Name  string
	State State
	// IncludeUsers and ExcludeUsers are names of users or groups, or All.
	IncludeUsers, ExcludeUsers []string
	// IncludeResources and ExcludeResources are names of resources, or All.
	IncludeResources, ExcludeResources []string
	// Clients and Flows narrow it; empty is every one.
	Clients []ids.ClientID
	Flows   []string
	Grant   Grant
	// SignInFrequency demands a sign-in not older than that; 0 is none.
	SignInFrequency time.Duration
}

// Concerns reports whether a policy is about a user, a resource, a client and a
// flow ("" for the usual ones). A policy without a resource named is about none.
func (t *Tenant) Concerns(p Policy, user ids.UPN, resource Resource, client ids.ClientID, flow string) bool {
	names := t.namesOf(user)
	switch {
	case len(p.Clients) > 0 && !slices.Contains(p.Clients, client), len(p.Flows) > 0 && !slices.Contains(p.Flows, flow):
		return false
	case !listed(p.IncludeUsers, names) || listed(p.ExcludeUsers, names):
		return false
	}
	named := func(list []string) bool {
		return slices.Contains(list, All) || slices.ContainsFunc(list, resource.Is)
	}
	return named(p.IncludeResources) && !named(p.ExcludeResources)
}

// namesOf are the names by which a policy may mean a user.
func (t *Tenant) namesOf(user ids.UPN) []string {
	names := []string{All, string(user)}
	for _, g := range t.Groups {
		if slices.Contains(g.Members, user) {
			names = append(names, g.Name, g.ID)
		}
	}
	return names
}

func listed(list, names []string) bool {
	return slices.ContainsFunc(list, func(l string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(l, n) })
	})
}
