package postgres

import (
	"context"
	"database/sql"

	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

const (
	// usersTable and devicesTable are kinds of changes beside the kinds of documents.
	usersTable, devicesTable = "users", "devices"
	// maxChanges is how many changes are taken one by one; after more everything is read
	// again.
	maxChanges = 1000
)

// news is what the feed says to who has seen the changes up to a number.
type news struct {
	newest  int64
	all     bool // too much, or something is missing: everything may be another
	changes []store.Change
	seqs    []int64
}

// Fresh has everything that was committed before it began known here, when it returns:
// what this process has of it in memory is dropped, and told is called with the changes
// of documents before anything is answered from them, or with all for any document.
// Calls begin with it; it costs one look at a small table. An error of told is returned,
// and the changes come again with the next call.
func (s *Store) Fresh(ctx context.Context, told func(ctx context.Context, docs []store.Change, all bool) error) error {
	n, err := s.news(ctx, s.seen.Load())
	if err != nil || n.newest == s.seen.Load() {
		return err
	}
	s.catching.Lock()
	defer s.catching.Unlock()
	seen := s.seen.Load()
	if n.newest == seen || n.newest < seen && !n.all {
		return nil // somebody else has told of it meanwhile
	}
	if n.all {
		s.cache.clear()
	}
	var docs []store.Change
	for i, c := range n.changes {
		switch {
		case n.all || n.seqs[i] <= seen:
		case c.Kind == usersTable || c.Kind == devicesTable:
			s.cache.drop(c.Kind, c.Key)
		default:
			docs = append(docs, c)
		}
	}
	if n.all || len(docs) > 0 {
		if err := told(ctx, docs, n.all); err != nil {
			return err
		}
	}
	s.seen.Store(n.newest)
	return nil
}

func (s *Store) news(ctx context.Context, seen int64) (n news, err error) {
	rows, err := s.db.QueryContext(ctx, `SELECT newest_change.seq, changes.seq, changes.kind, changes.key
		FROM newest_change LEFT JOIN changes ON changes.seq > $1 ORDER BY changes.seq LIMIT $2`, seen, maxChanges)
	if err != nil {
		return n, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var seq sql.NullInt64
		var kind, key sql.NullString
		if err := rows.Scan(&n.newest, &seq, &kind, &key); err != nil {
			return n, err
		}
		if seq.Valid {
			n.changes, n.seqs = append(n.changes, store.Change{Kind: kind.String, Key: key.String}), append(n.seqs, seq.Int64)
		}
	}
	// Numbers have no gaps. A database that was put back to an earlier state has fewer.
	n.all = n.newest-seen != int64(len(n.changes))
	return n, rows.Err()
}
