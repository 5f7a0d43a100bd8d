package sqlstore

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

func encodeUser(u store.User, before string) (string, error) {
	r := userRecord{User: u, PasswordHash: u.PasswordHash.Reveal(), TOTPSecret: u.TOTPSecret.Reveal()}
	r.User.PasswordHash, r.User.TOTPSecret = secret.Text{}, secret.Text{}
	return encode(r, before)
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
	raw, err := encodeUser(u, "")
	if err != nil {
		return err
	}
	return s.write.one(ctx, store.ErrExists, "INSERT INTO users (id, tenant, upn, immutable_id, record) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
		string(u.ID), string(u.Tenant), string(u.UPN), u.ImmutableID, raw)
}

// User implements Store.
func (s *Store) User(ctx context.Context, t ids.TenantID, id ids.UserID) (store.User, error) {
	return s.read.user(s.read.row(ctx, "SELECT record FROM users WHERE id = ? AND tenant = ?", string(id), string(t)))
}

// UserByUPN implements Store.
func (s *Store) UserByUPN(ctx context.Context, upn ids.UPN) (store.User, error) {
	return s.read.user(s.read.row(ctx, "SELECT record FROM users WHERE upn = ?", string(upn)))
}

// UserByImmutableID implements Store.
func (s *Store) UserByImmutableID(ctx context.Context, t ids.TenantID, immutable string) (store.User, error) {
	return s.read.user(s.read.row(ctx, "SELECT record FROM users WHERE tenant = ? AND immutable_id = ? AND immutable_id <> ''", string(t), immutable))
}

func (c conn) user(row *sql.Row) (store.User, error) {
	var raw string
	if err := row.Scan(&raw); err != nil {
		return store.User{}, c.found(err)
	}
	return decodeUser(raw)
}

// UpdateUser implements Store.
func (s *Store) UpdateUser(ctx context.Context, t ids.TenantID, id ids.UserID, change func(*store.User) error) error {
	return s.change(ctx, func(tx conn) error {
		var before string
		if err := tx.row(ctx, "SELECT record FROM users WHERE id = ? AND tenant = ? FOR UPDATE", string(id), string(t)).Scan(&before); err != nil {
			return tx.found(err)
		}
		u, err := decodeUser(before)
		if err != nil {
			return err
		}
		next := u
		if err := change(&next); err != nil {
			return err
		}
		next.ID, next.Tenant, next.UPN = u.ID, u.Tenant, u.UPN
		raw, err := encodeUser(next, before)
		if err != nil {
			return err
		}
		return tx.one(ctx, store.ErrNotFound, "UPDATE users SET immutable_id = ?, record = ? WHERE id = ?", next.ImmutableID, raw, string(id))
	})
}

// Users implements Store.
func (s *Store) Users(ctx context.Context, t ids.TenantID) ([]store.User, error) {
	return list(ctx, s.read, decodeUser, "SELECT record FROM users WHERE tenant = ? ORDER BY upn", string(t))
}

// DeleteUser implements Store.
func (s *Store) DeleteUser(ctx context.Context, t ids.TenantID, id ids.UserID) error {
	return s.write.one(ctx, store.ErrNotFound, "DELETE FROM users WHERE id = ? AND tenant = ?", string(id), string(t))
}
