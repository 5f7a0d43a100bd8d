package oauth

import (
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// segment finds the tenant that a path names; nil for the names that mean every
// organisation. AADSTS90002 for one that does not exist; personal accounts
// (consumers) have none here.
func (s *Service) segment(name string) (*tenant.Tenant, error) {
	switch name = strings.ToLower(name); name {
	case "common", "organizations":
		return nil, nil
	case "":
		return nil, prterr.AADSTS(aadsts.TenantNotIdentified, "")
	}
	if id, err := ids.ParseTenant(name); err == nil {
		if t, ok := s.gate.Tenants.Tenant(id); ok {
			return t, nil
		}
	}
	if home, ok := s.gate.Tenants.Home(name); ok {
		return home.Tenant, nil
	}
	return nil, prterr.AADSTS(aadsts.TenantNotFound, "")
}

// enter fixes the tenant of the request: that of the user or artefact, which must
// be the one that the path names, if it names one. What belongs to one tenant is
// nothing in another: AADSTS50020.
func (x *exchange) enter(id ids.TenantID) error {
	if x.within != nil && x.within.ID != id {
		return prterr.AADSTS(aadsts.UserNotInTenant, "what is redeemed belongs to another tenant: use that tenant's endpoint")
	}
	t, ok := x.gate.Tenants.Tenant(id)
	if !ok {
		return prterr.AADSTS(aadsts.TenantNotFound, "")
	}
	x.tenant, x.event.Tenant = t, t.ID
	return nil
}
