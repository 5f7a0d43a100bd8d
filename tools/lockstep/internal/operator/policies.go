package operator

import (
	"context"
	"fmt"
	"strings"
	"time"

	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
)

// Policies lists the policies of the tenants that are meant.
func (c *Client) Policies(ctx context.Context, tenant string) (List, error) {
	l := List{Head: []string{"tenant", "policy", "name", "state", "users", "about", "when", "demands"}}
	err := c.each(ctx, tenant, func(t *directoryv1.Tenant) error {
		list, err := c.Read.ListPolicies(ctx, &directoryv1.ListPoliciesRequest{TenantId: t.GetTenantId()})
		for _, p := range list.GetPolicies() {
			l.add(p, domain(t), p.GetPolicyId(), p.GetName(), p.GetState(), but(p.GetIncludeUsers(), p.GetExcludeUsers()), about(p), conditions(p), demands(p))
		}
		return err
	})
	return l, err
}

// about is what a policy is for.
func about(p *directoryv1.Policy) string {
	switch {
	case len(p.GetUserActions()) > 0:
		return words(p.GetUserActions())
	case len(p.GetAuthContexts()) > 0:
		return "context " + words(p.GetAuthContexts())
	}
	return but(p.GetIncludeResources(), p.GetExcludeResources())
}

// conditions are when it applies, empty for always.
func conditions(p *directoryv1.Policy) string {
	var all []string
	for _, c := range []struct {
		name             string
		include, exclude []string
	}{
		{"client", p.GetClients(), nil}, {"app", p.GetClientApps(), nil}, {"platform", p.GetPlatforms(), p.GetExcludePlatforms()},
		{"location", p.GetIncludeLocations(), p.GetExcludeLocations()}, {"risk", p.GetSignInRisks(), nil}, {"flow", p.GetFlows(), nil},
	} {
		if len(c.include)+len(c.exclude) > 0 {
			all = append(all, strings.TrimSpace(c.name+" "+but(c.include, c.exclude)))
		}
	}
	if p.GetDeviceFilterMode() != "" {
		all = append(all, p.GetDeviceFilterMode()+" "+p.GetDeviceFilterRule())
	}
	return strings.Join(all, ", ")
}

func demands(p *directoryv1.Policy) string {
	controls := p.GetGrantControls()
	if p.GetGrant() != "" {
		controls = append([]string{p.GetGrant()}, controls...)
	}
	if p.GetAuthenticationStrength() != "" {
		controls = append(controls, p.GetAuthenticationStrength())
	}
	joint := " and "
	if p.GetGrantOperator() == "or" {
		joint = " or "
	}
	var all []string
	add := func(is bool, what string) {
		if is {
			all = append(all, what)
		}
	}
	add(len(controls) > 0, strings.Join(controls, joint))
	add(p.GetSignInFrequencySeconds() > 0, "a sign-in every "+(time.Duration(p.GetSignInFrequencySeconds())*time.Second).String())
	add(p.GetSignInFrequencyEveryTime(), "a sign-in every time")
	add(p.GetTokenProtection(), "tokens bound to the device")
	add(p.GetPersistentBrowser() != "", "browser session kept "+p.GetPersistentBrowser())
	return strings.Join(all, ", ")
}

// Evaluate asks what the policies would say to a sign-in that nobody makes. The first
// row is what they say together.
func (c *Client) Evaluate(ctx context.Context, r *directoryv1.EvaluatePoliciesRequest) (List, error) {
	l := List{Head: []string{"policy", "result", "controls", "because"}}
	a, err := c.Read.EvaluatePolicies(ctx, r)
	if err != nil {
		return l, err
	}
	verdict, help := "granted", ""
	if a.GetErrorCode() != 0 {
		verdict, help = fmt.Sprintf("AADSTS%d", a.GetErrorCode()), words(a.GetAllowedMethods())
		if a.GetHello() {
			help = strings.TrimSpace(help + " windowsHelloForBusiness")
		}
		if help != "" {
			help = "would help: " + help
		}
	}
	l.add(a, "(all together)", verdict, "", help)
	for _, p := range a.GetPolicies() {
		l.Rows = append(l.Rows, []string{p.GetName(), p.GetResult(), strings.Join(append(p.GetGrantControls(), p.GetSessionControls()...), ", "), p.GetNotAppliedBecause()})
	}
	return l, nil
}

// appliedIn are the policies that were about a sign-in, with their results.
func appliedIn(list []*directoryv1.AppliedPolicy) string {
	var all []string
	for _, p := range list {
		switch p.GetResult() {
		case "notApplied", "notEnabled", "reportOnlyNotApplied":
		default:
			all = append(all, p.GetName()+": "+p.GetResult())
		}
	}
	return strings.Join(all, ", ")
}
