package entracarrier

import (
	"context"
	"net/http"
	"net/url"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// describeRegistrationServices is the discovery of device registration, version 1.9.
func (c *Carrier) describeRegistrationServices(ctx context.Context, req *idpv1.DescribeRegistrationServicesRequest) (*idpv1.DescribeRegistrationServicesResponse, error) {
	address := at(c.registration, "/"+url.PathEscape(req.GetTenant())+"/Discover", url.Values{"api-version": {"1.9"}})
	body, err := ok(c.do(ctx, http.MethodGet, address, nil, nil))
	if err != nil {
		return nil, err
	}
	var doc struct {
		AuthenticationService struct {
			OAuth2 struct{ AuthCodeEndpoint, TokenEndpoint string }
		}
		DeviceJoinService       struct{ ServiceVersion, JoinEndpoint, JoinResourceID string }
		KeyProvisioningService  struct{ ServiceVersion, KeyProvisionEndpoint, KeyProvisionResourceID string }
		WebAuthNService         struct{ ServiceVersion, WebAuthNEndpoint, WebAuthNResourceID string }
		DeviceManagementService struct{ ServiceVersion, DeviceManagementEndpoint, DeviceManagementResourceID string }
		TenantInfo              struct{ DisplayName, TenantID string }
	}
	if err := jose.DecodeObject(body, &doc); err != nil {
		return nil, badAnswer("%v", err)
	}
	join, key, web, manage := doc.DeviceJoinService, doc.KeyProvisioningService, doc.WebAuthNService, doc.DeviceManagementService
	return &idpv1.DescribeRegistrationServicesResponse{
		TenantId: doc.TenantInfo.TenantID, TenantName: doc.TenantInfo.DisplayName,
		AuthCodeUrl: doc.AuthenticationService.OAuth2.AuthCodeEndpoint, AccessTokenUrl: doc.AuthenticationService.OAuth2.TokenEndpoint,
		JoinService:             service(join.ServiceVersion, join.JoinEndpoint, join.JoinResourceID),
		KeyService:              service(key.ServiceVersion, key.KeyProvisionEndpoint, key.KeyProvisionResourceID),
		WebauthnService:         service(web.ServiceVersion, web.WebAuthNEndpoint, web.WebAuthNResourceID),
		DeviceManagementService: service(manage.ServiceVersion, manage.DeviceManagementEndpoint, manage.DeviceManagementResourceID),
	}, nil
}

// service is nil for one that a server does not name.
func service(version, address, resource string) *idpv1.RegistrationService {
	if version == "" && address == "" && resource == "" {
		return nil
	}
	return &idpv1.RegistrationService{Version: version, Url: address, ResourceId: resource}
}

// checkDevice asks whether the tenant takes the device, at a place of ours. That a
// server has none is the error NotFound without a code.
func (c *Carrier) checkDevice(ctx context.Context, req *idpv1.CheckDeviceRequest) (*idpv1.CheckDeviceResponse, error) {
	_, err := c.extension(ctx, http.MethodPost, entrawire.CheckPath, struct {
		Request string `json:"Request"`
	}{req.GetRequest()}, nil)
	if err != nil {
		return nil, err
	}
	return &idpv1.CheckDeviceResponse{}, nil
}
