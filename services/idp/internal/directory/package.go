package directory

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// AddPackageUser adds the user that an enrolment package acts as: package_ and the
// package's id, in the tenant's first managed domain. It has no password and no
// way to sign in; it may register devices.
func (d *Directory) AddPackageUser(ctx context.Context, t ids.TenantID, id ids.UserID) (store.User, error) {
	home, ok := d.tenants.Tenant(t)
	if !ok {
		return store.User{}, prterr.New(prterr.NotFound, "tenant_id names no tenant here")
	}
	for _, dom := range home.Domains {
		if dom.Federated != nil {
			continue
		}
		upn, err := ids.ParseUPN("package_" + string(id) + "@" + dom.Name)
		if err != nil {
			return store.User{}, prterr.Wrap(prterr.Invalid, err, "pid and domain make no user name")
		}
		u := store.User{ID: ids.NewUser(), Tenant: t, UPN: upn, DisplayName: "package_" + string(id), Enabled: true, MayJoin: true, PasswordEpoch: firstEpoch(), SessionEpoch: firstEpoch()}
		return u, named(d.store.AddUser(ctx, u), "enrolment package")
	}
	return store.User{}, prterr.New(prterr.Conflict, "the tenant has no managed domain that an enrolment package could be in")
}
