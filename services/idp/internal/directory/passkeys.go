package directory

import (
	"bytes"
	"context"
	"slices"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// AddPasskey adds a passkey to a user, unless allowed says no to the record as it is
// then. One whose id any user has already is refused (Web Authentication Level 3,
// section 7.1, step 26): the id is the authenticator's word, and whoever repeats
// another's could be taken for them.
func (d *Directory) AddPasskey(ctx context.Context, t ids.TenantID, id ids.UserID, k store.Passkey, allowed func(store.User) error) error {
	taken := prterr.New(prterr.Conflict, "the passkey is registered already: use another authenticator")
	for _, home := range d.tenants.All() {
		users, err := d.store.Users(ctx, home.ID)
		if err != nil {
			return named(err, "user")
		}
		for _, u := range users {
			if hasPasskey(u, k.ID) {
				return taken
			}
		}
	}
	return d.ChangeMethods(ctx, t, id, func(u *store.User) error {
		if err := allowed(*u); err != nil {
			return err
		}
		if hasPasskey(*u, k.ID) {
			return taken
		}
		u.Passkeys = append(u.Passkeys, k)
		return nil
	})
}

func hasPasskey(u store.User, id []byte) bool {
	return slices.ContainsFunc(u.Passkeys, func(k store.Passkey) bool { return bytes.Equal(k.ID, id) })
}

// UsePasskey notes that a passkey was used. Of two answers with one counter, which
// somebody may have got out of two copies of a key at once, one is taken: AADSTS135010
// for the other, and when the passkey is gone.
func (d *Directory) UsePasskey(ctx context.Context, t ids.TenantID, id ids.UserID, k store.Passkey) error {
	return named(d.store.UpdateUser(ctx, t, id, func(u *store.User) error {
		i := slices.IndexFunc(u.Passkeys, func(old store.Passkey) bool { return bytes.Equal(old.ID, k.ID) && old.Site == k.Site })
		if i < 0 {
			return prterr.AADSTS(aadsts.KeyNotFound, "")
		}
		old := &u.Passkeys[i]
		if (k.SignCount != 0 || old.SignCount != 0) && k.SignCount <= old.SignCount {
			return prterr.AADSTS(aadsts.KeyNotFound, "")
		}
		old.SignCount, old.BackedUp, old.Used = k.SignCount, k.BackedUp, k.Used
		return nil
	}), "user")
}
