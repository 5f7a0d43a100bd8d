package server

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
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

// The names of the cloud's hosts. Over gRPC there are no others to name: they are what
// the tenant goes by, whatever address its identity provider listens at.
const (
	loginBase        = "https://login.microsoftonline.com/"
	registrationBase = "https://enterpriseregistration.windows.net/"
)

// DescribeRegistrationServices is what the HTTPS front answers as Discover.
func (s *Metadata) DescribeRegistrationServices(_ context.Context, req *idpv1.DescribeRegistrationServicesRequest) (*idpv1.DescribeRegistrationServicesResponse, error) {
	home, err := s.Tenants.Named(req.GetTenant())
	if err != nil {
		return nil, err
	}
	if home.Tenant == nil {
		return nil, prterr.AADSTS(aadsts.TenantNotFound, "The name stands for no tenant in particular: use a tenant id or a domain.")
	}
	id := string(home.Tenant.ID)
	service := func(version, path string) *idpv1.RegistrationService {
		return &idpv1.RegistrationService{Version: version, Url: registrationBase + path, ResourceId: entrawire.RegistrationResource}
	}
	return &idpv1.DescribeRegistrationServicesResponse{
		TenantId: id, TenantName: home.Tenant.DisplayName,
		AuthCodeUrl: loginBase + id + "/oauth2/authorize", AccessTokenUrl: loginBase + id + "/oauth2/token",
		JoinService: service("2.0", "EnrollmentServer/device/"), KeyService: service("1.0", "EnrollmentServer/key/"),
		WebauthnService: service("1.0", "webauthn/"+id+"/"), DeviceManagementService: service("1.0", "manage/"+id+"/"),
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
