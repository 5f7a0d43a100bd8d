package directory

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/profile"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// UserByName finds a user by name, disabled or not. Whether its existence may be
// told is the caller's to judge.
func (d *Directory) UserByName(ctx context.Context, upn ids.UPN) (store.User, error) {
	u, err := d.store.UserByUPN(ctx, upn)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.User{}, prterr.AADSTS(aadsts.UserAccountNotFound, "")
	case err != nil:
		return store.User{}, prterr.Wrap(prterr.Internal, err, "the directory cannot be read")
	}
	return u, nil
}

// AdministratorIDs lists the users of a tenant who administer it.
func (d *Directory) AdministratorIDs(ctx context.Context, t ids.TenantID) ([]ids.UserID, error) {
	users, err := d.store.Users(ctx, t)
	if err != nil {
		return nil, prterr.Wrap(prterr.Internal, err, "the directory cannot be read")
	}
	var out []ids.UserID
	for _, u := range users {
		if u.Administrator && u.Enabled {
			out = append(out, u.ID)
		}
	}
	return out, nil
}

// PutHelloKey gives a user a Windows Hello key, in place of the one it had from
// the same device.
func (d *Directory) PutHelloKey(ctx context.Context, t ids.TenantID, user ids.UserID, key store.HelloKey) error {
	return named(d.store.UpdateUser(ctx, t, user, func(u *store.User) error {
		u.HelloKeys = append(slices.DeleteFunc(u.HelloKeys, func(k store.HelloKey) bool { return k.Device == key.Device }), key)
		return nil
	}), "user")
}

// PendingDevice finds a synchronised device object that waits for its device to
// join. That it is not there, or has joined, is one error.
func (d *Directory) PendingDevice(ctx context.Context, t ids.TenantID, id ids.DeviceID) (store.Device, error) {
	dev, err := d.store.Device(ctx, id)
	switch {
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return store.Device{}, prterr.Wrap(prterr.Internal, err, "the directory cannot be read")
	case err != nil || dev.Tenant != t || !dev.Pending:
		return store.Device{}, notPending()
	}
	return dev, nil
}

func notPending() error {
	return prterr.New(prterr.NotFound, "DirectoryError: no device of that device_id waits to join: try again when it is synchronised")
}

// Standing judges whether a device may do anything in a tenant of a profile: it must
// be enabled (AADSTS135011), and attested where the profile demands that
// (AADSTS50155), whatever it was registered under.
func Standing(p profile.Profile, dev store.Device) error {
	switch {
	case !dev.Enabled:
		return prterr.AADSTS(aadsts.DeviceDisabled, "")
	case p.AttestedKeys && !dev.KeyProtection.Attested():
		return prterr.AADSTS(aadsts.DeviceAuthenticationFailed, "The keys of this device are not attested, and this tenant takes no others: register the device again with its TPM.")
	}
	return nil
}

// ReplaceDeviceKeys changes the keys of a device that stands as it was seen. Of two
// who do so at once one succeeds; the other's proof was by a key that is none any more.
func (d *Directory) ReplaceDeviceKeys(ctx context.Context, seen store.Device, change func(*store.Device)) error {
	err := d.store.UpdateDevice(ctx, seen.ID, func(dev *store.Device) error {
		switch {
		case dev.Pending || !bytes.Equal(dev.Certificate, seen.Certificate):
			return prterr.AADSTS(aadsts.DeviceAuthenticationFailed, "")
		case !dev.Enabled:
			return prterr.AADSTS(aadsts.DeviceDisabled, "")
		}
		change(dev)
		return nil
	})
	var known *prterr.Error
	if errors.As(err, &known) {
		return known
	}
	return named(err, "device")
}

// CompleteHybridDevice makes a waiting object a device that has joined. Of two who
// do so at once one succeeds.
func (d *Directory) CompleteHybridDevice(ctx context.Context, id ids.DeviceID, change func(*store.Device)) error {
	err := d.store.UpdateDevice(ctx, id, func(dev *store.Device) error {
		if !dev.Pending {
			return notPending()
		}
		change(dev)
		dev.Pending, dev.Trust = false, store.TrustHybrid
		return nil
	})
	var known *prterr.Error
	if errors.As(err, &known) {
		return known
	}
	return named(err, "device")
}
