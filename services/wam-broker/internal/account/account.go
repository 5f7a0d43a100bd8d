// Package account keeps the work accounts of the users of a registered device, each
// with its PRT: what the partitions of CloudAP are on a joined device.
//
// What lives here: the record and its file. What never may: a session key in clear, a
// password, a decision; and a PRT only as the tpm-agent sealed it. WAM's authority of
// the PRT is the one caller.
package account

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	prt "github.com/lockstep-sso/lockstep/pkg/authority"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/sid"
)

// MaxClients bounds the apps whose refresh tokens an account knows of.
const MaxClients = 512

// ID names an account: a user of a tenant, in the hands of a user of this device. Two
// users of the device who add the same account have two, and share nothing.
type ID struct {
	SID    sid.SID
	Tenant ids.TenantID
	User   ids.UserID
}

// Validity is what is known of a PRT beyond its end.
type Validity string

// Validities.
const (
	// Good as far as is known.
	Good Validity = "good"
	// Revoked by the identity provider: the user has to sign in.
	Revoked Validity = "revoked"
	// DeviceInvalid says that the identity provider refuses the device.
	DeviceInvalid Validity = "device_invalid"
	// KeysLost says that the session key is lost with the TPM, or with the registration
	// of before.
	KeysLost Validity = "keys_lost"
)

// Factor is what the identity provider said of a second factor behind a PRT.
type Factor string

// Factors; the zero value is one that it said nothing of.
const (
	NoFactor  Factor = "no"
	HasFactor Factor = "yes"
)

// Record is one account.
type Record struct {
	ID
	UPN         ids.UPN
	DisplayName string
	// DefaultSince is when the account became the default one; of each user of the device
	// the latest is it. So the choice is one write, and no crash leaves two or none.
	DefaultSince time.Time
	AddedAt      time.Time
	// PRT is nil while there is none.
	PRT *PRT
	// Clients are the apps that had a refresh token of this account, so that it can be
	// removed with the account.
	Clients []ids.ClientID
}

// PRT is a Primary Refresh Token with what belongs to it. It is replaced as a whole:
// a PRT is good only with the session key that is inside it.
type PRT struct {
	// Kind of credential that it was obtained with.
	Kind string
	// Sealed is the PRT as the tpm-agent sealed it for this component. It is never kept
	// in clear.
	Sealed []byte
	// Hash is its SHA-256.
	Hash [sha256.Size]byte
	// SealedKey is the session key as the tpm-agent sealed it for this component.
	SealedKey []byte
	// ObtainedAt and ExpiresAt bound its life.
	ObtainedAt, ExpiresAt time.Time
	Validity              Validity
	Factor                Factor
}

// Age of the PRT.
func (p *PRT) Age(now time.Time) time.Duration { return now.Sub(p.ObtainedAt) }

// Expired reports whether the PRT has ended.
func (p *PRT) Expired(now time.Time) bool { return !now.Before(p.ExpiresAt) }

// Digest is the first 8 hex digits of the SHA-256 of the PRT: enough to see that it
// changed, useless to whoever wants it.
func (p *PRT) Digest() string { return hex.EncodeToString(p.Hash[:4]) }

// Is reports whether a PRT in clear is this one.
func (p *PRT) Is(other secret.Text) bool { return HashOf(other) == p.Hash }

// HashOf is the hash of a PRT.
func HashOf(token secret.Text) [sha256.Size]byte { return sha256.Sum256([]byte(token.Reveal())) }

// Cached is the PRT as the protocol uses it. There has to be one.
func (r Record) Cached() prt.Cached {
	return prt.Cached{
		Key: prt.Key{Tenant: r.Tenant, User: r.User, Kind: r.PRT.Kind}, SealedPRT: r.PRT.Sealed, SealedKey: r.PRT.SealedKey,
	}
}

// Answers reports whether a name that an app gave means this account: its user
// principal name, in any case, or its object id.
func (r Record) Answers(name string) bool {
	return strings.EqualFold(name, string(r.UPN)) || strings.EqualFold(name, string(r.User))
}
