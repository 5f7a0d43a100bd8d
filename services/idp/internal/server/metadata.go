package server

import (
	"context"

	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// Metadata serves MetadataService.
type Metadata struct {
	idpv1.UnimplementedMetadataServiceServer
	Tenants *tenant.Set
	Keys    *issuance.Authority
}

// DescribeTenant finds a tenant by what stands in a path.
func (s *Metadata) DescribeTenant(_ context.Context, req *idpv1.DescribeTenantRequest) (*idpv1.DescribeTenantResponse, error) {
	home, err := s.Tenants.Named(req.GetTenant())
	if err != nil {
		return nil, err
	}
	if home.Tenant == nil {
		return &idpv1.DescribeTenantResponse{}, nil
	}
	return &idpv1.DescribeTenantResponse{
		TenantId: string(home.Tenant.ID), DisplayName: home.Tenant.DisplayName, Domains: domainNames(home.Tenant),
		Region: home.Tenant.Region, Federated: home.Domain.Federated != nil,
	}, nil
}

// ListSigningKeys lists the keys that tokens may be signed with.
func (s *Metadata) ListSigningKeys(context.Context, *idpv1.ListSigningKeysRequest) (*idpv1.ListSigningKeysResponse, error) {
	keys, err := s.Keys.SigningKeys()
	if err != nil {
		return nil, err
	}
	out := &idpv1.ListSigningKeysResponse{}
	for _, k := range keys {
		out.Keys = append(out.Keys, &idpv1.SigningKey{Kid: k.ID, PublicKey: k.PublicKey, Certificate: k.Certificate})
	}
	return out, nil
}

func domainNames(t *tenant.Tenant) []string {
	out := make([]string, len(t.Domains))
	for i, d := range t.Domains {
		out[i] = d.Name
	}
	return out
}
