package sqlite

import (
	"context"
	"database/sql"
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
	raw, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		if err := taken(ctx, tx, "SELECT 1 FROM devices WHERE id = ?", d.ID); err != nil {
			return err
		}
		var owned int
		err := tx.QueryRowContext(ctx, "SELECT count(*) FROM devices WHERE tenant = ? AND registered_by = ?", d.Tenant, d.RegisteredBy).Scan(&owned)
		switch {
		case err != nil:
			return err
		case d.RegisteredBy != "" && owned >= quota:
			return store.ErrQuota
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO devices (id, tenant, registered_by, record) VALUES (?, ?, ?, ?)", d.ID, d.Tenant, d.RegisteredBy, string(raw))
		return err
	})
}

// Device implements Store.
func (s *Store) Device(ctx context.Context, id ids.DeviceID) (store.Device, error) {
	return readDevice(s.read.QueryRowContext(ctx, "SELECT record FROM devices WHERE id = ?", id))
}

func readDevice(row *sql.Row) (store.Device, error) {
	var raw string
	if err := row.Scan(&raw); err != nil {
		return store.Device{}, found(err)
	}
	return decodeDevice(raw)
}

// Devices implements Store.
func (s *Store) Devices(ctx context.Context, t ids.TenantID) ([]store.Device, error) {
	return list(ctx, s.read, decodeDevice, "SELECT record FROM devices WHERE tenant = ? ORDER BY seq", t)
}

// UpdateDevice implements Store.
func (s *Store) UpdateDevice(ctx context.Context, id ids.DeviceID, change func(*store.Device) error) error {
	return s.change(ctx, func(tx *sql.Tx) error {
		d, err := readDevice(tx.QueryRowContext(ctx, "SELECT record FROM devices WHERE id = ?", id))
		if err != nil {
			return err
		}
		next := d
		if err := change(&next); err != nil {
			return err
		}
		next.ID, next.Tenant = d.ID, d.Tenant
		raw, err := json.Marshal(next)
		if err != nil {
			return err
		}
		return one(tx.ExecContext(ctx, "UPDATE devices SET registered_by = ?, record = ? WHERE id = ?", next.RegisteredBy, string(raw), id))
	})
}

// DeleteDevice implements Store.
func (s *Store) DeleteDevice(ctx context.Context, id ids.DeviceID) error {
	return one(s.write.ExecContext(ctx, "DELETE FROM devices WHERE id = ?", id))
}
