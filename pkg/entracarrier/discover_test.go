package entracarrier_test

import (
	"net/http"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

func TestDiscoveryOfRegistration(t *testing.T) {
	s := &server{body: `{"DiscoveryService":{"ServiceVersion":"1.9"},"AuthenticationService":{"OAuth2":{"AuthCodeEndpoint":"https://l/a","TokenEndpoint":"https://l/t"}},` +
		`"DeviceJoinService":{"JoinEndpoint":"https://r/j","JoinResourceId":"urn:r","ServiceVersion":"2.0"},` +
		`"KeyProvisioningService":{"KeyProvisionEndpoint":"https://r/k","KeyProvisionResourceId":"urn:r","ServiceVersion":"1.0"},` +
		`"TenantInfo":{"DisplayName":"Contoso","TenantId":"aa","TenantName":"contoso.test"},"Unheard":[1]}`}
	metadata := idpv1.NewMetadataServiceClient(carrier(t, s))
	ask := func() (*idpv1.DescribeRegistrationServicesResponse, error) {
		return metadata.DescribeRegistrationServices(t.Context(), &idpv1.DescribeRegistrationServicesRequest{Tenant: "a/b.test"})
	}
	got, err := ask()
	if err != nil || s.last.method != "GET" || s.last.path != "/a%2Fb.test/Discover" || s.last.query != "api-version=1.9" {
		t.Fatalf("%v, asked %+v", err, s.last)
	}
	if got.GetTenantId() != "aa" || got.GetTenantName() != "Contoso" || got.GetAuthCodeUrl() != "https://l/a" || got.GetAccessTokenUrl() != "https://l/t" ||
		got.GetJoinService().GetVersion() != "2.0" || got.GetJoinService().GetUrl() != "https://r/j" || got.GetKeyService().GetResourceId() != "urn:r" || got.GetWebauthnService() != nil {
		t.Errorf("got %v", got)
	}
	for body, kind := range map[string]prterr.Kind{"<html>a proxy</html>": prterr.Denied, `{"TenantInfo":7}`: prterr.Denied, "": prterr.Denied} {
		s.body = body
		if _, err := ask(); prterr.KindOf(err) != kind {
			t.Errorf("%s: %v", body, err)
		}
	}
	s.status = http.StatusServiceUnavailable
	if _, err := ask(); prterr.KindOf(err) != prterr.Unavailable {
		t.Errorf("503: %v", err)
	}
}

func TestINV06_DeviceCheckOverHTTPS(t *testing.T) {
	s := &server{body: `{}`}
	devices := idpv1.NewDeviceRegistrationServiceClient(carrier(t, s))
	ask := func() error {
		_, err := devices.CheckDevice(t.Context(), &idpv1.CheckDeviceRequest{Request: "h.p.s"})
		return err
	}
	if err := ask(); err != nil || s.last.method != "POST" || s.last.path != "/EnrollmentServer/lockstep/device" || s.last.body != `{"Request":"h.p.s"}` {
		t.Errorf("%v, asked %+v", err, s.last)
	}
	// A server that has no such place is not one that refuses the device.
	s.status, s.body = http.StatusNotFound, "<html>"
	if err := ask(); prterr.KindOf(err) != prterr.NotFound || prterr.CodeOf(err) != 0 {
		t.Errorf("404: %v", err)
	}
	s.status, s.body = http.StatusForbidden, `{"message":"AADSTS135011: The device is disabled."}`
	if err := ask(); prterr.CodeOf(err) != aadsts.DeviceDisabled {
		t.Errorf("disabled: %v", err)
	}
}
