package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"errors"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

const dataKeyQuery = `SELECT sealed FROM data_keys WHERE tenant = ? AND "user" = ? AND device = ?`

// DataKey implements Store.
func (s *Store) DataKey(ctx context.Context, t ids.TenantID, user ids.UserID, device ids.DeviceID) ([]byte, error) {
	var sealed []byte
	err := s.read.row(ctx, dataKeyQuery, string(t), string(user), string(device)).Scan(&sealed)
	return sealed, s.read.found(err)
}

// PutDataKey implements Store. User and device are held until it ends, so that neither
// is deleted meanwhile, and so that of two who make the first key one waits.
func (s *Store) PutDataKey(ctx context.Context, k store.DataKey, old []byte) (stands []byte, err error) {
	err = s.change(ctx, func(tx conn) error {
		var one int
		if err := tx.row(ctx, "SELECT 1 FROM users, devices WHERE users.id = ? AND users.tenant = ? AND devices.id = ? AND devices.tenant = ? FOR UPDATE",
			string(k.User), string(k.Tenant), string(k.Device), string(k.Tenant)).Scan(&one); err != nil {
			return tx.found(err)
		}
		err := tx.row(ctx, dataKeyQuery, string(k.Tenant), string(k.User), string(k.Device)).Scan(&stands)
		switch none := errors.Is(err, sql.ErrNoRows); {
		case err != nil && !none:
			return err
		case none && old != nil:
			return store.ErrNotFound // what it should replace is gone
		case !none && (old == nil || !bytes.Equal(stands, old)):
			return nil
		}
		stands = bytes.Clone(k.Sealed)
		_, err = tx.exec(ctx, `INSERT INTO data_keys (tenant, "user", device, sealed) VALUES (?, ?, ?, ?)
			ON CONFLICT (tenant, "user", device) DO UPDATE SET sealed = excluded.sealed`, string(k.Tenant), string(k.User), string(k.Device), notNull(k.Sealed))
		return err
	})
	return stands, err
}
