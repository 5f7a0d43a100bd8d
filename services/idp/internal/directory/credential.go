package directory

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// Credential is what a user proves who they are with: a password, or the XML of
// an assertion. The name may be empty with an assertion.
type Credential struct {
	Name     string
	Password secret.Text
	// Typed is a password where anybody may try one.
	Typed bool
	// Assertion is XML, not verified.
	Assertion []byte
}

// Authenticate checks a credential for tenant t, and says which method it is. The user
// must be of the same tenant: AADSTS50020 otherwise, decided by the domain of
// the name alone, before anything is looked up.
func (d *Directory) Authenticate(ctx context.Context, t *tenant.Tenant, c Credential) (store.User, methods.Method, error) {
	name, err := d.name(t, c)
	if err != nil {
		return store.User{}, "", err
	}
	u, method, err := d.check(ctx, t, name, c)
	if err == nil && u.Tenant != t.ID {
		// Cannot happen while names follow domains; checked because everything
		// that is issued rests on it.
		return store.User{}, "", prterr.AADSTS(aadsts.UserNotInTenant, "")
	}
	return u, method, err
}

// name is who a credential names, empty for an assertion that names none here.
func (d *Directory) name(t *tenant.Tenant, c Credential) (ids.UPN, error) {
	if c.Name == "" && c.Assertion != nil {
		return "", nil
	}
	name, err := ids.ParseUPN(c.Name)
	if err != nil {
		return "", prterr.AADSTS(aadsts.InvalidRequest, "username is not right: %v", err)
	}
	if home, known := d.tenants.Home(name.Domain()); known && home.Tenant.ID != t.ID {
		return "", prterr.AADSTS(aadsts.UserNotInTenant, "")
	}
	return name, nil
}

func (d *Directory) check(ctx context.Context, t *tenant.Tenant, name ids.UPN, c Credential) (store.User, methods.Method, error) {
	if c.Assertion != nil {
		return d.Assertion(ctx, t, name, c.Assertion)
	}
	check := d.Password
	if c.Typed {
		check = d.TypedPassword
	}
	u, err := check(ctx, name, c.Password)
	return u, methods.Password, err
}
