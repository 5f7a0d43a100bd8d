package httpsfront

import (
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/fault"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/faulty/internal/signed"
)

const jsonType = "application/json"

// form is the body as a form, nil for any other body.
func (r request) form() url.Values {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "application/x-www-form-urlencoded" {
		return nil
	}
	v, err := url.ParseQuery(string(r.body))
	if err != nil {
		return nil
	}
	return v
}

// recognise says which call of the contracts a request to idp is, and whom it names.
// What is none of them has a path alone.
func (r request) recognise(c *fault.Call) {
	if r.front.cfg.Component != "idp" {
		return
	}
	path := strings.ToLower(r.URL.Path)
	switch {
	case strings.Contains(path, "/userrealm"):
		c.Method = idpv1.RealmService_DiscoverRealm_FullMethodName
		c.User = r.URL.Query().Get("user")
		if _, name, ok := strings.Cut(r.URL.Path, "serrealm/"); ok && c.User == "" {
			c.User = name
		}
	case strings.HasSuffix(path, "/oauth2/token") || strings.HasSuffix(path, "/oauth2/v2.0/token"):
		r.tokens(c)
	case strings.HasSuffix(path, "/oauth2/authorize") || strings.HasSuffix(path, "/oauth2/v2.0/authorize"):
		c.Method = idpv1.SessionService_Authorize_FullMethodName
	case strings.HasSuffix(path, "/discover"):
		c.Method = idpv1.MetadataService_DescribeRegistrationServices_FullMethodName
	default:
		c.Method = registration()[r.Method+" "+r.shortPath()]
	}
}

// shortPath is the path without the id of a device at its end.
func (r request) shortPath() string {
	path := strings.Trim(strings.ToLower(r.URL.Path), "/")
	if r.Method == http.MethodPut || r.Method == http.MethodDelete {
		path, _, _ = strings.Cut(path, "/device/")
		path += "/device"
	}
	return path
}

// registration are the calls of device registration, by verb and path.
func registration() map[string]string {
	return map[string]string{
		"POST enrollmentserver/device":               idpv1.DeviceRegistrationService_RegisterDevice_FullMethodName,
		"PUT enrollmentserver/device":                idpv1.DeviceRegistrationService_JoinHybridDevice_FullMethodName,
		"DELETE enrollmentserver/device":             idpv1.DeviceRegistrationService_DeleteDevice_FullMethodName,
		"POST enrollmentserver/key":                  idpv1.DeviceRegistrationService_RegisterHelloKey_FullMethodName,
		"POST enrollmentserver/lockstep/attestation": idpv1.DeviceRegistrationService_RequestAttestationChallenge_FullMethodName,
		"POST enrollmentserver/lockstep/keys":        idpv1.DeviceRegistrationService_ReplaceDeviceKeys_FullMethodName,
		"POST enrollmentserver/lockstep/device":      idpv1.DeviceRegistrationService_CheckDevice_FullMethodName,
	}
}

// tokens tells the calls apart that share the token endpoint.
func (r request) tokens(c *fault.Call) {
	f := r.form()
	switch f.Get("grant_type") {
	case "srv_challenge":
		c.Method = idpv1.NonceService_IssueNonce_FullMethodName
	case entrawire.GrantHello:
		if f.Get("request") != "" {
			signedBy(f.Get("request"), c)
			return
		}
		c.Method = idpv1.GrantService_RequestTokens_FullMethodName
	case "password":
		c.Method, c.User = idpv1.GrantService_RequestTokens_FullMethodName, f.Get("username")
		if f.Get("resource") == entrawire.RegistrationResource {
			c.Method = idpv1.DeviceRegistrationService_RequestRegistrationToken_FullMethodName
		}
	default:
		c.Method = idpv1.GrantService_RequestTokens_FullMethodName
	}
}

// signedBy says which call a signed request is (MS-OAPXBC 3.1.5.1.2 and 3.1.5.1.3).
func signedBy(compact string, c *fault.Call) {
	r, ok := signed.Read(compact)
	if !ok {
		return
	}
	c.User, c.Device = r.User, r.Device
	switch {
	case r.Grant == entrawire.GrantDataKey:
		c.Method = idpv1.DataKeyService_RequestDataKey_FullMethodName
	case r.UsesPRT && r.Client == entrawire.SignInClientID && r.Resource == "":
		c.Method = idpv1.IssuanceService_RenewPRT_FullMethodName
	case r.UsesPRT:
		c.Method = idpv1.TokenService_RedeemPRT_FullMethodName
	default:
		c.Method = idpv1.IssuanceService_RequestPRT_FullMethodName
	}
}
