package tenant

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
)

// PRTUpdate is the resource of a page at which a user proves more for the PRT.
const PRTUpdate = "urn:aad:tb:update:prt"

// All stands for every user, resource or place in a policy; Trusted for every
// location that is marked as trusted.
const (
	All     = "All"
	Trusted = "Trusted"
)

// State of a policy.
type State string

// The states. Report evaluates and never refuses.
const (
	Enabled  State = "enabled"
	Report   State = "report"
	Disabled State = "disabled"
)

// Grant is a control: what a policy demands.
type Grant string

// The controls.
const (
	GrantNone      Grant = ""
	GrantBlock     Grant = "block"
	GrantMFA       Grant = "mfa"
	GrantDevice    Grant = "device"
	GrantCompliant Grant = "compliant_device"
	GrantHybrid    Grant = "hybrid_joined_device"
)

// The conditions for flows.
const (
	FlowDeviceCode = "device_code"
	FlowTransfer   = "authentication_transfer"
)

// UserAction is what a user does in place of using a resource.
type UserAction string

// The user actions.
const (
	RegisterSecurityInfo UserAction = "register_security_info"
	RegisterDevice       UserAction = "register_device"
)

// SecurityInfoResource is where people register how they prove who they are.
const SecurityInfoResource = "https://mysignins.microsoft.com"

// ActionOf is the user action that using a resource amounts to, or empty.
func ActionOf(r Resource) UserAction {
	switch {
	case r.Is(SecurityInfoResource):
		return RegisterSecurityInfo
	case r.Is(entrawire.RegistrationResource):
		return RegisterDevice
	}
	return ""
}

// ClientApp is the kind of client.
type ClientApp string

// The kinds of clients.
const (
	Browser ClientApp = "browser"
	Native  ClientApp = "native"
)

// Platform of the device in front of the user; empty is one that is not known.
type Platform string

// The platforms.
const (
	Windows Platform = "windows"
	MacOS   Platform = "macos"
	Linux   Platform = "linux"
	IOS     Platform = "ios"
	Android Platform = "android"
)

// Risk of a sign-in, a stub's: nobody computes one.
type Risk string

// The levels. The empty one counts as RiskNone.
const (
	RiskNone   Risk = "none"
	RiskLow    Risk = "low"
	RiskMedium Risk = "medium"
	RiskHigh   Risk = "high"
)

// Policy is a conditional access policy: data, judged elsewhere. Empty lists of
// conditions are about everybody and everything, but for users and targets.
type Policy struct {
	// ID is a GUID, which claims challenges name.
	ID    string
	Name  string
	State State
	// IncludeUsers and ExcludeUsers are names of users or groups, or All.
	IncludeUsers, ExcludeUsers []string
	// IncludeResources and ExcludeResources are names of resources, or All. A policy
	// is about resources, user actions or authentication contexts: one of the three.
	IncludeResources, ExcludeResources []string
	UserActions                        []UserAction
	AuthContexts                       []string
	Clients                            []ids.ClientID
	ClientApps                         []ClientApp
	Platforms, ExcludePlatforms        []Platform
	// IncludeLocations and ExcludeLocations are names of locations, All or Trusted.
	IncludeLocations, ExcludeLocations []string
	SignInRisks                        []Risk
	Flows                              []string
	DeviceFilter                       DeviceFilter
	// Grant is short for one control in Grants; a policy has one or the other.
	Grant  Grant
	Grants Grants
	// SignInFrequency demands a sign-in not older than that; 0 is none. EveryTime
	// demands one now.
	SignInFrequency time.Duration
	EveryTime       bool
	// TokenProtection demands tokens that are bound to the device.
	TokenProtection bool
	// PersistentBrowser is always or never, or empty to leave it to the user.
	PersistentBrowser string
}

// DeviceFilter narrows a policy to devices, or to all others; empty without one.
type DeviceFilter struct {
	// Mode is FilterInclude or FilterExclude.
	Mode string
	Rule string
}

// The modes of a filter for devices.
const (
	FilterInclude = "include"
	FilterExclude = "exclude"
)

// Whether a session of a browser outlives its window.
const (
	PersistAlways = "always"
	PersistNever  = "never"
)

// Grants are what a policy demands: all of it, or with OperatorOr one of it.
type Grants struct {
	Operator string
	Controls []Grant
	// Strength is an authentication strength by name.
	Strength string
}

// The operators; empty is OperatorAnd.
const (
	OperatorAnd = "and"
	OperatorOr  = "or"
)

// Demands are the controls of a policy in their long form.
func (p Policy) Demands() Grants {
	g := p.Grants
	if p.Grant != GrantNone {
		g.Controls = append([]Grant{p.Grant}, g.Controls...)
	}
	g.Operator = cmp.Or(g.Operator, OperatorAnd)
	return g
}

// Location is a named set of addresses.
type Location struct {
	Name   string
	Ranges []netip.Prefix
	// Trusted locations are meant by Trusted.
	Trusted bool
}

// Has says whether an address is in the location.
func (l Location) Has(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsValid() && slices.ContainsFunc(l.Ranges, func(r netip.Prefix) bool { return r.Contains(a) })
}

// Strength finds an authentication strength by name: a built-in one or the
// tenant's own.
func (t *Tenant) Strength(name string) (methods.Strength, bool) {
	for _, s := range append(methods.BuiltIn(), t.Strengths...) {
		if s.Name == name {
			return s, true
		}
	}
	return methods.Strength{}, false
}

// Location finds a location by name.
func (t *Tenant) Location(name string) (Location, bool) {
	i := slices.IndexFunc(t.Locations, func(l Location) bool { return l.Name == name })
	if i < 0 {
		return Location{}, false
	}
	return t.Locations[i], true
}

// NamesOf are the names by which a policy may mean a user.
func (t *Tenant) NamesOf(user ids.UPN) []string {
	names := []string{All, string(user)}
	for _, g := range t.Groups {
		if slices.Contains(g.Members, user) {
			names = append(names, g.Name, g.ID)
		}
	}
	return names
}
