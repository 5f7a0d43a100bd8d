// Package partition is what CloudAP keeps of one user and one kind of
// credential: the PRT and its session key as the TPM protects them, and what is
// needed to check that credential without the network.
//
// What lives here: the record and its file. What never may: a session key, a
// password, or a PRT of this release in the clear. The password is there as an Argon2id
// hash only. The CloudAP framework is the one caller.
package partition

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// Kind is the kind of credential behind a PRT.
type Kind string

// The kinds. A PRT stays in the partition of its kind for life, so what one proof
// is worth never shows in tokens of another.
const (
	// Password is a password, of a managed or of a federated user.
	Password Kind = "password"
	// Hello is a Windows Hello key of this device.
	Hello Kind = "hello"
	// SmartCard is a certificate: of a card toward the federation provider, or at a
	// sign-in page.
	SmartCard Kind = "smartcard"
	// FIDO is a security key or another passkey, at a sign-in page.
	FIDO Kind = "fido"
	// AccessPass is a Temporary Access Pass, at a sign-in page.
	AccessPass Kind = "tap"
	// Web is every other way at a sign-in page, such as the authenticator alone.
	Web Kind = "web"
)

// Kinds lists them all.
func Kinds() []Kind { return []Kind{Password, Hello, SmartCard, FIDO, AccessPass, Web} }

// ParseKind reads a kind of credential.
func ParseKind(s string) (Kind, error) {
	if !slices.Contains(Kinds(), Kind(s)) {
		return "", fmt.Errorf("credential kind is not one of: %v", Kinds())
	}
	return Kind(s), nil
}

// Cached reports whether somebody can sign in with this kind without the network:
// a password has its hash here, a Hello key its TPM. What the others prove, only the
// identity provider can judge.
func (k Kind) Cached() bool { return k == Password || k == Hello }

// Key names a partition. PRTs that one user obtained with different kinds of
// credential live apart.
type Key struct {
	Tenant ids.TenantID
	User   ids.UserID
	Kind   Kind
}

// ParseKey reads a key from its three parts.
func ParseKey(tenant, user, kind string) (Key, error) {
	t, err := ids.ParseTenant(tenant)
	if err != nil {
		return Key{}, err
	}
	u, err := ids.ParseUser(user)
	if err != nil {
		return Key{}, err
	}
	k, err := ParseKind(kind)
	if err != nil {
		return Key{}, err
	}
	return Key{Tenant: t, User: u, Kind: k}, nil
}

// Partition is one record. PRT and SealedKey belong together: a PRT is good only
// with the session key that is inside it, so they are replaced together.
type Partition struct {
	Key
	UPN         ids.UPN
	DisplayName string
	// PRT is opaque, and in the clear: of a file of an earlier release, until the
	// tpm-agent has sealed it. Else it is empty, and SealedPRT is what there is.
	PRT secret.Text
	// SealedPRT is the PRT as the tpm-agent sealed it for this partition.
	SealedPRT []byte
	// PRTHash is SHA-256 of the PRT: tells one from another, and gives none away.
	PRTHash [sha256.Size]byte
	// SealedKey is the session key as the tpm-agent sealed it: usable by that
	// agent only, for this partition only.
	SealedKey []byte
	// Verifier of the password. Only the kind password has one, and that not before
	// the password was typed on this device.
	Verifier Verifier
	// ObtainedAt and ExpiresAt bound the life of the PRT.
	ObtainedAt, ExpiresAt time.Time
	// WrongPasswords counts wrong passwords since the last right one. It is on
	// disk so that a restart does not give new guesses.
	WrongPasswords int
	// LastWrongAt is when the last of them was typed.
	LastWrongAt time.Time
	// Standing is what else this device learnt.
	Standing
}

// Age of the PRT.
func (p Partition) Age(now time.Time) time.Duration { return now.Sub(p.ObtainedAt) }

// Expired reports whether the PRT has ended.
func (p Partition) Expired(now time.Time) bool { return !now.Before(p.ExpiresAt) }

// HasPRT reports whether there is a PRT at all.
func (p Partition) HasPRT() bool { return !p.PRT.Empty() || len(p.SealedPRT) > 0 }

// SetPRT puts a PRT in, as the tpm-agent sealed it.
func (p *Partition) SetPRT(prt secret.Text, sealed []byte) {
	p.PRT, p.SealedPRT, p.PRTHash = secret.Text{}, sealed, sha256.Sum256([]byte(prt.Reveal()))
}

// Offering is the partition with another PRT, in the clear, that is not adopted yet.
func (p Partition) Offering(prt secret.Text) Partition {
	p.PRT, p.SealedPRT, p.PRTHash = prt, nil, sha256.Sum256([]byte(prt.Reveal()))
	return p
}

// SamePRT reports whether both have the same PRT.
func (p Partition) SamePRT(other Partition) bool {
	return p.HasPRT() && other.HasPRT() && p.PRTHash == other.PRTHash
}

// Digest is the first 8 hex digits of the SHA-256 of the PRT: enough to see that
// it changed, useless to whoever wants it.
func (p Partition) Digest() string {
	return hex.EncodeToString(p.PRTHash[:4])
}
