// Package apptoken holds the nouns of the token broker: what an app asks for,
// who is signed in, what an answer holds.
//
// What lives here: types, and the pure checks on them. What never may: a call to
// another component, a file, the time. Framework, plug-in and cache all speak
// these words; the generated messages stop at their edges.
package apptoken

import (
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// Request is what an app asks for, checked.
type Request struct {
	// Session is the logon session of the user the app runs for: a capability.
	Session secret.Text
	Client  ids.ClientID
	// Resource is compared byte for byte, in the cache as in the token.
	Resource Resource
	// Redirect is empty when the app leaves it to the provider's plug-in.
	Redirect string
	// Force passes over a cached access token.
	Force bool
	// Interactive lets the user be asked at a sign-in page.
	Interactive bool
	// Claims is a claims challenge of the resource in JSON, or empty.
	Claims string
	// FromPRT passes over the app's refresh token too: the PRT has a newer proof.
	FromPRT bool
}

// Cached says whether a cached access token would do.
func (r Request) Cached() bool { return !r.Force && r.Claims == "" }

// Resource names what an access token is for: an absolute URI, a URN or a GUID.
type Resource string

// CredentialKind is what a user opened the session with, such as "password".
type CredentialKind string

// Account is who is signed in under a logon session. It comes from the authority
// of the PRT and from nowhere else, so an app cannot name another user.
type Account struct {
	Tenant ids.TenantID
	User   ids.UserID
	Kind   CredentialKind
	UPN    ids.UPN
}

// Owner is the part of an account that owns tokens. The user principal name is
// not in it: it may change, and it must not reach a file name.
type Owner struct {
	Tenant ids.TenantID
	User   ids.UserID
	Kind   CredentialKind
}

// Owner of the account's tokens.
func (a Account) Owner() Owner { return Owner{Tenant: a.Tenant, User: a.User, Kind: a.Kind} }

// Grant is an access token and what an app may know about it.
type Grant struct {
	Token     secret.Text
	ExpiresAt time.Time
	// Scope is the granted scopes, separated by spaces.
	Scope string
}

// Sealed is an app's refresh token as the TPM agent sealed it; nobody here can
// read it.
type Sealed []byte

// MaxSealed is the size of the largest sealed token, in bytes (prt.tpm.v1).
const MaxSealed = 32 << 10
