// Package sqlstore is the store on a database that speaks SQL: the statements that
// SQLite and PostgreSQL share.
//
// What lives here: every statement about a record, once, in the words that both
// know, and the records as JSON beside the columns they are looked up by. What never
// may: a schema, an address, a driver; the packages sqlite and postgres have those,
// open the database, and hand it in. Nobody else does.
package sqlstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// Dialect is what the databases do not have in common.
type Dialect struct {
	// Numbered writes parameters as $1, $2 and so on; else they are question marks.
	Numbered bool
	// ForUpdate ends a query whose row the transaction is about to change, so that it
	// waits for others who do. A database with one writer needs none.
	ForUpdate string
	// Lock has the transactions that name one thing wait for each other until they
	// end. Nil is a database with one writer.
	Lock func(ctx context.Context, tx *sql.Tx, name string) error
	// Again says whether a transaction that ended so may succeed when it is made again.
	Again func(error) bool
	// Nobody says whether a look-up ended so because no record could have such a name.
	Nobody func(error) bool
}

// Config of a store. All fields must be set.
type Config struct {
	// Write is for changes, Read for what only reads; they may be the same.
	Write, Read *sql.DB
	Dialect     Dialect
}

// Store is a store on a database. It is safe for concurrent use.
type Store struct {
	write, read conn
	dialect     Dialect
	dbs         []*sql.DB
}

var _ store.Store = (*Store)(nil)

// New makes a store on a database whose schema is there.
func New(cfg Config) *Store {
	s := &Store{dialect: cfg.Dialect, dbs: []*sql.DB{cfg.Read}}
	if cfg.Write != cfg.Read {
		s.dbs = append(s.dbs, cfg.Write)
	}
	s.write, s.read = conn{cfg.Write, cfg.Dialect}, conn{cfg.Read, cfg.Dialect}
	return s
}

// Close implements Store.
func (s *Store) Close() error {
	var errs []error
	for _, db := range s.dbs {
		errs = append(errs, db.Close())
	}
	return errors.Join(errs...)
}

// tries bounds how often a transaction is made that others were in the way of.
const tries = 5

// change runs f in a transaction. What f calls must not come back to the store, and f
// may be called again when others were in the way.
func (s *Store) change(ctx context.Context, f func(conn) error) error {
	for n := 1; ; n++ {
		err := s.once(ctx, f)
		if err == nil || n == tries || s.dialect.Again == nil || !s.dialect.Again(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause(n)):
		}
	}
}

// pause is how long to wait after the nth try: some milliseconds, other ones for each
// who waits, so that they do not meet again.
func pause(n int) time.Duration {
	var b [1]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return time.Duration(n) * (time.Millisecond + time.Duration(b[0])*40*time.Microsecond)
}

func (s *Store) once(ctx context.Context, f func(conn) error) error {
	tx, err := s.write.on.(*sql.DB).BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(conn{tx, s.dialect}); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// lock has the changes that name one thing wait for each other.
func (c conn) lock(ctx context.Context, name string) error {
	tx, ok := c.on.(*sql.Tx)
	if !ok || c.dialect.Lock == nil {
		return nil
	}
	return c.dialect.Lock(ctx, tx, name)
}

// conn is a database or a transaction that takes our statements.
type conn struct {
	on interface {
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
		QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	}
	dialect Dialect
}

func (c conn) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return c.on.QueryContext(ctx, c.dialect.words(query), args...)
}

func (c conn) row(ctx context.Context, query string, args ...any) *sql.Row {
	return c.on.QueryRowContext(ctx, c.dialect.words(query), args...)
}

func (c conn) exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return c.on.ExecContext(ctx, c.dialect.words(query), args...)
}

// words puts a statement into the words of the database. No statement has a question
// mark that is not a parameter.
func (d Dialect) words(query string) string {
	query = strings.ReplaceAll(query, " FOR UPDATE", d.ForUpdate)
	if !d.Numbered {
		return query
	}
	var b strings.Builder
	b.Grow(len(query) + 16)
	n := 0
	for _, c := range []byte(query) {
		if c != '?' {
			b.WriteByte(c)
			continue
		}
		n++
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
	}
	return b.String()
}

// found turns a database's words for nothing into the store's.
func (c conn) found(err error) error {
	if errors.Is(err, sql.ErrNoRows) || err != nil && c.dialect.Nobody != nil && c.dialect.Nobody(err) {
		return store.ErrNotFound
	}
	return err
}

// changed says whether a statement changed a record.
func changed(r sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n > 0, err
}

// one makes a statement that changes a record; missing is the error when it changed none.
func (c conn) one(ctx context.Context, missing error, query string, args ...any) error {
	ok, err := changed(c.exec(ctx, query, args...))
	if err == nil && !ok {
		return missing
	}
	return c.found(err)
}

// list reads the one column of all rows.
func list[T any](ctx context.Context, c conn, decode func(string) (T, error), query string, args ...any) ([]T, error) {
	rows, err := c.query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []T
	for rows.Next() {
		var raw string
		if err := rows.Scan(&raw); err != nil {
			return nil, err
		}
		v, err := decode(raw)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// notNull is b, but empty and not absent.
func notNull(b []byte) []byte { return append([]byte{}, b...) }
