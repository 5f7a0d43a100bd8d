package tenant

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/lockstep-sso/lockstep/pkg/ids"
)

// Set is all directories. Lookups see one state of it each; it is safe for
// concurrent use.
type Set struct {
	mu  sync.Mutex // held by those who change it
	now atomic.Pointer[index]
}

// index is one state of the set; it never changes.
type index struct {
	tenants []*Tenant
	byID    map[ids.TenantID]*Tenant
	homes   map[string]Home
}

// Home is where a domain belongs.
type Home struct {
	Tenant *Tenant
	Domain Domain
}

func newSet(tenants []*Tenant) *Set {
	s := &Set{}
	s.put(tenants)
	return s
}

func (s *Set) put(tenants []*Tenant) {
	x := &index{tenants: tenants, byID: map[ids.TenantID]*Tenant{}, homes: map[string]Home{}}
	for _, t := range tenants {
		x.byID[t.ID] = t
		for _, d := range t.Domains {
			x.homes[d.Name] = Home{Tenant: t, Domain: d}
		}
	}
	s.now.Store(x)
}

// All lists the tenants in the order of the file.
func (s *Set) All() []*Tenant { return slices.Clone(s.now.Load().tenants) }

// Tenant finds a tenant.
func (s *Set) Tenant(id ids.TenantID) (*Tenant, bool) {
	t, ok := s.now.Load().byID[id]
	return t, ok
}

// Home finds the tenant of a domain, given in lower case.
func (s *Set) Home(domain string) (Home, bool) {
	h, ok := s.now.Load().homes[domain]
	return h, ok
}

// Change replaces a tenant by a changed copy: its applications, resources and
// policies may be other ones. What change gets is shallow; it must put new slices
// in and not write into old ones. Whoever holds the tenant from before keeps it.
func (s *Set) Change(id ids.TenantID, change func(*Tenant) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Clone(s.now.Load().tenants)
	i := slices.IndexFunc(all, func(t *Tenant) bool { return t.ID == id })
	if i < 0 {
		return fmt.Errorf("tenant %s does not exist", id)
	}
	next := *all[i]
	if err := change(&next); err != nil {
		return err
	}
	next.ID, next.Domains = all[i].ID, all[i].Domains
	all[i] = &next
	s.put(all)
	return nil
}

// Trust sets the certificate of a federated domain for which the file has none: a
// provider that makes its key when it starts cannot be in a file.
func (s *Set) Trust(domain string, certificate []byte) error {
	home, ok := s.Home(domain)
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
