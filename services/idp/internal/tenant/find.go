package tenant

import (
	"slices"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// maxName bounds a tenant's name in a path: a domain is at most 253 bytes.
const maxName = 253

// Named finds the tenant that a path names by its GUID or one of its domains, in
// any case. The domain is the one named, else the first. The names common,
// organizations and consumers stand for no tenant in particular: an empty Home.
// Anything else is AADSTS90002.
func (s *Set) Named(name string) (Home, error) {
	unknown := prterr.AADSTS(aadsts.TenantNotFound, "")
	if len(name) > maxName {
		return Home{}, unknown
	}
	name = strings.ToLower(name)
	if slices.Contains([]string{"common", "organizations", "consumers"}, name) {
		return Home{}, nil
	}
	if id, err := ids.ParseTenant(name); err == nil {
		if t, ok := s.Tenant(id); ok {
			return Home{Tenant: t, Domain: t.Domains[0]}, nil
		}
		return Home{}, unknown
	}
	home, ok := s.Home(name)
	if !ok {
		return Home{}, unknown
	}
	return home, nil
}
