package front

import (
	"cmp"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// The grant types of the token endpoint beside those of RFC 6749.
const (
	grantNonce      = "srv_challenge"
	grantJWT        = entrawire.GrantHello
	grantDeviceCode = "urn:ietf:params:oauth:grant-type:device_code"
	grantDevice     = "device_token"

	clientAssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

func (f *Front) tokenRoutes() []route {
	const v1, v2 = idpv1.Protocol_PROTOCOL_V1, idpv1.Protocol_PROTOCOL_V2
	return []route{
		{at: atLogin, methods: "POST", template: "/{t}/oauth2/token", serve: (*exchange).token, fail: failOAuth, open: asker, protocol: v1},
		{at: atLogin, methods: "POST", template: "/{t}/oauth2/v2.0/token", serve: (*exchange).token, fail: failOAuth, open: asker, protocol: v2},
		{at: atLogin, methods: "POST", template: "/{t}/oauth2/devicecode", serve: (*exchange).deviceCode, fail: failOAuth, open: asker, protocol: v1},
		{at: atLogin, methods: "POST", template: "/{t}/oauth2/v2.0/devicecode", serve: (*exchange).deviceCode, fail: failOAuth, open: asker, protocol: v2},
		{at: atLogin, methods: "GET POST", template: "/{t}/sidtoname", serve: (*exchange).sidToName, fail: failOAuth, protocol: v1},
	}
}

// token is the token endpoint.
func (x *exchange) token() error {
	p, err := x.form()
	if err != nil {
		return err
	}
	x.correlate(p)
	switch grant := p["grant_type"]; grant {
	case "":
		return prterr.AADSTS(aadsts.MissingParameter, "The request body must contain the parameter grant_type.")
	case grantNonce:
		return x.nonce()
	case grantJWT:
		if p["request"] != "" {
			return x.signedRequest(p)
		}
		return x.redeem(p)
	default:
		return x.redeem(p)
	}
}

// correlate takes the correlation id from where clients put it that set no header,
// and the languages of the pages (ui_locales, OpenID Connect Core section 3.1.2.1;
// mkt is Entra's).
func (x *exchange) correlate(p params) {
	x.locales = cmp.Or(p["ui_locales"], p["mkt"])
	if id := p["client-request-id"]; isID(id) && x.w.Header().Get("Client-Request-Id") == "" {
		x.correlationID = strings.ToLower(id)
	}
}

// nonce answers with the N in upper case that everybody reads.
func (x *exchange) nonce() error {
	a, err := x.nonces.IssueNonce(x.ctx, &idpv1.IssueNonceRequest{})
	if err != nil {
		return err
	}
	x.json(http.StatusOK, struct {
		Nonce string `json:"Nonce"`
	}{a.GetNonce()})
	return nil
}

// redeem is the token endpoint for whoever holds no PRT.
func (x *exchange) redeem(p params) error {
	req := &idpv1.RequestTokensRequest{
		Caller: x.caller(), Tenant: x.tenant(), Protocol: x.route.protocol, ClientId: p["client_id"], Resource: p["resource"],
		Scope: p["scope"], Claims: p["claims"], ClientInfo: isSet(p["client_info"]), TokenType: p["token_type"], ReqCnf: p["req_cnf"],
	}
	if err := x.clientProof(p, req); err != nil {
		return err
	}
	if err := setGrant(p, req); err != nil {
		return err
	}
	a, err := x.grants.RequestTokens(x.ctx, req)
	if err != nil {
		return err
	}
	x.tokens200(a)
	return nil
}

func isSet(s string) bool { return s == "1" || strings.EqualFold(s, "true") }

// setGrant says what is redeemed.
func setGrant(p params, req *idpv1.RequestTokensRequest) error {
	switch p["grant_type"] {
	case "authorization_code":
		protocol, err := prtProtocol(p)
		if err != nil {
			return err
		}
		req.Grant = &idpv1.RequestTokensRequest_AuthorizationCode{AuthorizationCode: &idpv1.AuthorizationCodeGrant{
			Code: p["code"], RedirectUri: p["redirect_uri"], CodeVerifier: p["code_verifier"], WindowsApiVersion: p["windows_api_version"],
			PrtProtocol: protocol, StkJwk: p["stk_jwk"],
		}}
	case entrawire.GrantRefreshToken:
		req.Grant = &idpv1.RequestTokensRequest_RefreshToken{RefreshToken: &idpv1.RefreshTokenGrant{
			RefreshToken: p["refresh_token"], BrkClientId: p["brk_client_id"], RedirectUri: p["redirect_uri"],
		}}
	case entrawire.GrantPassword:
		req.Grant = &idpv1.RequestTokensRequest_Password{Password: &idpv1.PasswordGrant{Username: p["username"], Password: p["password"]}}
	case "client_credentials":
		req.Grant = &idpv1.RequestTokensRequest_ClientCredentials{ClientCredentials: &idpv1.ClientCredentialsGrant{}}
	case grantDeviceCode, "device_code":
		code := p["device_code"]
		if code == "" {
			code = p["code"] // as roadtx and the first version of the endpoint have it
		}
		req.Grant = &idpv1.RequestTokensRequest_DeviceCode{DeviceCode: &idpv1.DeviceCodeGrant{DeviceCode: code}}
	case grantJWT:
		if p["requested_token_use"] != "on_behalf_of" {
			return prterr.AADSTS(aadsts.MissingParameter, "The parameter request is missing, and requested_token_use is not on_behalf_of: send one of them.")
		}
		req.Grant = &idpv1.RequestTokensRequest_OnBehalfOf{OnBehalfOf: &idpv1.OnBehalfOfGrant{Assertion: p["assertion"]}}
	case entrawire.GrantSAML1, entrawire.GrantSAML2:
		xml, err := assertionXML(p["assertion"])
		if err != nil {
			return err
		}
		version := "1.1"
		if p["grant_type"] == entrawire.GrantSAML2 {
			version = "2.0"
		}
		req.Grant = &idpv1.RequestTokensRequest_Assertion{Assertion: &idpv1.AssertionGrant{SamlAssertion: xml, Version: version}}
	default:
		return prterr.AADSTS(aadsts.UnsupportedGrantType, "")
	}
	return nil
}

// assertionXML undoes the base64 of an assertion, which clients write in either
// alphabet, with padding and without, and in forms without escapes. Some send
// the XML as it is.
func assertionXML(s string) (string, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", prterr.AADSTS(aadsts.MissingParameter, "The request body must contain the parameter assertion.")
	}
	if strings.HasPrefix(s, "<") {
		return s, nil
	}
	s = strings.NewReplacer("-", "+", "_", "/", " ", "+", "\r", "", "\n", "").Replace(s)
	xml, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil || !clean(string(xml)) {
		return "", prterr.AADSTS(aadsts.MalformedRequest, "The parameter assertion is neither base64 nor XML.")
	}
	return string(xml), nil
}

// deviceCode begins a sign-in by device code. The v1 endpoint spells the address
// verification_url.
func (x *exchange) deviceCode() error {
	p, err := x.form()
	if err != nil {
		return err
	}
	x.correlate(p)
	a, err := x.grants.StartDeviceFlow(x.ctx, &idpv1.StartDeviceFlowRequest{
		Caller: x.caller(), Tenant: x.tenant(), Protocol: x.route.protocol, ClientId: p["client_id"], Resource: p["resource"],
		Scope: p["scope"], Claims: p["claims"], AmrValues: p["amr_values"],
	})
	if err != nil {
		return err
	}
	page := x.sibling(atLogin) + "/common/oauth2/deviceauth"
	message := "To sign in, use a web browser to open the page " + page + " and enter the code " + a.GetUserCode() + " to authenticate."
	if x.v1() {
		x.json(http.StatusOK, struct {
			UserCode        string `json:"user_code"`
			DeviceCode      string `json:"device_code"`
			VerificationURL string `json:"verification_url"`
			ExpiresIn       int64  `json:"expires_in,string"`
			Interval        int64  `json:"interval,string"`
			Message         string `json:"message"`
		}{a.GetUserCode(), a.GetDeviceCode(), page, a.GetExpiresIn(), a.GetInterval(), message})
		return nil
	}
	x.json(http.StatusOK, struct {
		UserCode        string `json:"user_code"`
		DeviceCode      string `json:"device_code"`
		VerificationURI string `json:"verification_uri"`
		ExpiresIn       int64  `json:"expires_in"`
		Interval        int64  `json:"interval"`
		Message         string `json:"message"`
	}{a.GetUserCode(), a.GetDeviceCode(), page, a.GetExpiresIn(), a.GetInterval(), message})
	return nil
}

// sidToName would tell a Linux client the name behind a security identifier. It
// is a GET with a form for a body.
func (x *exchange) sidToName() error {
	p, err := x.both()
	if err != nil {
		return err
	}
	if x.r.Method == http.MethodGet {
		if p, err = x.form(); err != nil {
			return err
		}
	}
	if p["signedRequest"] == "" {
		return prterr.AADSTS(aadsts.MissingParameter, "The request body must contain the parameter signedRequest.")
	}
	return prterr.AADSTS(aadsts.InvalidRequest, "Names of security identifiers are not resolved here: this directory has no on-premises side.")
}
