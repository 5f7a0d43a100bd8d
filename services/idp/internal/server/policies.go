package server

import (
	"context"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// ListPolicies lists the conditional access policies of a tenant.
func (s *Read) ListPolicies(_ context.Context, req *directoryv1.ListPoliciesRequest) (*directoryv1.ListPoliciesResponse, error) {
	t, err := tenantID(req.GetTenantId())
	if err != nil {
		return nil, err
	}
	list, err := s.Directory.Policies(t)
	if err != nil {
		return nil, err
	}
	out := &directoryv1.ListPoliciesResponse{}
	for _, p := range list {
		out.Policies = append(out.Policies, shown(p))
	}
	return out, nil
}

func shown(p tenant.Policy) *directoryv1.Policy {
	return &directoryv1.Policy{
		PolicyId: p.ID, Name: p.Name, State: string(p.State), IncludeUsers: p.IncludeUsers, ExcludeUsers: p.ExcludeUsers,
		IncludeResources: p.IncludeResources, ExcludeResources: p.ExcludeResources, UserActions: words(p.UserActions), AuthContexts: p.AuthContexts,
		Clients: words(p.Clients), ClientApps: words(p.ClientApps), Platforms: words(p.Platforms), ExcludePlatforms: words(p.ExcludePlatforms),
		IncludeLocations: p.IncludeLocations, ExcludeLocations: p.ExcludeLocations, SignInRisks: words(p.SignInRisks), Flows: p.Flows,
		DeviceFilterMode: p.DeviceFilter.Mode, DeviceFilterRule: p.DeviceFilter.Rule, Grant: string(p.Grant),
		GrantOperator: p.Grants.Operator, GrantControls: words(p.Grants.Controls), AuthenticationStrength: p.Grants.Strength,
		SignInFrequencySeconds: int64(p.SignInFrequency / time.Second), SignInFrequencyEveryTime: p.EveryTime,
		TokenProtection: p.TokenProtection, PersistentBrowser: p.PersistentBrowser,
	}
}

// words turns lists of words of one kind into those of another.
func words[T ~string](list []T) []string {
	var out []string
	for _, w := range list {
		out = append(out, string(w))
	}
	return out
}

func kinds[T ~string](list []string) []T {
	var out []T
	for _, w := range list {
		out = append(out, T(w))
	}
	return out
}

// PutPolicy adds or replaces a policy.
func (s *Admin) PutPolicy(ctx context.Context, req *directoryv1.PutPolicyRequest) (*directoryv1.PutPolicyResponse, error) {
	t, err := tenantID(req.GetTenantId())
	if err != nil {
		return nil, err
	}
	p := req.GetPolicy()
	policy := tenant.Policy{
		ID: p.GetPolicyId(), Name: p.GetName(), State: tenant.State(p.GetState()), IncludeUsers: p.GetIncludeUsers(), ExcludeUsers: p.GetExcludeUsers(),
		IncludeResources: p.GetIncludeResources(), ExcludeResources: p.GetExcludeResources(), UserActions: kinds[tenant.UserAction](p.GetUserActions()),
		AuthContexts: p.GetAuthContexts(), ClientApps: kinds[tenant.ClientApp](p.GetClientApps()), Platforms: kinds[tenant.Platform](p.GetPlatforms()),
		ExcludePlatforms: kinds[tenant.Platform](p.GetExcludePlatforms()), IncludeLocations: p.GetIncludeLocations(), ExcludeLocations: p.GetExcludeLocations(),
		SignInRisks: kinds[tenant.Risk](p.GetSignInRisks()), Flows: p.GetFlows(),
		DeviceFilter: tenant.DeviceFilter{Mode: p.GetDeviceFilterMode(), Rule: p.GetDeviceFilterRule()}, Grant: tenant.Grant(p.GetGrant()),
		Grants:    tenant.Grants{Operator: p.GetGrantOperator(), Controls: kinds[tenant.Grant](p.GetGrantControls()), Strength: p.GetAuthenticationStrength()},
		EveryTime: p.GetSignInFrequencyEveryTime(), TokenProtection: p.GetTokenProtection(), PersistentBrowser: p.GetPersistentBrowser(),
	}
	for i, c := range p.GetClients() {
		id, err := ids.ParseClient(c)
		if err != nil {
			return nil, prterr.New(prterr.Invalid, "policy.clients[%d] is not right: %v", i, err)
		}
		policy.Clients = append(policy.Clients, id)
	}
	// Some 290 years of seconds fit a Duration; beyond, it would wrap to a valid one.
	if seconds := p.GetSignInFrequencySeconds(); seconds == int64(int32(seconds)) {
		policy.SignInFrequency = time.Duration(seconds) * time.Second
	} else {
		policy.SignInFrequency = -1
	}
	id, err := s.Directory.PutPolicy(ctx, t, policy)
	if err != nil {
		return nil, err
	}
	return &directoryv1.PutPolicyResponse{PolicyId: id}, nil
}

// DeletePolicy removes a policy.
func (s *Admin) DeletePolicy(ctx context.Context, req *directoryv1.DeletePolicyRequest) (*directoryv1.DeletePolicyResponse, error) {
	t, err := tenantID(req.GetTenantId())
	if err != nil {
		return nil, err
	}
	if err := s.Directory.DeletePolicy(ctx, t, req.GetPolicyId()); err != nil {
		return nil, err
	}
	return &directoryv1.DeletePolicyResponse{}, nil
}

// ReplacePolicies puts those of a policy file in the place of all that there are.
func (s *Admin) ReplacePolicies(ctx context.Context, req *directoryv1.ReplacePoliciesRequest) (*directoryv1.ReplacePoliciesResponse, error) {
	t, err := tenantID(req.GetTenantId())
	if err != nil {
		return nil, err
	}
	book, err := tenant.ParsePolicies(req.GetDocument())
	if err != nil {
		return nil, prterr.New(prterr.Invalid, "document: %v", err)
	}
	if err := s.Directory.ReplacePolicies(ctx, t, book); err != nil {
		return nil, err
	}
	return &directoryv1.ReplacePoliciesResponse{Policies: int32(len(book.Policies))}, nil
}

// applied are policies with their results, as the log has them.
func applied(list []signinlog.Applied) []*directoryv1.AppliedPolicy {
	var out []*directoryv1.AppliedPolicy
	for _, p := range list {
		out = append(out, &directoryv1.AppliedPolicy{
			PolicyId: p.ID, Name: p.Name, Result: p.Result, GrantControls: p.GrantControls, SessionControls: p.SessionControls, NotAppliedBecause: p.Because,
		})
	}
	return out
}
