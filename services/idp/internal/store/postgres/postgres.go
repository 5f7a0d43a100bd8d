// Package postgres is a store that several identity providers share: a PostgreSQL
// database.
//
// What lives here: the connection, the schema with its levels, and what replicas tell
// each other through it. What never may: a rule of the directory, and a statement about
// a record, which package sqlstore has. The door of the identity provider opens it when
// it was told where the database is.
//
// The database holds private keys and password hashes in the clear, as a laboratory
// may: its role and its backups are for the identity provider alone.
package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store/sqlstore"
)

const (
	// connections is how many one process opens at most; a call takes one at a time, and
	// PostgreSQL takes 100 in all unless it is told otherwise.
	connections = 16
	// connectTime bounds making a connection, statementTime a statement, lockTime the wait
	// for another transaction. A call that ends by them is made again by who called.
	connectTime                 = 5 * time.Second
	statementTime, lockTime     = "10000", "5000" // milliseconds, as PostgreSQL's settings have them
	idleTransaction             = "10000"
	serialization, deadlock     = "40001", "40P01"
	noSuchCharacter, badUnicode = "22021", "22P05"
)

// Config of a store.
type Config struct {
	// DSN says where the database is and who we are there: key=value pairs, or a URL
	// (PostgreSQL 15 manual, section 34.1.1). Over TCP it must say sslmode.
	DSN secret.Text
}

// Store is a store in a database. It is safe for concurrent use, by any number of
// processes.
type Store struct {
	*sqlstore.Store
	db    *sql.DB
	cache *cache
	// seen is the newest change that is known here; catching is held by who makes more
	// known.
	seen     atomic.Int64
	catching sync.Mutex
}

var _ store.Store = (*Store)(nil)

// New connects, and brings the schema to the level of this program when it is older.
// Of several that start at once one does so and the others wait.
func New(ctx context.Context, cfg Config) (*Store, error) {
	return open(ctx, cfg, newest())
}

// open is New for a program that knows the levels up to one.
func open(ctx context.Context, cfg Config, level int) (*Store, error) {
	c, err := parse(cfg.DSN)
	if err != nil {
		return nil, err
	}
	db := stdlib.OpenDB(*c)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	db.SetConnMaxIdleTime(time.Minute)
	s := &Store{db: db, cache: newCache()}
	s.Store = sqlstore.New(sqlstore.Config{Write: db, Read: db, Dialect: sqlstore.Dialect{
		Numbered: true, ForUpdate: " FOR UPDATE", Lock: lock, Again: again, Nobody: nobody,
	}})
	if err := migrate(ctx, db, level); err != nil {
		return nil, errors.Join(fmt.Errorf("database: %w", err), db.Close())
	}
	return s, nil
}

// parse reads a DSN. The library's own errors repeat parts of it.
func parse(dsn secret.Text) (*pgx.ConnConfig, error) {
	if dsn.Empty() {
		return nil, errors.New("database: the DSN is empty")
	}
	c, err := pgx.ParseConfig(dsn.Reveal())
	if err != nil {
		return nil, errors.New("database: the DSN is not one: use host=NAME dbname=NAME user=NAME, or a URL with the scheme postgres")
	}
	if !protected(c, dsn) {
		return nil, errors.New("database: the DSN must say sslmode over TCP, so that nobody sends keys in the clear by accident: verify-full with sslrootcert, or disable for a laboratory; allow and prefer leave it to whoever is on the way")
	}
	c.ConnectTimeout = connectTime
	for name, value := range map[string]string{
		"statement_timeout": statementTime, "lock_timeout": lockTime, "idle_in_transaction_session_timeout": idleTransaction,
		"default_transaction_isolation": "read committed", "application_name": "lockstep-idp",
	} {
		c.RuntimeParams[name] = value
	}
	return c, nil
}

// protected says that every way over TCP has TLS, or that the DSN wants none of them to
// have it. A way with TLS and another without it to the same host, as sslmode=prefer makes
// them, ends in the clear when somebody on the way refuses the first.
func protected(c *pgx.ConnConfig, dsn secret.Text) bool {
	ways := []*pgconn.FallbackConfig{{Host: c.Host, TLSConfig: c.TLSConfig}}
	secured, open := false, false
	for _, w := range append(ways, c.Fallbacks...) {
		if tcp := !strings.HasPrefix(w.Host, "/"); tcp {
			secured, open = secured || w.TLSConfig != nil, open || w.TLSConfig == nil
		}
	}
	return !open || !secured && saysDisable(dsn.Reveal())
}

// saysDisable looks for the setting as a word of its own in either form of a DSN.
func saysDisable(dsn string) bool {
	words := strings.FieldsFunc(dsn, func(r rune) bool { return unicode.IsSpace(r) || r == '?' || r == '&' })
	return slices.Contains(words, "sslmode=disable")
}

// lock waits for the other transactions that named the same thing. Two names may share
// a number, and then they wait for each other without need.
func lock(ctx context.Context, tx *sql.Tx, name string) error {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	_, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(h.Sum64()))
	return err
}

// again: the transaction was ended because another one was in its way.
func again(err error) bool { return coded(err, serialization, deadlock) }

// nobody: the name has characters that no text of the database can have.
func nobody(err error) bool { return coded(err, noSuchCharacter, badUnicode) }

func coded(err error, codes ...string) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && slices.Contains(codes, e.Code)
}
