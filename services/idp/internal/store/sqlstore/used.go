package sqlstore

import (
	"context"
	"time"

	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// Use implements Store in one statement: the database decides who was first.
func (s *Store) Use(ctx context.Context, d store.Digest, now, until time.Time) (bool, error) {
	return changed(s.write.exec(ctx, `INSERT INTO uses (digest, expires) VALUES (?, ?)
		ON CONFLICT (digest) DO UPDATE SET expires = excluded.expires WHERE uses.expires < ?`, d[:], until.UnixNano(), now.UnixNano()))
}

// SweepUses implements Store.
func (s *Store) SweepUses(ctx context.Context, now time.Time) (left int, err error) {
	if _, err := s.write.exec(ctx, "DELETE FROM uses WHERE expires < ?", now.UnixNano()); err != nil {
		return 0, err
	}
	err = s.read.row(ctx, "SELECT count(*) FROM uses").Scan(&left)
	return left, err
}

// Try implements Store in one statement: where the row is as it must not be, it
// changes nothing.
func (s *Store) Try(ctx context.Context, name store.Digest, now time.Time, r store.TryRule) (bool, error) {
	return changed(s.write.exec(ctx, `INSERT INTO attempts (name, wrong, last) VALUES (?, 1, ?)
		ON CONFLICT (name) DO UPDATE SET wrong = CASE WHEN attempts.last < ? THEN 1 ELSE attempts.wrong + 1 END, last = excluded.last
		WHERE attempts.wrong < ? OR attempts.last <= ?`,
		name[:], now.UnixNano(), now.Add(-r.Forget).UnixNano(), r.Limit, now.Add(-r.Pause).UnixNano()))
}

// Right implements Store.
func (s *Store) Right(ctx context.Context, name store.Digest) error {
	_, err := s.write.exec(ctx, "DELETE FROM attempts WHERE name = ?", name[:])
	return err
}

// SweepTries implements Store.
func (s *Store) SweepTries(ctx context.Context, before time.Time, most int) error {
	if _, err := s.write.exec(ctx, "DELETE FROM attempts WHERE last < ?", before.UnixNano()); err != nil {
		return err
	}
	var there int
	if err := s.read.row(ctx, "SELECT count(*) FROM attempts").Scan(&there); err != nil || there <= most {
		return err
	}
	_, err := s.write.exec(ctx, "DELETE FROM attempts WHERE name IN (SELECT name FROM attempts ORDER BY wrong, last LIMIT ?)", there-most)
	return err
}
