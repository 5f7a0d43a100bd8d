package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
)

//go:embed schema/*.sql
var schema embed.FS

const (
	// migrating is the number of the lock of who changes the schema.
	migrating = 0x6c6f636b73746570
	// oldestBeside is the level of the oldest program that works with the schema of this
	// one. It is raised only when no older program runs anywhere any more: until then a
	// level adds (tables, columns with a default, indexes, triggers) and takes nothing
	// away, so that an upgrade, and the way back, need no pause.
	oldestBeside = 1
)

func files() []fs.DirEntry {
	list, err := schema.ReadDir("schema")
	if err != nil {
		return nil // the folder is part of the program
	}
	return list
}

// newest is the level of this program.
func newest() int { return len(files()) }

// migrate brings the schema to a level, unless it is there or further. One process at
// a time does it; what it does is there whole or not at all.
func migrate(ctx context.Context, db *sql.DB, level int) (err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	// Others wait here longer than a statement may take otherwise.
	for _, statement := range []string{
		"SET LOCAL lock_timeout = '60s'", "SET LOCAL statement_timeout = '60s'",
		fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", int64(migrating)),
		"CREATE TABLE IF NOT EXISTS schema_level (one boolean PRIMARY KEY CHECK (one), level integer NOT NULL, oldest integer NOT NULL)",
		"INSERT INTO schema_level (one, level, oldest) VALUES (true, 0, 0) ON CONFLICT DO NOTHING",
	} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	var have, oldest int
	if err := tx.QueryRowContext(ctx, "SELECT level, oldest FROM schema_level").Scan(&have, &oldest); err != nil {
		return err
	}
	if have > level {
		if level < oldest {
			return fmt.Errorf("is of level %d for programs of level %d and newer, and this one is of %d: use the newer program", have, oldest, level)
		}
		return tx.Commit() // a newer program runs beside this one, or did
	}
	for n, f := range files()[have:level] {
		text, err := schema.ReadFile("schema/" + f.Name())
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, string(text)); err != nil {
			return fmt.Errorf("schema %s: %w", f.Name(), err)
		}
		if _, err := tx.ExecContext(ctx, "UPDATE schema_level SET level = $1, oldest = $2", have+n+1, oldestBeside); err != nil {
			return err
		}
	}
	return tx.Commit()
}
