package directory

import (
	"context"
	"fmt"
	"slices"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// Registration is an application with what it is as a resource.
type Registration struct {
	tenant.Application
	// Resource is nil for an application that is none.
	Resource *tenant.Resource
}

// Applications lists the applications of a tenant, its own before the built-in
// ones.
func (d *Directory) Applications(t ids.TenantID) ([]Registration, error) {
	home, err := d.tenant(t)
	if err != nil {
		return nil, err
	}
	var own, builtIn []Registration
	for _, a := range home.Applications {
		r := Registration{Application: a}
		if i := resourceOf(home, a.ID); i >= 0 {
			r.Resource = &home.Resources[i]
		}
		if a.BuiltIn {
			builtIn = append(builtIn, r)
		} else {
			own = append(own, r)
		}
	}
	return append(own, builtIn...), nil
}

func resourceOf(t *tenant.Tenant, id ids.ClientID) int {
	return slices.IndexFunc(t.Resources, func(r tenant.Resource) bool { return r.ID == id })
}

// PutApplication adds an application to a tenant or puts it in place of the one
// with its id. With keepProofs and no proofs it keeps those it has. Fields are
// named as the tenant file names them.
func (d *Directory) PutApplication(ctx context.Context, t ids.TenantID, r Registration, keepProofs bool) error {
	d.changing.Lock()
	defer d.changing.Unlock()
	home, err := d.tenant(t)
	if err != nil {
		return err
	}
	old, exists := home.Application(r.ID)
	r.BuiltIn = false
	if exists && r.Consent == "" { // who does not say leaves it
		r.Consent = old.Consent
	}
	if keepProofs && !r.Confidential() {
		if !exists || !old.Confidential() {
			return prterr.New(prterr.Invalid, "application.confidential needs client_secrets or certificates: give one, or leave it out for a public client")
		}
		r.Secrets, r.Certificates = old.Secrets, old.Certificates
	}
	if err := d.checkRegistration(home, &r); err != nil {
		return err
	}
	if err := d.keepApplication(ctx, t, r); err != nil {
		return err
	}
	return d.change(t, func(next *tenant.Tenant) { putRegistration(next, r) })
}

func (d *Directory) checkRegistration(home *tenant.Tenant, r *Registration) error {
	if field, problem := r.Problem(home); problem != "" {
		return prterr.New(prterr.Invalid, "application.%s %s", field, problem)
	}
	for i, s := range r.Secrets {
		if problem := tenant.SecretProblem(s.Reveal()); problem != "" {
			return prterr.New(prterr.Invalid, "client_secrets[%d] %s", i, problem)
		}
	}
	if r.Resource == nil {
		return nil
	}
	r.Resource.ID, r.Resource.Name = r.ID, r.Name
	if field, problem := r.Resource.Problem(); problem != "" {
		if field == "uri" {
			field = "identifier_uri"
		}
		return prterr.New(prterr.Invalid, "application.%s %s", field, problem)
	}
	for _, other := range home.Resources {
		if other.ID != r.ID && other.Is(r.Resource.URI) {
			return prterr.New(prterr.Conflict, "application.identifier_uri is that of another resource of the tenant")
		}
	}
	if i := resourceOf(home, r.ID); i >= 0 { // what an operator does not see stays
		r.Resource.Aliases, r.Resource.CAE = home.Resources[i].Aliases, home.Resources[i].CAE
	}
	return nil
}

// DeleteApplication removes an application and what it is as a resource. What it
// got names an application that is gone: AADSTS700016 wherever it shows up.
func (d *Directory) DeleteApplication(ctx context.Context, t ids.TenantID, id ids.ClientID) error {
	d.changing.Lock()
	defer d.changing.Unlock()
	home, err := d.tenant(t)
	if err != nil {
		return err
	}
	if _, ok := home.Application(id); !ok {
		return prterr.New(prterr.NotFound, "client_id names no application of the tenant")
	}
	if err := d.keepRemoval(ctx, applicationKind, t, string(id)); err != nil {
		return err
	}
	return d.change(t, func(next *tenant.Tenant) { dropRegistration(next, id) })
}

// change puts a changed tenant in place. The callback is pure: everything that
// can fail has been done before.
func (d *Directory) change(t ids.TenantID, f func(*tenant.Tenant)) error {
	err := d.tenants.Change(t, func(next *tenant.Tenant) error {
		f(next)
		return nil
	})
	if err != nil {
		return fmt.Errorf("tenant of a change: %w", err)
	}
	return nil
}

// putRegistration and dropRegistration put new slices in; others hold the old.
func putRegistration(t *tenant.Tenant, r Registration) {
	t.Applications = put(t.Applications, r.Application, func(a tenant.Application) bool { return a.ID == r.ID })
	same := func(o tenant.Resource) bool { return o.ID == r.ID }
	if r.Resource == nil {
		t.Resources = without(t.Resources, func(o tenant.Resource) bool { return same(o) && !o.BuiltIn })
		return
	}
	t.Resources = put(t.Resources, *r.Resource, same)
}

func dropRegistration(t *tenant.Tenant, id ids.ClientID) {
	t.Applications = without(t.Applications, func(a tenant.Application) bool { return a.ID == id })
	t.Resources = without(t.Resources, func(o tenant.Resource) bool { return o.ID == id && !o.BuiltIn })
}

// put is a copy of list with v in the place of the element that is the same, or
// at the end.
func put[T any](list []T, v T, same func(T) bool) []T {
	out := slices.Clone(list)
	if i := slices.IndexFunc(out, same); i >= 0 {
		out[i] = v
		return out
	}
	return append(out, v)
}

// without is a copy of list without what fits.
func without[T any](list []T, fits func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(list), fits)
}
