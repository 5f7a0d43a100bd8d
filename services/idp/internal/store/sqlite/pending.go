package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// columns are what readPending scans.
const columns = "SELECT kind, key, user, expires, data FROM pending "

type scanner interface{ Scan(into ...any) error }

func readPending(row scanner) (store.Pending, error) {
	var p store.Pending
	var expires int64
	err := row.Scan(&p.Kind, &p.Key, &p.User, &expires, &p.Data)
	p.Expires = time.Unix(0, expires).UTC()
	return p, found(err)
}

// AddPending implements Store. Beyond what may wait, the one that would end first
// goes.
func (s *Store) AddPending(ctx context.Context, p store.Pending) error {
	return s.change(ctx, func(tx *sql.Tx) error {
		if err := taken(ctx, tx, "SELECT 1 FROM pending WHERE kind = ? AND key = ?", p.Kind, p.Key); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM pending WHERE rowid IN (
			SELECT rowid FROM pending ORDER BY expires LIMIT max(0, (SELECT count(*) FROM pending) - ?))`, store.MaxPending-1); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO pending (kind, key, user, expires, data) VALUES (?, ?, ?, ?, ?)",
			p.Kind, p.Key, p.User, p.Expires.UnixNano(), notNull(p.Data))
		return err
	})
}

// notNull is b, but empty and not absent.
func notNull(b []byte) []byte { return append([]byte{}, b...) }

// Pending implements Store.
func (s *Store) Pending(ctx context.Context, kind, key string, now time.Time) (store.Pending, error) {
	return readPending(s.read.QueryRowContext(ctx, columns+"WHERE kind = ? AND key = ? AND expires >= ?", kind, key, now.UnixNano()))
}

// UpdatePending implements Store. What has expired goes on the way.
func (s *Store) UpdatePending(ctx context.Context, kind, key string, now time.Time, change func(*store.Pending) error) error {
	return s.change(ctx, func(tx *sql.Tx) error {
		p, err := readPending(tx.QueryRowContext(ctx, columns+"WHERE kind = ? AND key = ? AND expires >= ?", kind, key, now.UnixNano()))
		if err != nil {
			return err
		}
		if err := change(&p); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM pending WHERE expires < ?", now.UnixNano()); err != nil {
			return err
		}
		return one(tx.ExecContext(ctx, "UPDATE pending SET user = ?, data = ? WHERE kind = ? AND key = ?", p.User, notNull(p.Data), kind, key))
	})
}

// DeletePending implements Store.
func (s *Store) DeletePending(ctx context.Context, kind, key string) error {
	return one(s.write.ExecContext(ctx, "DELETE FROM pending WHERE kind = ? AND key = ?", kind, key))
}

// Pendings implements Store.
func (s *Store) Pendings(ctx context.Context, kind string, now time.Time) ([]store.Pending, error) {
	rows, err := s.read.QueryContext(ctx, columns+"WHERE kind = ? AND expires >= ? ORDER BY expires", kind, now.UnixNano())
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []store.Pending
	for rows.Next() {
		p, err := readPending(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, rows.Err()
}
