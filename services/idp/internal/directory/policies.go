package directory

import (
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// Policies lists the conditional access policies of a tenant in the order of
// their names.
func (d *Directory) Policies(t ids.TenantID) ([]tenant.Policy, error) {
	home, err := d.tenant(t)
	if err != nil {
		return nil, err
	}
	return slices.SortedFunc(slices.Values(home.Policies), func(a, b tenant.Policy) int { return strings.Compare(a.Name, b.Name) }), nil
}

// PutPolicy adds a policy to a tenant or puts it in place of the one with its id.
// An empty id is drawn, an empty state is enabled.
func (d *Directory) PutPolicy(ctx context.Context, t ids.TenantID, p tenant.Policy) (string, error) {
	d.changing.Lock()
	defer d.changing.Unlock()
	home, err := d.tenant(t)
	if err != nil {
		return "", err
	}
	if p.ID == "" {
		p.ID = uuid.NewString()
	}
	p.ID = strings.ToLower(p.ID)
	if p.State == "" {
		p.State = tenant.Enabled
	}
	if field, problem := home.PolicyProblem(p); problem != "" {
		return "", prterr.New(prterr.Invalid, "policy.%s %s", policyField(field), problem)
	}
	if field, problem := d.strangers(ctx, home, p); problem != "" {
		return "", prterr.New(prterr.Invalid, "policy.%s %s", field, problem)
	}
	return p.ID, d.changePolicies(ctx, home, func(next *tenant.Tenant) { putPolicy(next, p) }, func() error { return d.keepPolicy(ctx, t, p) })
}

// strangers is what a policy names and the tenant does not have. The users are those of
// the store, whoever made them.
func (d *Directory) strangers(ctx context.Context, home *tenant.Tenant, p tenant.Policy) (field, problem string) {
	return home.Strangers(p, func(name ids.UPN) bool {
		u, err := d.store.UserByUPN(ctx, name)
		return err == nil && u.Tenant == home.ID
	})
}

// policyField is a field of the tenant file as the contract calls it.
func policyField(field string) string {
	named, ok := map[string]string{
		"id": "policy_id", "sign_in_frequency": "sign_in_frequency_seconds", "device_filter.mode": "device_filter_mode", "device_filter.rule": "device_filter_rule",
		"grants.operator": "grant_operator", "grants.controls": "grant_controls", "grants.strength": "authentication_strength",
	}[field]
	if ok {
		return named
	}
	return field
}

// DeletePolicy removes a policy.
func (d *Directory) DeletePolicy(ctx context.Context, t ids.TenantID, id string) error {
	d.changing.Lock()
	defer d.changing.Unlock()
	home, err := d.tenant(t)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(home.Policies, func(p tenant.Policy) bool { return strings.EqualFold(p.ID, id) })
	if i < 0 {
		return prterr.New(prterr.NotFound, "policy_id names no policy of the tenant")
	}
	id = home.Policies[i].ID
	return d.changePolicies(ctx, home, func(next *tenant.Tenant) { dropPolicy(next, id) }, func() error {
		return d.keepRemoval(ctx, policyKind, t, id)
	})
}

// ReplacePolicies puts the policies, strengths and locations of a policy file in the
// place of all that there are.
func (d *Directory) ReplacePolicies(ctx context.Context, t ids.TenantID, book tenant.Rulebook) error {
	d.changing.Lock()
	defer d.changing.Unlock()
	home, err := d.tenant(t)
	if err != nil {
		return err
	}
	for i, p := range book.Policies {
		if field, problem := d.strangers(ctx, home, p); problem != "" {
			return prterr.New(prterr.Invalid, "document: policies[%d].%s %s", i, field, problem)
		}
	}
	if err := d.keepRulebook(ctx, t, book); err != nil {
		return err
	}
	return d.change(t, func(next *tenant.Tenant) { putRulebook(next, book) })
}

// changePolicies keeps and makes a change of one policy: by itself, or, once all of
// them were replaced, as part of the whole, which is then what counts at a restart.
func (d *Directory) changePolicies(ctx context.Context, home *tenant.Tenant, change func(*tenant.Tenant), keepAlone func() error) error {
	whole, old, err := d.replaced(ctx, home.ID)
	if err != nil {
		return err
	}
	if old == nil {
		err = keepAlone()
	} else {
		next := *home
		putRulebook(&next, whole) // as it is now, whatever this process has seen of it
		change(&next)
		err = d.swapRulebook(ctx, home.ID, rulebookOf(&next), old)
	}
	if err != nil {
		return err
	}
	return d.change(home.ID, change)
}

func rulebookOf(t *tenant.Tenant) tenant.Rulebook {
	return tenant.Rulebook{Policies: t.Policies, Strengths: t.Strengths, Locations: t.Locations}
}

func putRulebook(t *tenant.Tenant, b tenant.Rulebook) {
	t.Policies, t.Strengths, t.Locations = b.Policies, b.Strengths, b.Locations
}

func putPolicy(t *tenant.Tenant, p tenant.Policy) {
	t.Policies = put(t.Policies, p, func(o tenant.Policy) bool { return strings.EqualFold(o.ID, p.ID) })
}

func dropPolicy(t *tenant.Tenant, id string) {
	t.Policies = without(t.Policies, func(o tenant.Policy) bool { return strings.EqualFold(o.ID, id) })
}
