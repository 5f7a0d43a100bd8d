package postgres

import (
	"context"
	"database/sql"

	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// Parse reads a DSN.
func Parse(dsn string) error {
	_, err := parse(secret.NewText(dsn))
	return err
}

// OpenAt is New of a program that knows the schema up to a level.
func OpenAt(ctx context.Context, cfg Config, level int) (*Store, error) { return open(ctx, cfg, level) }

// Newest is the level of this program.
func Newest() int { return newest() }

// DB is the database itself.
func (s *Store) DB() *sql.DB { return s.db }
