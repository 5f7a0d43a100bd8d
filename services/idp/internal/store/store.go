// Package store keeps what must outlive a request: users, devices, and what waits
// for a person.
//
// What lives here: the records, the interface, and an implementation in memory.
// What never may: a rule about who may do what, and anything that a nonce, a PRT
// or a token carries by itself; those are not stored at all. The directory room
// asks it for users and devices; the rooms that wait for a person keep what
// waits. Every implementation passes the suite in storetest.
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
	// PasswordEpoch counts password changes, from wherever the directory began. What
	// was got with another password carries another number.
	PasswordEpoch uint64
	// SessionEpoch counts revocations of everything the user holds.
	SessionEpoch uint64
	// GivenName, Surname, Mail and JobTitle are what a directory shows of a person.
	GivenName, Surname, Mail, JobTitle string
	// Administrator may make bulk enrolment packages.
	Administrator bool
	// TOTPSecret is base32; empty when the user has no one-time codes.
	TOTPSecret secret.Text
	// TOTPAdded is when they were added, zero for the tenant file's.
	TOTPAdded time.Time
	// Push are the apps that approve sign-ins.
	Push []Authenticator
	// Phone is +CC NUMBER, for text messages and calls; empty is none.
	Phone string
	// PhoneAdded is when it was added, zero for the tenant file's.
	PhoneAdded time.Time
	// DefaultMethod is the second factor that is asked for first, by the name that
	// clients know; empty leaves it to us.
	DefaultMethod string
	// AccessPass is the Temporary Access Pass of the user, the zero value for none.
	AccessPass AccessPass
	// Risk is what a risk engine would say of the user: empty, low, medium or high.
	Risk string
	// MustChange makes the next interactive sign-in change the password.
	MustChange bool
	// CampaignBegan is when the user was first asked to register a second factor without
	// need, zero for never.
	CampaignBegan time.Time
	// HelloKeys are the Windows Hello for Business keys of the user.
	HelloKeys []HelloKey
	// Passkeys are the WebAuthn credentials of the user.
	Passkeys []Passkey
}

// Passkey is the record of a WebAuthn credential (Web Authentication Level 3, section
// 4, credential record).
type Passkey struct {
	// ID is the credential id, as the authenticator chose it.
	ID []byte
	// PublicKey is a COSE_Key in CBOR.
	PublicKey []byte
	// SignCount is the counter of the last good answer; always 0 for an authenticator
	// that does not count.
	SignCount uint32
	// Name that the user gave it.
	Name string
	// Site is the relying party id that it was made for.
	Site string
	// AAGUID is the model of the authenticator, 16 bytes, all zero when not told.
	AAGUID []byte
	// Attestation is the format of the statement it came with, such as none or packed.
	Attestation string
	// Transports are hints for browsers, such as usb or internal.
	Transports []string
	// BackupEligible and BackedUp say whether it can be, and is, on other devices too.
	BackupEligible, BackedUp bool
	// Added is when it was registered, Used when it was last used.
	Added, Used time.Time
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
	// TransportKey is tkpub, an RSA1 blob; empty when TransportJWK is there.
	TransportKey []byte
	// TransportJWK is tkpub as a JSON Web Key on the curve P-256, for version 4 of
	// the PRT protocol.
	TransportJWK []byte
	// AuthMethods is how the user proved who they are when it was registered, such
	// as pwd and mfa.
	AuthMethods []string
	// ObjectID is the GUID of the directory object.
	ObjectID string
	// Trust says how it was registered.
	Trust Trust
	// KeyProtection is how far the keys are known to be protected.
	KeyProtection Protection
	// StorageKey is the attested parent of native session keys, a TPMT_PUBLIC; empty
	// for a device that has none.
	StorageKey []byte
	// ReplacedCertificate is the SHA-256 of the certificate whose keys were exchanged for
	// these (ReplaceDeviceKeys); empty for a device whose keys are its first.
	ReplacedCertificate []byte
	// Compliant and Managed are what a management service would set.
	Compliant, Managed bool
	// Used says that the device has signed a request that was carried out: it has got its
	// certificate.
	Used bool
	// Pending is true for a synchronised object whose device has not joined yet:
	// it has an OnPremises part and no certificate.
	Pending    bool
	OnPremises OnPremises
}

// Recent is how many devices of one user AddDeviceOnce looks at, newest first: somebody
// with a package for thousands of devices must not make each registration read them all.
const Recent = 64

// Trust is how a device belongs to its tenant, in the words of the directory.
type Trust string

// The kinds of trust.
const (
	TrustJoined     Trust = "AzureAd"
	TrustRegistered Trust = "Workplace"
	TrustHybrid     Trust = "ServerAd"
)

