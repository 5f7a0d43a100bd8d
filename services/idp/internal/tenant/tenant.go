// Package tenant is the configuration of the directories this identity provider
// serves: names, domains, applications, resources, lifetimes, first users.
//
// What lives here: a strict reader of the tenant file, the default file, and the
// lookups over the result, which does not change while the process lives. What
// never may: users and devices as they change; those are the store's. The door
// reads it once, every other room looks things up.
package tenant

import (
	"crypto/x509"
	_ "embed" // the default file
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/profile"
)

//go:embed default.yaml
var defaultFile []byte

// Default is the embedded tenant file: contoso.test and fabrikam.test.
func Default() []byte { return slices.Clone(defaultFile) }

// Tenant is one directory. It is read-only: a change makes a new one, see
// Set.Change.
type Tenant struct {
	ID          ids.TenantID
	DisplayName string
	// Region such as EU.
	Region       string
	Profile      profile.Profile
	Domains      []Domain
	Lifetimes    Lifetimes
	Users        []User
	Groups       []Group
	Applications []Application
	// Resources are the audiences that access tokens may be asked for.
	Resources []Resource
	Policies  []Policy
	// Strengths are the tenant's own authentication strengths, beside the built-in
	// ones; Locations are named sets of addresses. Policies name both.
	Strengths []methods.Strength
	Locations []Location
	// Devices are synchronised device objects that have not joined yet.
	Devices []HybridDevice
	// CookieWithoutNonce says which clients may send a PRT cookie with a date in
	// place of a nonce, beside those that the profile lets.
	CookieWithoutNonce CookieRule
	// Makers of TPMs whom the tenant trusts.
	Makers []Maker
	// CertificateAuthorities issue certificates that users sign in with.
	CertificateAuthorities []CertificateAuthority
	// CampaignDays is for how many days users without a second factor may put off
	// registering one, once they were asked; 0 asks nobody.
	CampaignDays int
	// NativeSessionKeys lets session keys be wrapped for a device's attested storage
	// key, so that they never leave its TPM.
	NativeSessionKeys bool
}

// CookieRule says who may send a PRT cookie without a nonce.
type CookieRule string

// The rules. The empty rule is the profile's.
const (
	CookieNever CookieRule = "never"
	// CookieLinux takes it from devices that say they are Linux: their browsers'
	// extension sets one header for half an hour and cannot answer a challenge.
	CookieLinux  CookieRule = "linux_broker"
	CookieAlways CookieRule = "always"
)

// Domain is the part of a user name after the @.
type Domain struct {
	Name string
	// Federated is nil for a managed domain.
	Federated *Federation
	// FederatedMFA takes the provider's word for a second factor. Whoever has the
	// signing key of the domain has its users' factors then as well.
	FederatedMFA bool
}

// Federation is who authenticates the users of a federated domain.
type Federation struct {
	// Issuer of the assertions.
	Issuer string
	// MexURL is the metadata exchange address.
	MexURL string
	// ActiveURL takes passwords (WS-Trust, usernamemixed), PassiveURL is the sign-in
	// page for browsers.
	ActiveURL, PassiveURL string
	// Certificate that signs the assertions; nil when the file has none, and then
	// no assertion is taken.
	Certificate *x509.Certificate
}

// Lifetimes of what is issued.
type Lifetimes struct {
	PRT time.Duration
	// AccessToken is the shortest; the longest is one and a half times that.
	AccessToken  time.Duration
	RefreshToken time.Duration
	// SecondFactor is how long a PRT keeps a second factor that was shown at a page,
	// 0 for as long as the PRT lives. What a Windows Hello key proves has no such end.
	SecondFactor time.Duration
	// RefreshTokenIdle is how long a refresh token may lie unused.
	RefreshTokenIdle time.Duration
}

// User is a user to begin with.
type User struct {
	ID          ids.UserID
	UPN         ids.UPN
	DisplayName string
	// Password is in clear, for labs, or PasswordHash is an argon2id PHC string.
	// Users of a federated domain have neither.
	Password     secret.Text
	PasswordHash secret.Text
	Enabled      bool
	MayJoin      bool
	ImmutableID  string
	// GivenName, Surname, Mail and JobTitle may be empty.
	GivenName, Surname, Mail, JobTitle string
	// Administrator may make bulk enrolment packages.
	Administrator bool
	// TOTPSecret is base32, for one-time codes.
	TOTPSecret secret.Text
	// Authenticators are apps that approve.
	Authenticators []Authenticator
	// Phone is +CC NUMBER, DefaultMethod a second factor by the name that clients
	// know, Risk low, medium or high; each may be empty.
	Phone, DefaultMethod, Risk string
	// MustChange makes the next interactive sign-in change the password.
	MustChange bool
}

// Group of users, for policies and for clients that list groups.
type Group struct {
	// ID is a GUID.
	ID      string
	Name    string
	Members []ids.UPN
}

// HybridDevice is a device object as it comes from on-premises.
type HybridDevice struct {
	ID          ids.DeviceID
	DisplayName string
	SID         string
	// Certificate is the self-signed one of the attribute userCertificate.
	Certificate *x509.Certificate
}
