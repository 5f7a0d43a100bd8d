// Package directory knows the users and devices of every tenant and checks
// passwords and assertions.
//
// What lives here: look-ups with their tenant, the check of a credential, and
// the few changes an operator may make. What never may: tokens, keys, and any
// rule about signed requests. Every room that needs a user or a device asks it;
// it alone talks to the store.
package directory

import (
	"context"
	"errors"
	"fmt"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/lockout"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// Config of a directory.
type Config struct {
	Tenants *tenant.Set
	Store   store.Store
	// Assertions checks federated users; nil refuses all of them.
	Assertions AssertionVerifier
	// Attempts counts wrong passwords where anybody may try them.
	Attempts *lockout.Counters
}

// Directory is the objects of all tenants. It is safe for concurrent use.
type Directory struct {
	tenants    *tenant.Set
	store      store.Store
	assertions AssertionVerifier
	passwords  *passwords
	attempts   *lockout.Counters
}

// New makes a directory and adds the users of the tenant file that the store
// does not have yet. A user the store has keeps what it has.
func New(ctx context.Context, cfg Config) (*Directory, error) {
	p, err := newPasswords()
	if err != nil {
		return nil, err
	}
	d := &Directory{tenants: cfg.Tenants, store: cfg.Store, assertions: cfg.Assertions, passwords: p, attempts: cfg.Attempts}
	for _, t := range cfg.Tenants.All() {
		for _, u := range t.Users {
			if err := d.seed(ctx, t.ID, u); err != nil {
				return nil, fmt.Errorf("user %s of the tenant file: %w", u.UPN, err)
			}
		}
		if err := d.seedDevices(ctx, t); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (d *Directory) seed(ctx context.Context, t ids.TenantID, u tenant.User) error {
	if _, err := d.store.UserByUPN(ctx, u.UPN); err == nil {
		return nil
	}
	hash := u.PasswordHash
	if !u.Password.Empty() {
		var err error
		if hash, err = d.passwords.hash(ctx, u.Password); err != nil {
			return err
		}
	}
	return d.store.AddUser(ctx, store.User{
		ID: u.ID, Tenant: t, UPN: u.UPN, DisplayName: u.DisplayName, PasswordHash: hash,
		Enabled: u.Enabled, MayJoin: u.MayJoin, ImmutableID: u.ImmutableID,
		GivenName: u.GivenName, Surname: u.Surname, Mail: u.Mail, JobTitle: u.JobTitle,
		Administrator: u.Administrator, TOTPSecret: u.TOTPSecret, Push: u.Push, MustChange: u.MustChange,
	})
}

// User finds a user of a tenant.
func (d *Directory) User(ctx context.Context, t ids.TenantID, id ids.UserID) (store.User, error) {
	u, err := d.store.User(ctx, t, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.User{}, prterr.AADSTS(aadsts.UserAccountNotFound, "")
	case err != nil:
		return store.User{}, prterr.Wrap(prterr.Internal, err, "the directory cannot be read")
	case !u.Enabled:
		return u, prterr.AADSTS(aadsts.UserDisabled, "")
	}
	return u, nil
}

// Device finds a device of a tenant. One that is gone, or belongs to another
// tenant, is AADSTS50155; a disabled one is returned and its state is the
// caller's to judge.
func (d *Directory) Device(ctx context.Context, t ids.TenantID, id ids.DeviceID) (store.Device, error) {
	dev, err := d.store.Device(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound) || err == nil && dev.Tenant != t:
		return store.Device{}, prterr.AADSTS(aadsts.DeviceAuthenticationFailed, "")
	case err != nil:
		return store.Device{}, prterr.Wrap(prterr.Internal, err, "the directory cannot be read")
	}
	return dev, nil
}

// Password checks a user name and a password. Wrong password and unknown user
// are one error at one cost, AADSTS50126. That a user is disabled is told only
// to who knows the password.
func (d *Directory) Password(ctx context.Context, upn ids.UPN, password secret.Text) (store.User, error) {
	home, known := d.tenants.Home(upn.Domain())
	if known && home.Domain.Federated != nil {
		// Realm discovery says so to everybody, so there is nothing to hide.
		return store.User{}, prterr.AADSTS(aadsts.NoPassword, "")
	}
	u, err := d.store.UserByUPN(ctx, upn)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return store.User{}, prterr.Wrap(prterr.Internal, err, "the directory cannot be read")
	}
	ok, err := d.passwords.matches(ctx, password, u.PasswordHash)
	switch {
	case err != nil:
		return store.User{}, err
	case !ok:
		return store.User{}, prterr.AADSTS(aadsts.InvalidCredentials, "")
	case !u.Enabled:
		return u, prterr.AADSTS(aadsts.UserDisabled, "")
	}
	return u, nil
}