// Protection is how far the keys of a device are known to be protected.
type Protection string

// The kinds of protection. A device without keys has none of them.
const (
	// ProtectionSoftware says that nothing was proven: keys may lie in a file.
	ProtectionSoftware Protection = "software"
	// ProtectionEmulated is a TPM by a maker who is trusted as a maker of emulators.
	ProtectionEmulated Protection = "emulated"
	// ProtectionHardware is a TPM by a maker who is trusted as a maker of chips.
	ProtectionHardware Protection = "hardware"
)

// Attested says that the keys are proven to live in one TPM by a trusted maker.
func (p Protection) Attested() bool { return p == ProtectionEmulated || p == ProtectionHardware }

// Less says that p is worth less than other.
func (p Protection) Less(other Protection) bool { return p.rank() < other.rank() }

func (p Protection) rank() int {
	switch p {
	case ProtectionHardware:
		return 2
	case ProtectionEmulated:
		return 1
	default:
		return 0
	}
}

// OnPremises is what was synchronised of a hybrid device.
type OnPremises struct {
	// SID is the security identifier.
	SID string
	// Certificate is DER, self-signed by the device.
	Certificate []byte
}

// Pending is something that waits for somebody until it expires: a device code,
// a second factor, an enrolment package.
type Pending struct {
	// Kind and Key name it.
	Kind, Key string
	// User it waits for, or empty.
	User ids.UserID
	// Expires is when it is gone.
	Expires time.Time
	// Data is the business of who put it.
	Data []byte
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

	// Users lists the users of a tenant, ordered by name.
	Users(ctx context.Context, t ids.TenantID) ([]User, error)
	// DeleteUser removes a user and its data keys. Its devices stay.
	DeleteUser(ctx context.Context, t ids.TenantID, id ids.UserID) error

	// AddDevice adds a device unless its registering user already has quota of
	// them, which is ErrQuota. One that nobody registered counts for nobody.
	AddDevice(ctx context.Context, d Device, quota int) error
	// AddDeviceOnce adds a device as AddDevice does, unless look finds the same one among
	// the last Recent devices of its registering user, newest first: then it answers that
	// one, whatever the quota, and adds nothing. look answers its index, or -1; an error of
	// it is returned and nothing is added. Of several at once that are the same one is
	// added. look must not call the store, and may be asked more than once.
	AddDeviceOnce(ctx context.Context, d Device, quota int, look func(recent []Device) (same int, err error)) (Device, error)
	// Device finds a device by id, which is unique over all tenants.
	Device(ctx context.Context, id ids.DeviceID) (Device, error)
	// Devices lists the devices of a tenant in the order of registration.
	Devices(ctx context.Context, t ids.TenantID) ([]Device, error)
	// UpdateDevice applies change to the record; id and tenant stay.
	UpdateDevice(ctx context.Context, id ids.DeviceID, change func(*Device) error) error
	// DeleteDevice removes a device and the data keys that were made for it.
	DeleteDevice(ctx context.Context, id ids.DeviceID) error

	// AddPending adds something that waits; ErrExists when kind and key are taken.
	AddPending(ctx context.Context, p Pending) error
	// Pending finds it; one that has expired at now is ErrNotFound.
	Pending(ctx context.Context, kind, key string, now time.Time) (Pending, error)
	// UpdatePending applies change to User and Data. An error of change is returned
	// and nothing is written.
	UpdatePending(ctx context.Context, kind, key string, now time.Time, change func(*Pending) error) error
	// DeletePending removes it; of several at once exactly one gets no error.
	DeletePending(ctx context.Context, kind, key string) error
	// Pendings lists what waits of a kind, the earliest end first.
	Pendings(ctx context.Context, kind string, now time.Time) ([]Pending, error)

	DataKeys

	Documents

	Uses

	Tries

	// Close lets go of what the store holds.
	Close() error
}

// Change says what changed: a document by its kind and key, or a row of a table.
type Change struct{ Kind, Key string }

// Documents are small things that a room keeps whole, by kind and key: the keys
// of the identity provider, what an operator changed of a tenant. A document is at
// most 1 MiB.
type Documents interface {
	// Document finds one.
	Document(ctx context.Context, kind, key string) ([]byte, error)
	// PutDocument adds it or puts it in place of the one there is.
	PutDocument(ctx context.Context, kind, key string, data []byte) error
	// SwapDocument puts data in the place of old, nil for of nothing, and gives back what
	// stands then: data, or what another call has put there before. ErrNotFound when
	// there is nothing and old is not nil.
	SwapDocument(ctx context.Context, kind, key string, old, data []byte) ([]byte, error)
	// DocumentKeys lists the keys of a kind, ordered.
	DocumentKeys(ctx context.Context, kind string) ([]string, error)
}
