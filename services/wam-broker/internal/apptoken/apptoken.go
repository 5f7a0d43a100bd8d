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
	"github.com/lockstep-sso/lockstep/pkg/sid"
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
	// Account is the user principal name or object id of the account to use; empty is
	// the default one.
	Account string
	// FromPRT passes over the app's refresh token too: the PRT has a newer proof.
	FromPRT bool
}

// Cached says whether a cached access token would do.
func (r Request) Cached() bool { return !r.Force && r.Claims == "" }

// Resource names what an access token is for: an absolute URI, a URN or a GUID.
type Resource string

// CredentialKind is what a user opened the session with, such as "password".
type CredentialKind string

// Account is whose token it is. It comes from the authority of the PRT and from nowhere
// else, so an app can name an account of the user it runs for and no other.
type Account struct {
	Tenant ids.TenantID
	User   ids.UserID
	Kind   CredentialKind
	UPN    ids.UPN
	// Membership of the device that the PRT was obtained under; empty where it is not
	// known, as for a work account.
	Membership ids.MembershipID
	// SID is the user of the device whose work account it is; empty for an account that
	// the user signed in to the device with. Two users with the same work account share
	// no token of it.
	SID sid.SID
}

// Owner is the part of an account that owns tokens. The user principal name is
// not in it: it may change, and it must not reach a file name. The membership is: what was
// got before the device left a tenant is nobody's any more.
type Owner struct {
	Tenant ids.TenantID
	User   ids.UserID
	Kind   CredentialKind
	SID    sid.SID

	Membership ids.MembershipID
}

// Owner of the account's tokens.
func (a Account) Owner() Owner {
	return Owner{Tenant: a.Tenant, User: a.User, Kind: a.Kind, SID: a.SID, Membership: a.Membership}
}

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
