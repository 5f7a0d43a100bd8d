package idp

import (
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// Tenant names a directory that is served.
type Tenant struct {
	ID          ids.TenantID
	DisplayName string
	// Domains in the order of the tenant file, the standard one first.
	Domains []Domain
	// Users are the user names of the tenant file, in its order.
	Users []ids.UPN
	// Resources are what access tokens may be asked for, the tenant's own and the
	// built-in ones.
	Resources []Resource
}

// Resource is an audience of access tokens.
type Resource struct {
	// URI that clients ask for, and the Name that people know.
	URI, Name string
}

// Tenants lists the directories in the order of the tenant file. Users are those
// of the file, whatever an operator changed since.
func (s *Service) Tenants() []Tenant {
	var all []Tenant
	for _, t := range s.tenants.All() {
		one := Tenant{ID: t.ID, DisplayName: t.DisplayName, Domains: t.Domains}
		for _, u := range t.Users {
			one.Users = append(one.Users, u.UPN)
		}
		for _, r := range t.Resources {
			one.Resources = append(one.Resources, Resource{URI: r.URI, Name: r.Name})
		}
		all = append(all, one)
	}
	return all
}

// Trust sets the PEM certificate of a federated domain for which the tenant file
// has none, as Config.FederationCertificates does. It is for who has to see the
// tenants first, and must be called before the service is registered anywhere.
func (s *Service) Trust(domain string, certificate []byte) error {
	return s.tenants.Trust(domain, certificate)
}

// DefaultTenants is the embedded tenant file in YAML, for who wants it but for a line.
func DefaultTenants() []byte { return tenant.Default() }
