// Package sqlite is a store that survives a restart: one SQLite file.
//
// What lives here: the file, and the schema with its versions. What never may: a rule
// of the directory, and a statement about a record, which package sqlstore has. The
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
	"github.com/lockstep-sso/lockstep/services/idp/internal/store/sqlstore"
)

//go:embed schema/*.sql
var schema embed.FS

// Config of a store.
type Config struct {
	// Path of the file; it and its folder are made when missing.
	Path string
}

// Store is a store in a file. It is safe for concurrent use by one process.
type Store struct{ *sqlstore.Store }

var _ store.Store = (*Store)(nil)

// New opens the file and brings it to the newest version of the schema.
func New(ctx context.Context, cfg Config) (*Store, error) {
	if err := prepare(cfg.Path); err != nil {
		return nil, err
	}
	// write is one connection, so that writers queue here and not in the file's lock;
	// read is several, which see the last state that was committed.
	write, err := sql.Open("sqlite", source(cfg.Path, "immediate"))
	if err != nil {
		return nil, fmt.Errorf("state file %s: %w", cfg.Path, err)
	}
	write.SetMaxOpenConns(1)
	read, err := sql.Open("sqlite", source(cfg.Path, "deferred"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("state file %s: %w", cfg.Path, err), write.Close())
	}
	s := &Store{sqlstore.New(sqlstore.Config{Write: write, Read: read})}
	if err := migrate(ctx, write); err != nil {
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
func migrate(ctx context.Context, db *sql.DB) error {
	files, err := schema.ReadDir("schema")
	if err != nil {
		return err
	}
	var have int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have); err != nil {
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
		if err := apply(ctx, db, statements); err != nil {
			return fmt.Errorf("schema %s: %w", f.Name(), err)
		}
	}
	return nil
}

func apply(ctx context.Context, db *sql.DB, statements string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, statements); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
