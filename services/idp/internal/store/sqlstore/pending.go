package sqlstore

import (
	"context"
	"time"

	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// columns are what readPending scans. The name user is one of the language.
const columns = `SELECT kind, key, "user", expires, data FROM pending `

type scanner interface{ Scan(into ...any) error }

func (c conn) pending(row scanner) (store.Pending, error) {
	var p store.Pending
	var expires int64
	err := row.Scan(&p.Kind, &p.Key, &p.User, &expires, &p.Data)
	p.Expires = time.Unix(0, expires).UTC()
	return p, c.found(err)
}

// AddPending implements Store. Beyond what may wait, the one that would end first
// goes.
func (s *Store) AddPending(ctx context.Context, p store.Pending) error {
	return s.change(ctx, func(tx conn) error {
		err := tx.one(ctx, store.ErrExists, `INSERT INTO pending (kind, key, "user", expires, data) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			p.Kind, p.Key, string(p.User), p.Expires.UnixNano(), notNull(p.Data))
		if err != nil {
			return err
		}
		var waiting int
		if err := tx.row(ctx, "SELECT count(*) FROM pending").Scan(&waiting); err != nil || waiting <= store.MaxPending {
			return err
		}
		_, err = tx.exec(ctx, `DELETE FROM pending WHERE (kind, key) IN (SELECT kind, key FROM pending
			WHERE NOT (kind = ? AND key = ?) ORDER BY expires LIMIT ?)`, p.Kind, p.Key, waiting-store.MaxPending)
		return err
	})
}

// Pending implements Store.
func (s *Store) Pending(ctx context.Context, kind, key string, now time.Time) (store.Pending, error) {
	return s.read.pending(s.read.row(ctx, columns+"WHERE kind = ? AND key = ? AND expires >= ?", kind, key, now.UnixNano()))
}

// UpdatePending implements Store. What has expired goes on the way.
func (s *Store) UpdatePending(ctx context.Context, kind, key string, now time.Time, change func(*store.Pending) error) error {
	return s.change(ctx, func(tx conn) error {
		p, err := tx.pending(tx.row(ctx, columns+"WHERE kind = ? AND key = ? AND expires >= ? FOR UPDATE", kind, key, now.UnixNano()))
		if err != nil {
			return err
		}
		if err := change(&p); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, "DELETE FROM pending WHERE expires < ?", now.UnixNano()); err != nil {
			return err
		}
		return tx.one(ctx, store.ErrNotFound, `UPDATE pending SET "user" = ?, data = ? WHERE kind = ? AND key = ?`, string(p.User), notNull(p.Data), kind, key)
	})
}

// DeletePending implements Store.
func (s *Store) DeletePending(ctx context.Context, kind, key string) error {
	return s.write.one(ctx, store.ErrNotFound, "DELETE FROM pending WHERE kind = ? AND key = ?", kind, key)
}

// Pendings implements Store.
func (s *Store) Pendings(ctx context.Context, kind string, now time.Time) ([]store.Pending, error) {
	rows, err := s.read.query(ctx, columns+"WHERE kind = ? AND expires >= ? ORDER BY expires", kind, now.UnixNano())
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []store.Pending
	for rows.Next() {
		p, err := s.read.pending(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, rows.Err()
}
