package sqlstore

import (
	"bytes"
	"context"
	"errors"

	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// Document implements Store.
func (s *Store) Document(ctx context.Context, kind, key string) ([]byte, error) {
	var data []byte
	err := s.read.row(ctx, "SELECT data FROM documents WHERE kind = ? AND key = ?", kind, key).Scan(&data)
	return data, s.read.found(err)
}

// PutDocument implements Store.
func (s *Store) PutDocument(ctx context.Context, kind, key string, data []byte) error {
	_, err := s.write.exec(ctx, `INSERT INTO documents (kind, key, data) VALUES (?, ?, ?)
		ON CONFLICT (kind, key) DO UPDATE SET data = excluded.data`, kind, key, notNull(data))
	return err
}

// SwapDocument implements Store: one statement that changes the document or does not,
// and then a look at what stands.
func (s *Store) SwapDocument(ctx context.Context, kind, key string, old, data []byte) ([]byte, error) {
	var done bool
	var err error
	if old == nil {
		done, err = changed(s.write.exec(ctx, "INSERT INTO documents (kind, key, data) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", kind, key, notNull(data)))
	} else {
		done, err = changed(s.write.exec(ctx, "UPDATE documents SET data = ? WHERE kind = ? AND key = ? AND data = ?", notNull(data), kind, key, old))
	}
	if err != nil || done {
		return bytes.Clone(data), err
	}
	stands, err := s.Document(ctx, kind, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, store.ErrNotFound // what it should replace is not there
	}
	return stands, err
}

// DocumentKeys implements Store.
func (s *Store) DocumentKeys(ctx context.Context, kind string) ([]string, error) {
	return list(ctx, s.read, func(key string) (string, error) { return key, nil }, "SELECT key FROM documents WHERE kind = ? ORDER BY key", kind)
}
