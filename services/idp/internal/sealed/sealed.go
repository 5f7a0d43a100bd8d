// Package sealed makes the artefacts that devices and browsers hold for us and
// cannot read: the PRT, the refresh token of an app, the session cookie.
//
// What lives here: their content, their one text form, and the sealing. What
// never may: a decision about them. Because everything needed to check one is
// inside, using one costs no read of a session table and replicas need to share
// nothing but the keys. The issuance room seals and opens; nobody else holds keys.
package sealed

import (
	"errors"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// Type is the kind of artefact. It is part of what is authenticated, so that one
// kind never passes for another.
type Type byte

// The kinds.
const (
	PRT          Type = 1
	RefreshToken Type = 2
	Cookie       Type = 3
)

// Credential is the kind of credential behind an artefact. PRTs of different
// kinds live apart and never lend each other claims.
type Credential string

// The kinds of credential.
const (
	Password Credential = "password"
	SAML     Credential = "saml"
)

// Artefact is the content. A PRT binds user, device, session key and the state
// of both objects at issue; a refresh token and a cookie descend from a PRT and
// repeat what they inherit.
type Artefact struct {
	Type   Type
	Tenant ids.TenantID
	User   ids.UserID
	Device ids.DeviceID
	// Certificate is the SHA-256 of the device certificate at issue.
	Certificate [32]byte
	// Client is the application it was issued to.
	Client ids.ClientID
	// SessionID names the sign-in that all of them descend from.
	SessionID string
	// SessionKey is 32 bytes; requests that use the artefact are signed with it.
	SessionKey secret.Bytes
	// KeyMade is when the session key was drawn; it outlives renewals, not years.
	KeyMade    time.Time
	Credential Credential
	// AMR is how the user proved who they are; copied on, never raised.
	AMR []string
	// AuthTime is when.
	AuthTime time.Time
	// KDFMin is the least version of the key derivation that may be used with it,
	// 1 or 2. It is here and not in the request, so that it cannot be stripped.
	KDFMin int
	// PasswordEpoch and SessionEpoch are the user's counters at issue.
	PasswordEpoch, SessionEpoch uint64
	// Issued and Expires bound it, to the millisecond.
	Issued, Expires time.Time
}

// ErrArtefact is the one error for an artefact that does not open, whatever is
// wrong with it.
var ErrArtefact = errors.New("not an artefact of this kind")
