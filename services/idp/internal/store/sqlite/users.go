package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// userRecord is a user with its secrets, which do not marshal by themselves.
type userRecord struct {
	store.User
	PasswordHash, TOTPSecret string
}

func encodeUser(u store.User) (string, error) {
	r := userRecord{User: u, PasswordHash: u.PasswordHash.Reveal(), TOTPSecret: u.TOTPSecret.Reveal()}
	r.User.PasswordHash, r.User.TOTPSecret = secret.Text{}, secret.Text{}
	raw, err := json.Marshal(r)
	return string(raw), err
}

func decodeUser(raw string) (store.User, error) {
	var r userRecord
	if err := json.Unmarshal([]byte(raw), &r); err != nil {
		return store.User{}, fmt.Errorf("user record: %w", err)
	}
	if r.PasswordHash != "" {
		r.User.PasswordHash = secret.NewText(r.PasswordHash)
	}
	if r.TOTPSecret != "" {
		r.User.TOTPSecret = secret.NewText(r.TOTPSecret)
	}
	return r.User, nil
}

// AddUser implements Store.
func (s *Store) AddUser(ctx context.Context, u store.User) error {
	raw, err := encodeUser(u)
	if err != nil {
		return err
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		if err := taken(ctx, tx, "SELECT 1 FROM users WHERE id = ? OR upn = ?", u.ID, u.UPN); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO users (id, tenant, upn, immutable_id, record) VALUES (?, ?, ?, ?, ?)", u.ID, u.Tenant, u.UPN, u.ImmutableID, raw)
		return err
	})
}

// User implements Store.
func (s *Store) User(ctx context.Context, t ids.TenantID, id ids.UserID) (store.User, error) {
	return readUser(s.read.QueryRowContext(ctx, "SELECT record FROM users WHERE id = ? AND tenant = ?", id, t))
}

// UserByUPN implements Store.
func (s *Store) UserByUPN(ctx context.Context, upn ids.UPN) (store.User, error) {
	return readUser(s.read.QueryRowContext(ctx, "SELECT record FROM users WHERE upn = ?", upn))
}

// UserByImmutableID implements Store.
func (s *Store) UserByImmutableID(ctx context.Context, t ids.TenantID, immutable string) (store.User, error) {
	return readUser(s.read.QueryRowContext(ctx, "SELECT record FROM users WHERE tenant = ? AND immutable_id = ? AND immutable_id <> ''", t, immutable))
}

func readUser(row *sql.Row) (store.User, error) {
	var raw string
	if err := row.Scan(&raw); err != nil {
		return store.User{}, found(err)
	}
	return decodeUser(raw)
}

// UpdateUser implements Store.
func (s *Store) UpdateUser(ctx context.Context, t ids.TenantID, id ids.UserID, change func(*store.User) error) error {
	return s.change(ctx, func(tx *sql.Tx) error {
		u, err := readUser(tx.QueryRowContext(ctx, "SELECT record FROM users WHERE id = ? AND tenant = ?", id, t))
		if err != nil {
			return err
		}
		next := u
		if err := change(&next); err != nil {
			return err
		}
		next.ID, next.Tenant, next.UPN = u.ID, u.Tenant, u.UPN
		raw, err := encodeUser(next)
		if err != nil {
			return err
		}
		return one(tx.ExecContext(ctx, "UPDATE users SET immutable_id = ?, record = ? WHERE id = ?", next.ImmutableID, raw, id))
	})
}

// Users implements Store.
func (s *Store) Users(ctx context.Context, t ids.TenantID) ([]store.User, error) {
	return list(ctx, s.read, decodeUser, "SELECT record FROM users WHERE tenant = ? ORDER BY upn", t)
}

// DeleteUser implements Store.
func (s *Store) DeleteUser(ctx context.Context, t ids.TenantID, id ids.UserID) error {
	return one(s.write.ExecContext(ctx, "DELETE FROM users WHERE id = ? AND tenant = ?", id, t))
}

// list reads the one column of all rows.
func list[T any](ctx context.Context, db *sql.DB, decode func(string) (T, error), query string, args ...any) ([]T, error) {
	rows, err := db.QueryContext(ctx, query, args...)
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
