package dsreg_test

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// CheckDevice answers whether the device that signed is one of the tenant's.
func (f *fakeIdP) CheckDevice(_ context.Context, r *idpv1.CheckDeviceRequest) (*idpv1.CheckDeviceResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.before["CheckDevice"]; err != nil {
		return nil, err
	}
	var claims entrawire.DeviceProof
	_, err := f.signer(r.GetRequest(), &claims)
	if err := f.takes("CheckDevice", err, claims.RequestNonce); err != nil {
		return nil, err
	}
	if claims.GrantType != entrawire.GrantDeviceCheck {
		return nil, prterr.New(prterr.Invalid, "grant_type")
	}
	return &idpv1.CheckDeviceResponse{}, nil
}

// DescribeRegistrationServices knows the tenant by its id and its one domain.
func (f *fakeIdP) DescribeRegistrationServices(_ context.Context, r *idpv1.DescribeRegistrationServicesRequest) (*idpv1.DescribeRegistrationServicesResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.before["DescribeRegistrationServices"]; err != nil {
		return nil, err
	}
	if name := r.GetTenant(); name != "contoso.test" && name != string(f.tenant) {
		return nil, prterr.AADSTS(aadsts.TenantNotFound, "")
	}
	resp := &idpv1.DescribeRegistrationServicesResponse{
		TenantId: string(f.tenant), TenantName: "Contoso", AuthCodeUrl: "https://login.test/oauth2/authorize", AccessTokenUrl: "https://login.test/oauth2/token",
		JoinService: &idpv1.RegistrationService{Version: "2.0", Url: "https://drs.test/device/", ResourceId: "urn:drs"},
	}
	if f.discovery != nil {
		f.discovery(resp)
	}
	return resp, nil
}
