package front

import (
	"net/http"

	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// registrationResource is the resource that tokens for registration are for.
const registrationResource = "urn:ms-drs:enterpriseregistration.windows.net"

// discover describes the registration service of a tenant. Clients take addresses
// and versions from here.
func (x *exchange) discover() error {
	a, err := x.metadata.DescribeTenant(x.ctx, &idpv1.DescribeTenantRequest{Tenant: x.tenant()})
	if err != nil {
		return err
	}
	drs, login, id := x.sibling(atRegistration), x.sibling(atLogin), a.GetTenantId()
	if id == "" {
		id = x.tenant()
	}
	domain := ""
	if len(a.GetDomains()) > 0 {
		domain = a.GetDomains()[0]
	}
	type object = map[string]any
	x.json(http.StatusOK, object{
		"DiscoveryService": object{"DiscoveryEndpoint": drs + "/" + id + "/Discover", "ServiceVersion": "1.9"},
		"DeviceRegistrationService": object{
			"RegistrationEndpoint":   drs + "/EnrollmentServer/DeviceEnrollmentWebService.svc",
			"RegistrationResourceId": registrationResource, "ServiceVersion": "1.0",
		},
		"AuthenticationService": object{"OAuth2": object{
			"AuthCodeEndpoint": login + "/" + id + "/oauth2/authorize", "TokenEndpoint": login + "/" + id + "/oauth2/token",
		}},
		"IdentityProviderService": object{"Federated": a.GetFederated(), "PassiveAuthEndpoint": login + "/" + id + "/wsfed"},
		"DeviceJoinService": object{
			"JoinEndpoint": drs + "/EnrollmentServer/device/", "JoinResourceId": registrationResource, "ServiceVersion": "2.0",
		},
		"KeyProvisioningService": object{
			"KeyProvisionEndpoint": drs + "/EnrollmentServer/key/", "KeyProvisionResourceId": registrationResource, "ServiceVersion": "1.0",
		},
		"WebAuthNService": object{
			"WebAuthNEndpoint": drs + "/webauthn/" + id + "/", "WebAuthNResourceId": registrationResource, "ServiceVersion": "1.0",
		},
		"DeviceManagementService": object{
			"DeviceManagementEndpoint": drs + "/manage/" + id + "/", "DeviceManagementResourceId": registrationResource, "ServiceVersion": "1.0",
		},
		"MsaProviderData": object{"SiteId": "295958", "SiteUrl": "https://enterpriseregistration.windows.net/"},
		"PrecreateService": object{
			"PrecreateEndpoint": drs + "/EnrollmentServer/device/precreate/" + id + "/", "PrecreateResourceId": registrationResource, "ServiceVersion": "2.0",
		},
		"TenantInfo":       object{"DisplayName": a.GetDisplayName(), "TenantId": id, "TenantName": domain},
		"AzureRbacService": object{"RbacPolicyEndpoint": "https://pas.windows.net"},
		"BPLService": object{
			"BPLServiceEndpoint": drs + "/aadpasswordpolicy/" + id + "/", "BPLResourceId": registrationResource,
			"BPLProxyServicePrincipalId": "dda27c27-f274-469f-8005-cce10f270009", "ServiceVersion": "1.0",
		},
		"DeviceJoinResourceService": object{
			"Endpoint": drs + "/EnrollmentServer/device/resource/" + id + "/", "ResourceId": registrationResource, "ServiceVersion": "2.0",
		},
		"NonceService": object{
			"Endpoint": drs + "/EnrollmentServer/nonce/" + id + "/", "ResourceId": registrationResource, "ServiceVersion": "1.0",
		},
	})
	return nil
}

// registrationError is an error of the registration service. It stands twice,
// because clients look for it at the top and under error.
type registrationError struct {
	Code      string `json:"code"`
	Subcode   string `json:"subcode"`
	Message   string `json:"message"`
	Operation string `json:"operation"`
	RequestID string `json:"requestid"`
	Time      string `json:"time"`
	Error     struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

func (x *exchange) registrationTime() string { return x.now().Format("02-01-2006 15:04:05Z") }

func failRegistration(x *exchange, err error) {
	r, class := x.explain(err), classOf(err)
	x.comeAgain(err)
	message := r.message
	if r.status < http.StatusInternalServerError && codeIn(err) {
		message = r.code.String() + ": " + message
	}
	if class.status == http.StatusUnauthorized && x.r.Method != http.MethodDelete {
		x.w.Header().Set("WWW-Authenticate", `Bearer realm="`+registrationResource+`"`)
	}
	if r.status == http.StatusRequestEntityTooLarge || r.status >= http.StatusInternalServerError {
		class.status = r.status
	}
	out := registrationError{
		Code: class.code, Subcode: class.subcode, Message: message, Operation: x.operation(), RequestID: x.requestID, Time: x.registrationTime(),
	}
	out.Error.Code, out.Error.Message = class.code, message
	x.json(class.status, out)
}
