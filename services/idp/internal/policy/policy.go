// Package policy decides about conditional access: facts in, decision out.
//
// What lives here: how the policies of a tenant combine, and what a client is
// told when they demand more than there is. What never may: a look-up, a clock, a
// token; whoever calls it has collected the facts. It is asked when a resource's
// token is about to be issued, and never when a PRT is issued or renewed.
package policy

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// Facts are what a decision depends on.
type Facts struct {
	Tenant   *tenant.Tenant
	User     ids.UPN
	Client   ids.ClientID
	Resource tenant.Resource
	// Flow is tenant.FlowDeviceCode, or empty for the usual ones.
	Flow string
	// Device is true when a device of the tenant authenticated and is enabled,
	// Compliant when it is that too.
	Device, Compliant bool
	// AuthTime is when the user last proved who they are, MFATime when a second
	// factor was last proven; zero is never.
	AuthTime, MFATime time.Time
	// Now is the time of the decision.
	Now time.Time
}

// Result is what one policy said.
type Result struct {
	Policy tenant.Policy
	// Code is 0 when its demands are met.
	Code aadsts.Code
	// Enforced is false for a policy in report-only mode.
	Enforced bool
}

// Decision is what all of them said together.
type Decision struct {
	// Code is 0 when nothing stands in the way.
	Code aadsts.Code
	// Claims is the claims challenge in JSON that goes with Code, or empty.
	Claims string
	// Results has every policy that is about these facts.
	Results []Result
}

// weight orders refusals: what cannot be repaired comes before what can, and a
// second factor before a device, so that one answer does not hide a worse one.
func weight(c aadsts.Code) int {
	return slices.Index([]aadsts.Code{
		0, aadsts.SignInFrequency, aadsts.DeviceAuthenticationRequired, aadsts.DeviceNotCompliant, aadsts.MFARequired, aadsts.BlockedByPolicy,
	}, c)
}

// Decide combines the policies as the public service does: all that are about the
// facts must be satisfied, and a block wins over everything.
func Decide(f Facts) Decision {
	var d Decision
	var ids []string
	for _, p := range f.Tenant.Policies {
		if p.State == tenant.Disabled || !f.Tenant.Concerns(p, f.User, f.Resource, f.Client, f.Flow) {
			continue
		}
		r := Result{Policy: p, Code: judge(p, f), Enforced: p.State == tenant.Enabled}
		d.Results = append(d.Results, r)
		if !r.Enforced || r.Code == 0 {
			continue
		}
		ids = append(ids, p.ID)
		if weight(r.Code) > weight(d.Code) {
			d.Code = r.Code
		}
	}
	d.Claims = challenge(d.Code, ids)
	return d
}

// judge is what one policy says about the facts.
func judge(p tenant.Policy, f Facts) aadsts.Code {
	if p.SignInFrequency > 0 && f.Now.Sub(f.AuthTime) > p.SignInFrequency {
		return aadsts.SignInFrequency
	}
	switch p.Grant {
	case tenant.GrantBlock:
		return aadsts.BlockedByPolicy
	case tenant.GrantMFA:
		if f.MFATime.IsZero() {
			return aadsts.MFARequired
		}
	case tenant.GrantDevice:
		if !f.Device {
			return aadsts.DeviceAuthenticationRequired
		}
	case tenant.GrantCompliant:
		if !f.Device {
			return aadsts.DeviceAuthenticationRequired
		}
		if !f.Compliant {
			return aadsts.DeviceNotCompliant
		}
	case tenant.GrantNone:
	}
	return 0
}

// challenge is what a client hands back with its next interactive request.
func challenge(code aadsts.Code, policies []string) string {
	type values struct {
		Essential bool     `json:"essential"`
		Values    []string `json:"values,omitempty"`
	}
	token := map[string]values{}
	switch code {
	case 0, aadsts.BlockedByPolicy, aadsts.SignInFrequency:
		return ""
	case aadsts.DeviceAuthenticationRequired:
		token["deviceid"] = values{Essential: true}
	default:
		token["capolids"] = values{Essential: true, Values: policies}
	}
	b, err := json.Marshal(map[string]any{"access_token": token})
	if err != nil {
		return "" // strings in maps: cannot fail
	}
	return string(b)
}
