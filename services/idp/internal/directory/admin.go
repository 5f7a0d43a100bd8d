package directory

import (
	"context"
	"errors"
	"slices"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// AddDevice adds a device, at most quota for its registering user (ErrQuota).
func (d *Directory) AddDevice(ctx context.Context, dev store.Device, quota int) error {
	return named(d.store.AddDevice(ctx, dev, quota), "device")
}

// AddDeviceOnce adds a device, unless look finds the same one among those that its
// registering user has added last, which is the answer then, or refuses.
func (d *Directory) AddDeviceOnce(ctx context.Context, dev store.Device, quota int, look func(recent []store.Device) (same int, err error)) (store.Device, error) {
	out, err := d.store.AddDeviceOnce(ctx, dev, quota, look)
	return out, named(err, "device")
}

// NoteUse keeps that a device has its certificate.
func (d *Directory) NoteUse(ctx context.Context, id ids.DeviceID) error {
	return named(d.store.UpdateDevice(ctx, id, func(dev *store.Device) error { dev.Used = true; return nil }), "device")
}

// RemoveDevice removes a device.
func (d *Directory) RemoveDevice(ctx context.Context, id ids.DeviceID) error {
	dev, err := d.store.Device(ctx, id)
	if err != nil {
		return named(err, "device")
	}
	if home, ok := d.tenants.Tenant(dev.Tenant); ok && slices.ContainsFunc(home.Devices, func(o tenant.HybridDevice) bool { return o.ID == id }) {
		if err := d.bury(ctx, "device/"+string(id)); err != nil {
			return err
		}
	}
	return named(d.store.DeleteDevice(ctx, id), "device")
}

// SetDeviceEnabled enables or disables a device.
func (d *Directory) SetDeviceEnabled(ctx context.Context, id ids.DeviceID, enabled bool) error {
	return named(d.store.UpdateDevice(ctx, id, func(dev *store.Device) error {
		dev.Enabled = enabled
		return nil
	}), "device")
}

// SetUserEnabled enables or disables a user.
func (d *Directory) SetUserEnabled(ctx context.Context, upn ids.UPN, enabled bool) error {
	return d.changeUser(ctx, upn, func(u *store.User) error {
		u.Enabled = enabled
		return nil
	})
}

// SetPassword sets the password of a managed user. Everything that was got with
// an older one carries a smaller epoch and is dead from here on.
func (d *Directory) SetPassword(ctx context.Context, upn ids.UPN, password secret.Text) error {
	if home, ok := d.tenants.Home(upn.Domain()); ok && home.Domain.Federated != nil {
		return prterr.New(prterr.Invalid, "user_principal_name is of a federated domain: change the password at its federation provider")
	}
	hash, err := d.passwords.hash(ctx, password)
	if err != nil {
		return err
	}
	return d.changeUser(ctx, upn, func(u *store.User) error {
		u.PasswordHash = hash
		u.PasswordEpoch++
		return nil
	})
}

// Listed is a device with the name of who registered it.
type Listed struct {
	store.Device
	RegisteredByUPN ids.UPN
}

// Devices lists the devices of a tenant in the order of registration.
func (d *Directory) Devices(ctx context.Context, t ids.TenantID) ([]Listed, error) {
	if _, err := d.tenant(t); err != nil {
		return nil, err
	}
	devices, err := d.store.Devices(ctx, t)
	if err != nil {
		return nil, named(err, "device")
	}
	out := make([]Listed, len(devices))
	for i, dev := range devices {
		out[i].Device = dev
		if u, err := d.store.User(ctx, t, dev.RegisteredBy); err == nil {
			out[i].RegisteredByUPN = u.UPN
		}
	}
	return out, nil
}

func (d *Directory) changeUser(ctx context.Context, upn ids.UPN, change func(*store.User) error) error {
	u, err := d.store.UserByUPN(ctx, upn)
	if err != nil {
		return named(err, "user")
	}
	return named(d.store.UpdateUser(ctx, u.Tenant, u.ID, change), "user")
}

// named turns the store's errors into ours.
func named(err error, what string) error {
	var own *prterr.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return err
	case errors.Is(err, store.ErrNotFound):
		return prterr.New(prterr.NotFound, "the %s does not exist", what)
	case errors.Is(err, store.ErrExists):
		return prterr.New(prterr.Conflict, "the %s exists already", what)
	case errors.Is(err, store.ErrQuota):
		return prterr.New(prterr.Exhausted, "the user has registered as many devices as allowed: remove one")
	default:
		return prterr.Wrap(prterr.Internal, err, "the directory cannot be changed")
	}
}
