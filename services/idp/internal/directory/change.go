package directory

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// ChangePassword is SetPassword by the user: it need not be changed again.
func (d *Directory) ChangePassword(ctx context.Context, upn ids.UPN, password secret.Text) error {
	if err := d.SetPassword(ctx, upn, password); err != nil {
		return err
	}
	return d.changeUser(ctx, upn, func(u *store.User) error {
		u.MustChange = false
		return nil
	})
}
