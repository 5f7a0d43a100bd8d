// Package sqlite is a store that survives a restart: one SQLite file.
//
// What lives here: the schema with its versions, and the records as JSON beside
// the columns they are looked up by. What never may: a rule of the directory. The
// door of the identity provider opens it when it was told to keep its state.
//
// The file holds private keys and password hashes in the clear, as a laboratory
// may; it is for its owner alone (mode 0600).
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

//go:embed schema/*.sql
var schema embed.FS

// Config of a store.
type Config struct {
	// Path of the file; it and its folder are made when missing.
	Path string
}

// Store is a store in a file. It is safe for concurrent use by one process.
type Store struct {
	// write is one connection, so that writers queue here and not in the file's lock;
	// read is several, which see the last state that was committed.
	write, read *sql.DB
}

var _ store.Store = (*Store)(nil)

// New opens the file and brings it to the newest version of the schema.
func New(ctx context.Context, cfg Config) (*Store, error) {
	if err := prepare(cfg.Path); err != nil {
		return nil, err
	}
	s := &Store{}
	var err error
	if s.write, err = sql.Open("sqlite", source(cfg.Path, "immediate")); err != nil {
		return nil, fmt.Errorf("state file %s: %w", cfg.Path, err)
	}
	s.write.SetMaxOpenConns(1)
	if s.read, err = sql.Open("sqlite", source(cfg.Path, "deferred")); err == nil {
		err = s.migrate(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("state file %s: %w", cfg.Path, err), s.Close())
	}
	return s, nil
}

// prepare makes folder and file for their owner alone. SQLite gives the files
// that it puts beside it the same mode.
func prepare(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("state file: %w", err)
	}
	info, err := f.Stat()
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("state file: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("state file %s holds private keys and others may read it: chmod 600 it", path)
	}
	return nil
}

func source(path, lock string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	q := url.Values{"_txlock": {lock}, "_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)"}}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
}

// migrate applies the files of the schema that the state file has not seen, in
// one transaction each. Their number is the version in the file.
func (s *Store) migrate(ctx context.Context) error {
	files, err := schema.ReadDir("schema")
	if err != nil {
		return err
	}
	var have int
	if err := s.write.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have); err != nil {
		return err
	}
	if have > len(files) {
		return fmt.Errorf("is of version %d and this program knows %d: use the newer program, or remove the file to begin anew", have, len(files))
	}
	for i, f := range files[have:] {
		text, err := schema.ReadFile("schema/" + f.Name())
		if err != nil {
			return err
		}
		// A pragma takes no parameter; the number is ours.
		statements := fmt.Sprintf("%s\nPRAGMA user_version = %d;", text, have+i+1)
		err = s.change(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, statements)
			return err
		})
		if err != nil {
			return fmt.Errorf("schema %s: %w", f.Name(), err)
		}
	}
	return nil
}

// change runs f in a transaction that is the only one to write. What f calls must
// not come back to the store.
func (s *Store) change(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// Close implements Store.
func (s *Store) Close() error {
	var errs []error
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// found turns the library's word for nothing into the store's.
func found(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return store.ErrNotFound
	}
	return err
}

// one says that a statement changed a record, or that there was none.
func one(r sql.Result, err error) error {
	if err != nil {
		return err
	}
	n, err := r.RowsAffected()
	if err == nil && n == 0 {
		return store.ErrNotFound
	}
	return err
}

// taken reports ErrExists when a query finds anything.
func taken(ctx context.Context, tx *sql.Tx, query string, args ...any) error {
	var one int
	err := tx.QueryRowContext(ctx, query, args...).Scan(&one)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	return store.ErrExists
}
