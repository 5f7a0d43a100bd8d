// Package store keeps what must outlive a request: users and devices.
//
// What lives here: the records, the interface, and an implementation in memory.
// What never may: a rule about who may do what, and anything that a nonce, a PRT
// or a token carries by itself; those are not stored at all. The directory room
// is its only caller. Every implementation passes the suite in storetest.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

var (
	// ErrNotFound says that there is no such record.
	ErrNotFound = errors.New("not found")
	// ErrExists says that the id or the name is taken.
	ErrExists = errors.New("exists already")
	// ErrQuota says that the user has registered as many devices as allowed.
	ErrQuota = errors.New("device quota is used up")
)

// User is a user object.
type User struct {
	ID     ids.UserID
	Tenant ids.TenantID
	// UPN is unique over all tenants: its domain belongs to one.
	UPN         ids.UPN
	DisplayName string
	// PasswordHash is an argon2id PHC string; empty for a federated user.
	PasswordHash secret.Text
	Enabled      bool
	// MayJoin lets the user register devices.
	MayJoin bool
	// ImmutableID ties a federated user to the federation provider's object.
	ImmutableID string
	// PasswordEpoch counts password changes. What was got with an older password
	// carries a smaller number.
	PasswordEpoch uint64
	// SessionEpoch counts revocations of everything the user holds.
	SessionEpoch uint64
}

// Device is a device object. It holds public halves of keys only.
type Device struct {
	ID           ids.DeviceID
	Tenant       ids.TenantID
	DisplayName  string
	Type         string
	OSVersion    string
	Enabled      bool
	RegisteredBy ids.UserID
	RegisteredAt time.Time
	// Certificate is the DER device certificate in force.
	Certificate []byte
	// DeviceKey is dkpub, a DER SubjectPublicKeyInfo.
	DeviceKey []byte
	// TransportKey is tkpub, an RSA1 blob.
	TransportKey []byte
}

// Store keeps users and devices. Implementations are safe for concurrent use,
// give out copies, and make each call atomic.
type Store interface {
	// AddUser adds a user; ErrExists when the id or the name is taken.
	AddUser(ctx context.Context, u User) error
	// User finds a user of a tenant by id.
	User(ctx context.Context, t ids.TenantID, id ids.UserID) (User, error)
	// UserByUPN finds a user by name.
	UserByUPN(ctx context.Context, upn ids.UPN) (User, error)
	// UserByImmutableID finds a federated user of a tenant.
	UserByImmutableID(ctx context.Context, t ids.TenantID, immutable string) (User, error)
	// UpdateUser applies change to the record; id, tenant and name stay. An error
	// of change is returned and nothing is written.
	UpdateUser(ctx context.Context, t ids.TenantID, id ids.UserID, change func(*User) error) error

	// AddDevice adds a device unless its registering user already has quota of
	// them, which is ErrQuota.
	AddDevice(ctx context.Context, d Device, quota int) error
	// Device finds a device by id, which is unique over all tenants.
	Device(ctx context.Context, id ids.DeviceID) (Device, error)
	// Devices lists the devices of a tenant in the order of registration.
	Devices(ctx context.Context, t ids.TenantID) ([]Device, error)
	// UpdateDevice applies change to the record; id and tenant stay.
	UpdateDevice(ctx context.Context, id ids.DeviceID, change func(*Device) error) error
	// DeleteDevice removes a device.
	DeleteDevice(ctx context.Context, id ids.DeviceID) error

	// Close lets go of what the store holds.
	Close() error
}
