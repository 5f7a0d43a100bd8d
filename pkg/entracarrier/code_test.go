package entracarrier_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// TestTheCodeOfAPage is redeemed at the tenant's token endpoint, with the proof key;
// other grants have no form on this connection.
func TestTheCodeOfAPage(t *testing.T) {
	s := &server{body: `{"token_type":"Bearer","scope":"s","resource":"urn:x","expires_in":"3599","access_token":"a.b.c","refresh_token":"1.rt","id_token":"x.y.","unheard":{}}`}
	grants := idpv1.NewGrantServiceClient(carrier(t, s))
	req := &idpv1.RequestTokensRequest{
		Tenant: "t/t", Protocol: idpv1.Protocol_PROTOCOL_V1, ClientId: "c", Scope: "openid",
		Grant: &idpv1.RequestTokensRequest_AuthorizationCode{AuthorizationCode: &idpv1.AuthorizationCodeGrant{Code: "1.code", RedirectUri: "app://x", CodeVerifier: "v"}},
	}
	for _, seconds := range []string{`"3599"`, `3599`} {
		s.body = `{"token_type":"Bearer","expires_in":` + seconds + `,"access_token":"a.b.c","refresh_token":"1.rt","id_token":"x.y.","unheard":{}}`
		a, err := grants.RequestTokens(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.GetTokens(); got.GetAccessToken() != "a.b.c" || got.GetRefreshToken() != "1.rt" || got.GetIdToken() != "x.y." || got.GetExpiresIn() != 3599 {
			t.Errorf("%v", got)
		}
	}
	form, err := url.ParseQuery(s.last.body)
	if err != nil || s.last.path != "/t%2Ft/oauth2/token" || form.Get("grant_type") != "authorization_code" || form.Get("code") != "1.code" ||
		form.Get("code_verifier") != "v" || form.Get("redirect_uri") != "app://x" || form.Get("client_id") != "c" {
		t.Errorf("sent %+v", s.last)
	}
	for _, body := range []string{``, `[]`, `{}`, `{"expires_in":"soon"}`, `{"access_token":7,"expires_in":1}`} {
		s.body = body
		if _, err := grants.RequestTokens(t.Context(), req); prterr.KindOf(err) != prterr.Denied {
			t.Errorf("%s: %v", body, err)
		}
	}
	s.status, s.body = http.StatusBadRequest, `{"error":"invalid_grant","error_codes":[54005],"error_description":"AADSTS54005: Used."}`
	if _, err := grants.RequestTokens(t.Context(), req); prterr.CodeOf(err) != aadsts.CodeRedeemed {
		t.Errorf("a used code: %v", err)
	}
	s.last = sent{}
	for name, other := range map[string]*idpv1.RequestTokensRequest{
		"nothing":    {},
		"a password": {Grant: &idpv1.RequestTokensRequest_Password{Password: &idpv1.PasswordGrant{}}},
		"a secret":   {Proof: &idpv1.ClientProof{}, Grant: req.GetGrant()},
	} {
		if _, err := grants.RequestTokens(t.Context(), other); prterr.KindOf(err) != prterr.NotFound || s.last.path != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAHelloKeyIsRegistered(t *testing.T) {
	s := &server{body: `{"kid":"k","upn":"alice@contoso.test","krctx":"x"}`}
	devices := idpv1.NewDeviceRegistrationServiceClient(carrier(t, s))
	a, err := devices.RegisterHelloKey(t.Context(), &idpv1.RegisterHelloKeyRequest{AccessToken: "a.b.c", Key: []byte{1, 2}})
	if err != nil || a.GetKid() != "k" || a.GetUserPrincipalName() != "alice@contoso.test" {
		t.Fatalf("%v, %v", a, err)
	}
	if s.last.method != "POST" || s.last.path != "/EnrollmentServer/key/" || s.last.query != "api-version=1.0" || s.last.body != `{"kngc":"AQI="}` ||
		s.last.header.Get("Authorization") != "Bearer a.b.c" {
		t.Errorf("sent %+v", s.last)
	}
	s.status, s.body = http.StatusForbidden, `{"message":"no"}`
	if _, err := devices.RegisterHelloKey(t.Context(), &idpv1.RegisterHelloKeyRequest{}); prterr.KindOf(err) != prterr.Denied {
		t.Errorf("refused: %v", err)
	}
}
