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
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
)

// Type is the kind of artefact. It is part of what is authenticated, so that one
// kind never passes for another.
type Type byte

// The kinds.
const (
	PRT          Type = 1
	RefreshToken Type = 2
	Cookie       Type = 3
	// Code is for the token endpoint, once.
	Code Type = 4
	// State is the state of a sign-in under way; its content is another room's.
	State Type = 5
)

// Credential is the kind of credential behind an artefact. PRTs of different
// kinds live apart and never lend each other claims.
type Credential string

// The kinds of credential.
const (
	Password Credential = "password"
	SAML     Credential = "saml"
	// Hello is a Windows Hello for Business key.
	Hello Credential = "ngc"
	// Client is an application that acts for itself.
	Client Credential = "client"
	// Bulk is a bulk enrolment package: it registers devices and nothing else.
	Bulk Credential = "bulk"
	// FIDO is a security key or passkey, Pass a Temporary Access Pass, Phone the
	// authenticator without a password, Certificate a certificate at a page, SmartCard
	// one at the federation provider.
	FIDO        Credential = "fido"
	Pass        Credential = "tap"
	Phone       Credential = "phone"
	Certificate Credential = "certificate"
	SmartCard   Credential = "smartcard"
)

// Federated says whether a federation provider judged it.
func (c Credential) Federated() bool { return c == SAML || c == SmartCard }

// OfAUser says whether it is something a user signs in with. A kind that is not
// known is not.
func (c Credential) OfAUser() bool {
	switch c {
	case Password, SAML, Hello, FIDO, Pass, Phone, Certificate, SmartCard:
		return true
	default:
		return false
	}
}

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
	// SessionKey is 32 bytes; requests that use the artefact are signed with it. It
	// is empty for what is bound to no session key: then no signed request takes it.
	SessionKey secret.Bytes
	// KeyMade is when the session key was drawn; it outlives renewals, not years.
	KeyMade    time.Time
	Credential Credential
	// AMR is how the user proved who they are; copied on, never raised.
	AMR []string
	// AuthTime is when.
	AuthTime time.Time
	// KDFMin is the least version of the key derivation that may be used with it,
	// 1 or 2; 3 takes 3 alone. It is here and not in the request, so that it cannot
	// be stripped.
	KDFMin int
	// PasswordEpoch and SessionEpoch are the user's counters at issue.
	PasswordEpoch, SessionEpoch uint64
	// Issued and Expires bound it, to the millisecond.
	Issued, Expires time.Time
	// Details are what only some artefacts have.
	Details
}

// Native reports whether the session key was wrapped for the storage key of a TPM,
// so that nothing but version 3 of the derivation can be made with it.
func (a Artefact) Native() bool { return a.KDFMin == 3 }

// freshMFA is how long a second factor counts as fresh, as observed.
const freshMFA = 10 * time.Minute

// FreshMFA reports whether the user proved a second factor just now. That a PRT of
// a Hello key keeps its factor alive by itself does not count: nobody touched
// anything, and whoever can use the device for a moment could register keys for ever.
func (a Artefact) FreshMFA(now time.Time) bool {
	return a.MFATime != 0 && now.Sub(time.Unix(a.MFATime, 0)) <= freshMFA
}

// FactorTime is the time that a policy counts the second factor from; zero is never.
func (a Artefact) FactorTime() time.Time {
	if a.MFATime == 0 {
		return time.Time{}
	}
	return time.Unix(max(a.MFATime, a.MFAKept), 0)
}

// Details are what only some artefacts have. All of it is copied on, never raised.
type Details struct {
	// ID is for what may be used once: a code.
	ID string `json:"id,omitempty"`
	// Scope and Resource that were granted.
	Scope    string `json:"sc,omitempty"`
	Resource string `json:"rs,omitempty"`
	// RedirectURI that a code was sent to.
	RedirectURI string `json:"ru,omitempty"`
	// Challenge is "S256:" or "plain:" and the code_challenge of RFC 7636.
	Challenge string `json:"ch,omitempty"`
	// Nonce of the application, repeated in the ID token.
	Nonce string `json:"no,omitempty"`
	// Origin is the way the user came when it matters later, such as device_code.
	Origin string `json:"or,omitempty"`
	// Used are the methods that proved the user, in order.
	Used []methods.Used `json:"us,omitempty"`
	// PassEnds is when the Temporary Access Pass ends that the sign-in began with, in
	// seconds since 1970, 0 without one: nothing that descends from it lives longer.
	PassEnds int64 `json:"pe,omitempty"`
	// MFATime is when a second factor was last proven, in seconds since 1970.
	MFATime int64 `json:"mt,omitempty"`
	// MFAKept is until when the device kept it alive without the user, as a Hello
	// key does with every renewal; seconds since 1970, 0 for not at all.
	MFAKept int64 `json:"mk,omitempty"`
	// Plain lets a refresh token that is bound to a session key be redeemed without
	// a signature as well: it went to a client that does not sign.
	Plain bool `json:"pl,omitempty"`
	// Family lets the other clients of the family redeem a refresh token.
	Family bool `json:"fa,omitempty"`
	// SPA marks what went to code in a browser.
	SPA bool `json:"sp,omitempty"`
	// Persistent is a session that the user wanted to keep.
	Persistent bool `json:"ps,omitempty"`
	// Encrypted demands an answer under the session key.
	Encrypted bool `json:"en,omitempty"`
	// CAE says that the client takes claims challenges.
	CAE bool `json:"ca,omitempty"`
	// Protocol is the version of the PRT protocol, 0 for 2.
	Protocol int `json:"pp,omitempty"`
	// Contexts are the authentication contexts that a code was asked for.
	Contexts []string `json:"ac,omitempty"`
	// Jkt names the key that a token is bound to, RFC 7800.
	Jkt string `json:"jk,omitempty"`
	// Deviceless is a PRT that was issued without a device.
	Deviceless bool `json:"dl,omitempty"`
}

// ErrArtefact is the one error for an artefact that does not open, whatever is
// wrong with it.
var ErrArtefact = errors.New("not an artefact of this kind")
