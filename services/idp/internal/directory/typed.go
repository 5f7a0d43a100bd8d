package directory

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
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

// TypedPassword is Password where anybody may try one: at the pages and at the
// token endpoint, which count together. After too many wrong ones a name is locked
// for a while, AADSTS50053, whatever the password and whether or not it exists.
// What a registered device signs is not counted, so that a stranger who locks a
// name does not lock its user out of the device.
func (d *Directory) TypedPassword(ctx context.Context, upn ids.UPN, password secret.Text) (store.User, error) {
	key := "pwd|" + string(upn)
	if err := d.attempts.Try(ctx, key); err != nil {
		return store.User{}, err
	}
	u, err := d.Password(ctx, upn, password)
	// Not after an end of the context: whoever sets short ones would start anew.
	if code := prterr.CodeOf(err); err == nil || code == aadsts.UserDisabled || code == aadsts.NoPassword {
		d.attempts.Right(ctx, key)
	}
	return u, err
}
