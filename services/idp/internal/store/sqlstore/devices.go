package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

func decodeDevice(raw string) (store.Device, error) {
	var d store.Device
	if err := json.Unmarshal([]byte(raw), &d); err != nil {
		return d, fmt.Errorf("device record: %w", err)
	}
	return d, nil
}

// AddDevice implements Store.
func (s *Store) AddDevice(ctx context.Context, d store.Device, quota int) error {
	raw, err := encode(d, "")
	if err != nil {
		return err
	}
	return s.change(ctx, func(tx conn) error { return tx.addDevice(ctx, d, raw, quota) })
}

func (c conn) addDevice(ctx context.Context, d store.Device, raw string, quota int) error {
	if err := c.withinQuota(ctx, d, quota); err != nil {
		return err
	}
	return c.one(ctx, store.ErrExists, "INSERT INTO devices (id, tenant, registered_by, record) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
		string(d.ID), string(d.Tenant), string(d.RegisteredBy), raw)
}

// AddDeviceOnce implements Store.
func (s *Store) AddDeviceOnce(ctx context.Context, d store.Device, quota int, look func([]store.Device) (int, error)) (store.Device, error) {
	raw, err := encode(d, "")
	if err != nil {
		return d, err
	}
	var there store.Device
	err = s.change(ctx, func(tx conn) error {
		if err := tx.lockDevicesOf(ctx, d); err != nil {
			return err
		}
		recent, err := list(ctx, tx, decodeDevice, "SELECT record FROM devices WHERE tenant = ? AND registered_by = ? ORDER BY seq DESC LIMIT ?",
			string(d.Tenant), string(d.RegisteredBy), store.Recent)
		if err != nil {
			return err
		}
		i, err := look(recent)
		switch {
		case err != nil:
			return err
		case i >= 0:
			there = recent[i]
			return nil
		}
		there = d
		return tx.addDevice(ctx, d, raw, quota)
	})
	return there, err
}

// lockDevicesOf has registrations of one user wait for each other.
func (c conn) lockDevicesOf(ctx context.Context, d store.Device) error {
	return c.lock(ctx, "devices of "+string(d.Tenant)+"/"+string(d.RegisteredBy))
}

// withinQuota counts the devices of who registers one; of several at once each waits
// for the one before.
func (c conn) withinQuota(ctx context.Context, d store.Device, quota int) error {
	if d.RegisteredBy == "" {
		return nil
	}
	if err := c.lockDevicesOf(ctx, d); err != nil {
		return err
	}
	var there, owned int
	err := c.row(ctx, "SELECT (SELECT count(*) FROM devices WHERE id = ?), (SELECT count(*) FROM devices WHERE tenant = ? AND registered_by = ?)",
		string(d.ID), string(d.Tenant), string(d.RegisteredBy)).Scan(&there, &owned)
	switch {
	case err != nil:
		return err
	case there > 0:
		return store.ErrExists
	case owned >= quota:
		return store.ErrQuota
	}
	return nil
}

// Device implements Store.
func (s *Store) Device(ctx context.Context, id ids.DeviceID) (store.Device, error) {
	var raw string
	if err := s.read.row(ctx, "SELECT record FROM devices WHERE id = ?", string(id)).Scan(&raw); err != nil {
		return store.Device{}, s.read.found(err)
	}
	return decodeDevice(raw)
}

// Devices implements Store.
func (s *Store) Devices(ctx context.Context, t ids.TenantID) ([]store.Device, error) {
	return list(ctx, s.read, decodeDevice, "SELECT record FROM devices WHERE tenant = ? ORDER BY seq", string(t))
}

// UpdateDevice implements Store.
func (s *Store) UpdateDevice(ctx context.Context, id ids.DeviceID, change func(*store.Device) error) error {
	return s.change(ctx, func(tx conn) error {
		var before string
		if err := tx.row(ctx, "SELECT record FROM devices WHERE id = ? FOR UPDATE", string(id)).Scan(&before); err != nil {
			return tx.found(err)
		}
		d, err := decodeDevice(before)
		if err != nil {
			return err
		}
		next := d
		if err := change(&next); err != nil {
			return err
		}
		next.ID, next.Tenant = d.ID, d.Tenant
		raw, err := encode(next, before)
		if err != nil {
			return err
		}
		return tx.one(ctx, store.ErrNotFound, "UPDATE devices SET registered_by = ?, record = ? WHERE id = ?", string(next.RegisteredBy), raw, string(id))
	})
}

// DeleteDevice implements Store.
func (s *Store) DeleteDevice(ctx context.Context, id ids.DeviceID) error {
	return s.write.one(ctx, store.ErrNotFound, "DELETE FROM devices WHERE id = ?", string(id))
}
