package store

import (
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
)

// Authenticator is an app on a telephone of the user that approves sign-ins.
type Authenticator struct {
	// ID names it among the user's, a GUID.
	ID string
	// Name such as Pixel 9.
	Name string
	// PhoneSignIn lets it sign in without a password before it.
	PhoneSignIn bool
	// Added is when, zero for the tenant file's.
	Added time.Time
}

// AccessPass is a Temporary Access Pass. Who made it knows its text, we know a hash.
type AccessPass struct {
	// Hash is HMAC-SHA-256 of the text; empty is no pass.
	Hash            []byte
	Issued, Expires time.Time
	// OneTime is good for one sign-in, and Used says that it was made.
	OneTime, Used bool
}

// Usable says whether the pass would be taken now.
func (p AccessPass) Usable(now time.Time) bool {
	return len(p.Hash) > 0 && now.Before(p.Expires) && (!p.OneTime || !p.Used)
}

// Provenance is how a Windows Hello key came into the directory.
type Provenance string

// The ways. The empty one, of records from before it was kept, is Registered: there
// was no other way then.
const (
	// Registered says that a device registered it, with a token of its user that had
	// a fresh second factor.
	Registered Provenance = "registered"
	// Written says that an administrator wrote it into the directory.
	Written Provenance = "administrator"
)

// HelloKey is the public half of a Windows Hello for Business key.
type HelloKey struct {
	// KID is a GUID that names the object.
	KID string
	// KeyID is base64 of the SHA-256 of Key, as assertions name it.
	KeyID string
	// Key is an RSA1 blob.
	Key     []byte
	Device  ids.DeviceID
	Created time.Time
	// Provenance is how it came here.
	Provenance Provenance
}

// Origin is the provenance, also of a key from before it was kept.
func (k HelloKey) Origin() Provenance {
	if k.Provenance == "" {
		return Registered
	}
	return k.Provenance
}

// SignsInByPhone says whether an authenticator of the user may sign in without a
// password.
func (u User) SignsInByPhone() bool {
	return slices.ContainsFunc(u.Push, func(a Authenticator) bool { return a.PhoneSignIn })
}
