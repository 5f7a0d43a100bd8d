package sqlite

import "context"

// Document implements Store.
func (s *Store) Document(ctx context.Context, kind, key string) ([]byte, error) {
	var data []byte
	err := s.read.QueryRowContext(ctx, "SELECT data FROM documents WHERE kind = ? AND key = ?", kind, key).Scan(&data)
	return data, found(err)
}

// PutDocument implements Store.
func (s *Store) PutDocument(ctx context.Context, kind, key string, data []byte) error {
	_, err := s.write.ExecContext(ctx, `INSERT INTO documents (kind, key, data) VALUES (?, ?, ?)
		ON CONFLICT (kind, key) DO UPDATE SET data = excluded.data`, kind, key, notNull(data))
	return err
}

// DocumentKeys implements Store.
func (s *Store) DocumentKeys(ctx context.Context, kind string) ([]string, error) {
	return list(ctx, s.read, func(key string) (string, error) { return key, nil }, "SELECT key FROM documents WHERE kind = ? ORDER BY key", kind)
}
