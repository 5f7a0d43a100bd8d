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
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/profile"
)

//go:embed default.yaml
var defaultFile []byte

// Default is the embedded tenant file: contoso.test and fabrikam.test.
func Default() []byte { return slices.Clone(defaultFile) }

// Tenant is one directory.
type Tenant struct {
	ID           ids.TenantID
	DisplayName  string
	Profile      profile.Profile
	Domains      []Domain
	Lifetimes    Lifetimes
	Users        []User
	Applications []Application
	// Resources are the audiences that access tokens may be asked for.
	Resources []string
}

// Domain is the part of a user name after the @.
type Domain struct {
	Name string
	// Federated is nil for a managed domain.
	Federated *Federation
}

// Federation is who authenticates the users of a federated domain.
type Federation struct {
	// Issuer of the assertions.
	Issuer string
	// MexURL is the metadata exchange address.
	MexURL string
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
}

// Application is a registered client.
type Application struct {
	ID           ids.ClientID
	Name         string
	RedirectURIs []string
	// Resources it may ask for; empty is all of the tenant's.
	Resources []string
}

// Redirects reports whether uri is registered, letter for letter.
func (a Application) Redirects(uri string) bool { return slices.Contains(a.RedirectURIs, uri) }

// MayAsk reports whether the application may ask for a resource.
func (a Application) MayAsk(resource string) bool {
	return len(a.Resources) == 0 || slices.Contains(a.Resources, resource)
}

// Application finds a registered client.
func (t *Tenant) Application(id ids.ClientID) (Application, bool) {
	for _, a := range t.Applications {
		if a.ID == id {
			return a, true
		}
	}
	return Application{}, false
}

// Resource finds a resource; a slash at the end makes no difference, because
// clients do not agree on it. It answers the name as registered.
func (t *Tenant) Resource(uri string) (string, bool) {
	for _, r := range t.Resources {
		if strings.TrimSuffix(r, "/") == strings.TrimSuffix(uri, "/") {
			return r, true
		}
	}
	return "", false
}

// Set is all directories. It is read-only.
type Set struct {
	tenants []*Tenant
	byID    map[ids.TenantID]*Tenant
	homes   map[string]Home
}

// Home is where a domain belongs.
type Home struct {
	Tenant *Tenant
	Domain Domain
}

// All lists the tenants in the order of the file.
func (s *Set) All() []*Tenant { return slices.Clone(s.tenants) }

// Tenant finds a tenant.
func (s *Set) Tenant(id ids.TenantID) (*Tenant, bool) {
	t, ok := s.byID[id]
	return t, ok
}

// Home finds the tenant of a domain, given in lower case.
func (s *Set) Home(domain string) (Home, bool) {
	h, ok := s.homes[domain]
	return h, ok
}

// Trust sets the certificate of a federated domain for which the file has none: a
// provider that makes its key when it starts cannot be in a file.
func (s *Set) Trust(domain string, certificate []byte) error {
	home, ok := s.homes[domain]
	if !ok || home.Domain.Federated == nil {
		return fmt.Errorf("domain %s is not a federated domain of the tenant file", domain)
	}
	if home.Domain.Federated.Certificate != nil {
		return fmt.Errorf("domain %s: the tenant file has its certificate already", domain)
	}
	block, _ := pem.Decode(certificate)
	if block == nil || block.Type != "CERTIFICATE" {
		return fmt.Errorf("domain %s: its certificate is not PEM", domain)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return fmt.Errorf("domain %s: %w", domain, err)
	}
	home.Domain.Federated.Certificate = cert
	return nil
}
