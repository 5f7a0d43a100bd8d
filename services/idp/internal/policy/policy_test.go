package policy_test

import (
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/idp/internal/policy"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

func facts(policies ...tenant.Policy) policy.Facts {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	return policy.Facts{
		Tenant: &tenant.Tenant{Policies: policies, Groups: []tenant.Group{{ID: "g", Name: "Staff", Members: []ids.UPN{"a@x.test"}}}},
		User:   "a@x.test", Client: "c", Resource: tenant.Resource{URI: "https://r.test"}, AuthTime: now.Add(-time.Hour), Now: now,
	}
}

func rule(state tenant.State, grant tenant.Grant) tenant.Policy {
	return tenant.Policy{
		ID: "p-" + string(grant), Name: string(grant), State: state, Grant: grant,
		IncludeUsers: []string{"Staff"}, IncludeResources: []string{"https://r.test/"},
	}
}

func TestPoliciesCombine(t *testing.T) {
	mfa, block, device := rule(tenant.Enabled, tenant.GrantMFA), rule(tenant.Enabled, tenant.GrantBlock), rule(tenant.Enabled, tenant.GrantDevice)
	report, off := rule(tenant.Report, tenant.GrantBlock), rule(tenant.Disabled, tenant.GrantBlock)
	frequency := rule(tenant.Enabled, tenant.GrantNone)
	frequency.SignInFrequency = 30 * time.Minute
	others := rule(tenant.Enabled, tenant.GrantBlock)
	others.ExcludeUsers = []string{"A@x.test"}
	flow := rule(tenant.Enabled, tenant.GrantBlock)
	flow.Flows = []string{tenant.FlowDeviceCode}
	for name, c := range map[string]struct {
		policies []tenant.Policy
		change   func(*policy.Facts)
		want     aadsts.Code
		claims   string
	}{
		"none":               {nil, nil, 0, ""},
		"report only":        {[]tenant.Policy{report}, nil, 0, ""},
		"disabled":           {[]tenant.Policy{off}, nil, 0, ""},
		"excluded":           {[]tenant.Policy{others}, nil, 0, ""},
		"other flow":         {[]tenant.Policy{flow}, nil, 0, ""},
		"that flow":          {[]tenant.Policy{flow}, func(f *policy.Facts) { f.Flow = tenant.FlowDeviceCode }, aadsts.BlockedByPolicy, ""},
		"other resource":     {[]tenant.Policy{block}, func(f *policy.Facts) { f.Resource.URI = "https://s.test" }, 0, ""},
		"second factor":      {[]tenant.Policy{mfa}, nil, aadsts.MFARequired, `{"access_token":{"capolids":{"essential":true,"values":["p-mfa"]}}}`},
		"with it":            {[]tenant.Policy{mfa}, func(f *policy.Facts) { f.MFATime = f.Now }, 0, ""},
		"device":             {[]tenant.Policy{device}, nil, aadsts.DeviceAuthenticationRequired, `{"access_token":{"deviceid":{"essential":true}}}`},
		"a block wins":       {[]tenant.Policy{mfa, block, device}, nil, aadsts.BlockedByPolicy, ""},
		"factor then device": {[]tenant.Policy{device, mfa}, nil, aadsts.MFARequired, `{"access_token":{"capolids":{"essential":true,"values":["p-device","p-mfa"]}}}`},
		"too long ago":       {[]tenant.Policy{frequency}, nil, aadsts.SignInFrequency, ""},
		"just now":           {[]tenant.Policy{frequency}, func(f *policy.Facts) { f.AuthTime = f.Now }, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := facts(c.policies...)
			if c.change != nil {
				c.change(&f)
			}
			d := policy.Decide(f)
			if d.Code != c.want || d.Claims != c.claims {
				t.Errorf("got %v %s, want %v %s", d.Code, d.Claims, c.want, c.claims)
			}
		})
	}
}
