package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

const dataKeyQuery = "SELECT sealed FROM data_keys WHERE tenant = ? AND user = ? AND device = ?"

// DataKey implements Store.
func (s *Store) DataKey(ctx context.Context, t ids.TenantID, user ids.UserID, device ids.DeviceID) ([]byte, error) {
	var sealed []byte
	err := s.read.QueryRowContext(ctx, dataKeyQuery, t, user, device).Scan(&sealed)
	return sealed, found(err)
}

// PutDataKey implements Store.
func (s *Store) PutDataKey(ctx context.Context, k store.DataKey, old []byte) (stands []byte, err error) {
	err = s.change(ctx, func(tx *sql.Tx) error {
		var one int
		if err := tx.QueryRowContext(ctx, "SELECT 1 FROM users, devices WHERE users.id = ? AND users.tenant = ? AND devices.id = ? AND devices.tenant = ?",
			k.User, k.Tenant, k.Device, k.Tenant).Scan(&one); err != nil {
			return found(err)
		}
		err := tx.QueryRowContext(ctx, dataKeyQuery, k.Tenant, k.User, k.Device).Scan(&stands)
		switch none := errors.Is(err, sql.ErrNoRows); {
		case err != nil && !none:
			return err
		case none && old != nil:
			return store.ErrNotFound // what it should replace is gone
		case !none && (old == nil || !bytes.Equal(stands, old)):
			return nil
		}
		stands = bytes.Clone(k.Sealed)
		_, err = tx.ExecContext(ctx, `INSERT INTO data_keys (tenant, user, device, sealed) VALUES (?, ?, ?, ?)
			ON CONFLICT (tenant, user, device) DO UPDATE SET sealed = excluded.sealed`, k.Tenant, k.User, k.Device, notNull(k.Sealed))
		return err
	})
	return stands, err
}
