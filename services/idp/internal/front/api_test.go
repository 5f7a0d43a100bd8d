package front_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
)

const requestTokens = idpv1.GrantService_RequestTokens_FullMethodName

// looksLike makes a text that says it is an artefact of a kind.
func looksLike(t testing.TB, kind sealed.Type) string {
	t.Helper()
	ring, err := sealed.NewRing(sealed.FreshKey(1))
	if err != nil {
		t.Fatal(err)
	}
	text, err := ring.Seal(sealed.Artefact{Type: kind, Tenant: tenantID, Client: ids.ClientID(entrawire.BrokerClientID), User: ids.NewUser(), Device: ids.NewDevice()})
	if err != nil {
		t.Fatal(err)
	}
	return text.Reveal()
}

func TestSignedRequestsGoToWhomTheyAreFor(t *testing.T) {
	const dataKey = idpv1.DataKeyService_RequestDataKey_FullMethodName
	const issue, renew, byPRT, byRT = idpv1.IssuanceService_RequestPRT_FullMethodName, idpv1.IssuanceService_RenewPRT_FullMethodName,
		idpv1.TokenService_RedeemPRT_FullMethodName, idpv1.TokenService_RedeemRefreshToken_FullMethodName
	prtText, rtText := looksLike(t, sealed.PRT), looksLike(t, sealed.RefreshToken)
	claims := func(client, refresh, more string) string {
		return `{"client_id":"` + client + `","grant_type":"refresh_token","refresh_token":"` + refresh + `"` + more + `}`
	}
	const hs, rs, es, app = `{"alg":"HS256"}`, `{"alg":"RS256","x5c":["AAAA"]}`, `{"alg":"ES256","x5c":["AAAA"]}`, "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
	for name, f := range map[string]struct{ request, method string }{
		"renewal":                        {compact(hs, claims(entrawire.SignInClientID, prtText, "")), renew},
		"renewal without a PRT":          {compact(hs, claims(entrawire.SignInClientID, "garbage", "")), renew},
		"sign-in client with a resource": {compact(hs, claims(entrawire.SignInClientID, prtText, `,"resource":"https://graph.microsoft.com"`)), byPRT},
		"application with the PRT":       {compact(hs, claims(app, prtText, `,"resource":null`)), byPRT},
		"application with its own token": {compact(hs, claims(app, rtText, "")), byRT},
		"application with garbage":       {compact(hs, claims(app, "x", "")), byPRT},
		"version 4, use":                 {compact(es, claims(app, prtText, `,"purpose":"prt_usage"`)), byPRT},
		"version 4, renewal":             {compact(es, claims(entrawire.SignInClientID, prtText, `,"purpose":"prt_usage"`)), renew},
		"version 4, first":               {compact(es, claims(entrawire.BrokerClientID, rtText, "")), issue},
		"first":                          {deviceSigned(), issue},
		"broker's token":                 {compact(rs, claims(entrawire.BrokerClientID, rtText, "")), issue},
		"device for itself":              {compact(rs, `{"grant_type":"device_token","client_id":"`+app+`","resource":"r"}`), requestTokens},
		"data key":                       {compact(hs, `{"grant_type":"urn:lockstep:params:grant-type:data-key","client_id":"`+entrawire.BrokerClientID+`","refresh_token":"`+prtText+`"}`), dataKey},
		"data key under the device key":  {compact(rs, `{"grant_type":"urn:lockstep:params:grant-type:data-key"}`), issue},
		"no algorithm":                   {compact(`{"alg":"none"}`, `{}`), issue},
		"not a token":                    {"garbage", issue},
		"not JSON":                       {compact("x", "y"), issue},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCloud()
			r := raw(t, c, post("/common/oauth2/token", "grant_type="+jwtBearer+"&claims=%7B%7D&request="+f.request))
			wantStatus(t, r, 500) // nobody answers, but somebody was asked
			for _, m := range []string{issue, renew, byPRT, byRT, requestTokens, dataKey} {
				if c.called(m) != (m == f.method) {
					t.Errorf("%s: called %v", m, c.called(m))
				}
			}
		})
	}
	c := newCloud()
	raw(t, c, post("/common/oauth2/v2.0/token", "prt_protocol_version=3.0&claims=%7B%7D&grant_type="+jwtBearer+"&request="+compact(hs, claims(app, prtText, ""))))
	q := asked[*idpv1.RedeemPRTRequest](t, c, byPRT)
	if q.GetProtocol() != idpv1.PRTProtocol_PRT_PROTOCOL_V3 || q.GetEndpoint() != idpv1.Protocol_PROTOCOL_V2 || q.GetClaims() != "{}" {
		t.Errorf("%v", q)
	}
	wantMember(t, raw(t, c, post("/common/oauth2/v2.0/token", "prt_protocol_version=9&grant_type="+jwtBearer+"&request=x")), "error", `"invalid_request"`)
}

func TestGrantsOfTheTokenEndpoint(t *testing.T) {
	saml := "<saml:Assertion>ÿ?>~</saml:Assertion>"
	std, raw64 := base64.StdEncoding.EncodeToString([]byte(saml)), base64.RawURLEncoding.EncodeToString([]byte(saml))
	const samlBearer = "urn:ietf:params:oauth:grant-type:saml1_1-bearer"
	assertion := func(version string) proto.Message {
		return &idpv1.RequestTokensRequest{Grant: &idpv1.RequestTokensRequest_Assertion{Assertion: &idpv1.AssertionGrant{SamlAssertion: saml, Version: version}}}
	}
	device := &idpv1.RequestTokensRequest{Grant: &idpv1.RequestTokensRequest_DeviceCode{DeviceCode: &idpv1.DeviceCodeGrant{DeviceCode: "dc"}}}
	for body, want := range map[string]proto.Message{
		"grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code=dc":                           device,
		"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&code=dc":                        device,
		"grant_type=device_code&code=dc":                                                                   device,
		"grant_type=" + samlBearer + "&assertion=" + strings.ReplaceAll(std, "+", "%2B"):                   assertion("1.1"),
		"grant_type=" + samlBearer + "&assertion=" + std:                                                   assertion("1.1"),
		"grant_type=urn:ietf:params:oauth:grant-type:saml2-bearer&assertion=" + raw64:                      assertion("2.0"),
		"grant_type=" + samlBearer + "&assertion=" + saml:                                                  assertion("1.1"),
		"grant_type=" + jwtBearer + "&assertion=a.b.c&requested_token_use=on_behalf_of":                    &idpv1.RequestTokensRequest{Grant: &idpv1.RequestTokensRequest_OnBehalfOf{OnBehalfOf: &idpv1.OnBehalfOfGrant{Assertion: "a.b.c"}}},
		"grant_type=client_credentials":                                                                    &idpv1.RequestTokensRequest{Grant: &idpv1.RequestTokensRequest_ClientCredentials{ClientCredentials: &idpv1.ClientCredentialsGrant{}}},
		"grant_type=refresh_token&refresh_token=1.r.t&brk_client_id=b&redirect_uri=brk-x://y":              &idpv1.RequestTokensRequest{Grant: &idpv1.RequestTokensRequest_RefreshToken{RefreshToken: &idpv1.RefreshTokenGrant{RefreshToken: "1.r.t", BrkClientId: "b", RedirectUri: "brk-x://y"}}},
		"grant_type=authorization_code&code=c&stk_jwk={}&prt_protocol_version=3.0&windows_api_version=2.0": &idpv1.RequestTokensRequest{Grant: &idpv1.RequestTokensRequest_AuthorizationCode{AuthorizationCode: &idpv1.AuthorizationCodeGrant{Code: "c", StkJwk: "{}", PrtProtocol: idpv1.PRTProtocol_PRT_PROTOCOL_V3, WindowsApiVersion: "2.0"}}},
	} {
		c := newCloud()
		always(c, requestTokens, userTokens())
		wantStatus(t, raw(t, c, post("/common/oauth2/v2.0/token", body)), 200)
		q := asked[*idpv1.RequestTokensRequest](t, c, requestTokens)
		if got := (&idpv1.RequestTokensRequest{Grant: q.GetGrant()}); !proto.Equal(got, want) {
			t.Errorf("%s\ngot  %v\nwant %v", body, got, want)
		}
	}
	for body, code := range map[string]string{
		"": "[900144]", "grant_type=magic": "[70003]", "grant_type=" + jwtBearer: "[900144]", "grant_type=" + samlBearer: "[900144]",
		"grant_type=" + samlBearer + "&assertion=%21%21": "[9002313]", "grant_type=password&grant_type=password": "[9002313]",
		"grant_type=password&password=%ff": "[9002313]", "grant_type=password&username=a%00": "[9002313]",
		strings.Repeat("a&b&", 1) + strings.Join(numbered(200), "&"): "[9002313]",
	} {
		r := raw(t, newCloud(), post("/common/oauth2/token", body))
		wantStatus(t, r, 400)
		wantMember(t, r, "error_codes", code)
	}
	c := newCloud()
	always(c, requestTokens, &idpv1.RequestTokensResponse{Outcome: &idpv1.RequestTokensResponse_Encrypted{Encrypted: "h..i.c."}})
	if r := raw(t, c, post("/common/oauth2/token", "grant_type=authorization_code&code=c&windows_api_version=2.0")); r.text != "h..i.c." {
		t.Errorf("%s", r.text)
	}
}

func numbered(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = "p" + itoa(i) + "=1"
	}
	return all
}

func TestHowAClientProvesItself(t *testing.T) {
	form := func(auth, body string) string {
		return "POST /common/oauth2/v2.0/token HTTP/1.1\nHost: " + login + auth + "\n\ngrant_type=client_credentials" + body
	}
	basic := func(pair string) string {
		return "\nAuthorization: Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
	}
	const assertionType = "&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	for request, want := range map[string]*idpv1.RequestTokensRequest{
		form("", "&client_id=a&client_secret=s%26"):                   {ClientId: "a", Proof: &idpv1.ClientProof{Proof: &idpv1.ClientProof_ClientSecret{ClientSecret: "s&"}}},
		form(basic("a:s%26%2B%20"), ""):                               {ClientId: "a", Proof: &idpv1.ClientProof{Proof: &idpv1.ClientProof_ClientSecret{ClientSecret: "s&+ "}}},
		form(basic("a:s"), "&client_id=A"):                            {ClientId: "a", Proof: &idpv1.ClientProof{Proof: &idpv1.ClientProof_ClientSecret{ClientSecret: "s"}}},
		form("", "&client_id=a&client_assertion=x.y.z"+assertionType): {ClientId: "a", Proof: &idpv1.ClientProof{Proof: &idpv1.ClientProof_ClientAssertion{ClientAssertion: "x.y.z"}}},
		form("", "&client_id=a"):                                      {ClientId: "a"},
	} {
		c := newCloud()
		always(c, requestTokens, userTokens())
		wantStatus(t, raw(t, c, request), 200)
		if q := asked[*idpv1.RequestTokensRequest](t, c, requestTokens); q.GetClientId() != want.GetClientId() || !proto.Equal(q.GetProof(), want.GetProof()) {
			t.Errorf("%s: %v", request, q)
		}
	}
	for _, request := range []string{
		form(basic("a:s"), "&client_secret=s"), form(basic("a:s"), "&client_id=b"), form("\nAuthorization: Basic !!", ""),
		form("", "&client_id=a&client_assertion=x"), form("", "&client_secret=s&client_assertion=x"+assertionType), form(basic("a:\xff"), ""),
	} {
		c := newCloud()
		wantStatus(t, raw(t, c, request), 400)
		if c.called(requestTokens) {
			t.Errorf("%s was passed on", request)
		}
	}
	c := newCloud()
	refuse(c, requestTokens, prterr.AADSTS(7000215, ""))
	r := raw(t, c, form(basic("a:wrong"), ""))
	wantStatus(t, r, 401)
	wantMember(t, r, "error", `"invalid_client"`)
	if r.Header.Get("WWW-Authenticate") == "" {
		t.Error("no WWW-Authenticate")
	}
}

func TestErrorsWithoutACodeHaveNamesToo(t *testing.T) {
	for _, kind := range prterr.Kinds() {
		c := newCloud()
		refuse(c, requestTokens, prterr.New(kind, "the field x is wrong"))
		r := raw(t, c, post("/common/oauth2/v2.0/token", "grant_type=password"))
		if r.StatusCode < 400 || r.member(t, "error") == "" || r.member(t, "error_codes") == "[0]" || !strings.Contains(r.member(t, "error_description"), "AADSTS") {
			t.Errorf("%s: %d %s", kind, r.StatusCode, r.text)
		}
		if kind == prterr.Internal && (r.StatusCode != 500 || strings.Contains(r.text, "field x")) {
			t.Errorf("%s", r.text)
		}
	}
}

func TestDeviceCode(t *testing.T) {
	c := newCloud()
	always(c, idpv1.GrantService_StartDeviceFlow_FullMethodName, &idpv1.StartDeviceFlowResponse{DeviceCode: "d", UserCode: "ABC123XYZ", ExpiresIn: 900, Interval: 5})
	v2 := raw(t, c, post("/organizations/oauth2/v2.0/devicecode", "client_id=x&scope=openid profile&claims=%7B%7D"))
	for name, want := range map[string]string{"device_code": `"d"`, "user_code": `"ABC123XYZ"`, "expires_in": "900", "interval": "5", "verification_uri": `"https://` + login + `/common/oauth2/deviceauth"`} {
		wantMember(t, v2, name, want)
	}
	if !strings.Contains(v2.member(t, "message"), "enter the code ABC123XYZ to authenticate") {
		t.Errorf("%s", v2.text)
	}
	v1 := raw(t, c, post("/common/oauth2/devicecode", "client_id=x&resource=https://graph.microsoft.com&amr_values=ngcmfa"))
	wantMember(t, v1, "verification_url", `"https://`+login+`/common/oauth2/deviceauth"`)
	wantMember(t, v1, "interval", `"5"`)
	if q := asked[*idpv1.StartDeviceFlowRequest](t, c, idpv1.GrantService_StartDeviceFlow_FullMethodName); q.GetAmrValues() != "ngcmfa" || q.GetResource() != "https://graph.microsoft.com" {
		t.Errorf("%v", q)
	}
}

func TestRealms(t *testing.T) {
	c := newCloud()
	on(c, idpv1.RealmService_DiscoverRealm_FullMethodName, func(q *idpv1.DiscoverRealmRequest) (*idpv1.DiscoverRealmResponse, error) {
		a := &idpv1.DiscoverRealmResponse{AccountType: idpv1.AccountType_ACCOUNT_TYPE_MANAGED, DomainName: "contoso.test", CloudInstanceName: "microsoftonline.com", CloudAudienceUrn: "urn:federation:MicrosoftOnline"}
		if strings.HasSuffix(q.GetUserPrincipalName(), "@adatum.test") {
			a.AccountType, a.FederationProtocol, a.FederationMetadataUrl = idpv1.AccountType_ACCOUNT_TYPE_FEDERATED, "WSTrust", "https://sts/mex"
			a.FederationActiveAuthUrl, a.FederationPassiveAuthUrl, a.BrandName = "https://sts/um", "https://sts/adfs/ls/", "Adatum"
		}
		return a, nil
	})
	r := raw(t, c, get(login, "/common/userrealm/alice%40contoso.test?api-version=1.0"))
	if r.text != `{"ver":"1.0","account_type":"Managed","domain_name":"contoso.test","cloud_instance_name":"microsoftonline.com","cloud_audience_urn":"urn:federation:MicrosoftOnline"}` {
		t.Errorf("%s", r.text)
	}
	r = raw(t, c, get(login, "/common/UserRealm/?user=carol@adatum.test&api-version=1.0"))
	for name, want := range map[string]string{"account_type": `"Federated"`, "federation_protocol": `"WSTrust"`, "federation_metadata_url": `"https://sts/mex"`, "federation_active_auth_url": `"https://sts/um"`} {
		wantMember(t, r, name, want)
	}
	r = raw(t, c, get(login, "/common/userrealm/carol@adatum.test?api-version=2.0"))
	wantMember(t, r, "NameSpaceType", `"Federated"`)
	wantMember(t, r, "AuthURL", `"https://sts/adfs/ls/?username=carol%40adatum.test&wa=wsignin1.0&wtrealm=urn%3Afederation%3AMicrosoftOnline&wctx="`)
	r = raw(t, c, get(login, "/GetUserRealm.srf?login=carol@adatum.test"))
	wantMember(t, r, "State", "3")
	wantMember(t, r, "FederationGlobalVersion", "-1")
	r = raw(t, c, get(login, "/getuserrealm.srf?login=alice@contoso.test"))
	wantMember(t, r, "State", "4")
	wantMember(t, r, "UserState", "1")
	wantStatus(t, raw(t, c, get(login, "/common/userrealm/")), 400)
	r = raw(t, c, get("odc.officeapps.live.com", "/odc/v2.1/federationProvider?domain=contoso.test"))
	for name, want := range map[string]string{"tenantId": `"` + tenantID + `"`, "authority_host": `"` + login + `"`, "graph": `"https://graph.microsoft.com"`} {
		wantMember(t, r, name, want)
	}
}

func TestCredentialTypes(t *testing.T) {
	c := newCloud()
	ask := func(a *idpv1.DiscoverCredentialsResponse) reply {
		always(c, idpv1.SignInService_DiscoverCredentials_FullMethodName, a)
		r := raw(t, c, "POST /common/GetCredentialType?mkt=en-US HTTP/1.1\nHost: "+login+"\nContent-Type: application/json; charset=UTF-8\n\n"+
			`{"username":"alice@contoso.test","isOtherIdpSupported":true,"checkPhones":true,"isFidoSupported":false,"originalRequest":"1.c.x","flowToken":"1.f.t"}`)
		wantStatus(t, r, 200)
		wantMember(t, r, "ThrottleStatus", "0")
		return r
	}
	r := ask(&idpv1.DiscoverCredentialsResponse{Exists: true, HasPassword: true, DomainKnown: true, FlowToken: "1.f.2"})
	wantMember(t, r, "IfExistsResult", "0")
	wantMember(t, r, "FlowToken", `"1.f.2"`)
	var got struct{ Credentials map[string]json.RawMessage }
	if err := json.Unmarshal([]byte(r.text), &got); err != nil || string(got.Credentials["HasPassword"]) != "true" || string(got.Credentials["PrefCredential"]) != "1" || got.Credentials["FederationRedirectUrl"] != nil {
		t.Errorf("%v %s", err, r.text)
	}
	wantMember(t, ask(&idpv1.DiscoverCredentialsResponse{}), "IfExistsResult", "1")
	r = ask(&idpv1.DiscoverCredentialsResponse{Exists: true, DomainKnown: true, FederationUrl: "https://sts/"})
	wantMember(t, r, "EstsProperties", `{"UserTenantBranding":null,"DomainType":4}`)
	if !strings.Contains(r.text, `"PrefCredential":4`) || !strings.Contains(r.text, `"FederationRedirectUrl":"https://sts/"`) {
		t.Errorf("%s", r.text)
	}
	r = raw(t, c, "POST /common/GetOneTimeCode HTTP/1.1\nHost: "+login+"\n\n{}")
	if !strings.Contains(r.member(t, "error"), `"message"`) {
		t.Errorf("%s", r.text)
	}
}

func TestBulkTokens(t *testing.T) {
	c := newCloud()
	always(c, idpv1.GrantService_StartBulkEnrolment_FullMethodName, &idpv1.StartBulkEnrolmentResponse{FlowToken: "1.f.t"})
	const begin = "POST /webapp/bulkaadjtoken/begin HTTP/1.1\nHost: " + login + "\nAuthorization: Bearer a.t.\nContent-Type: application/json\n\n"
	r := raw(t, c, begin+`{"pid":"p","name":"bulktoken","exp":"2026-12-24 10:11:12"}`)
	wantMember(t, r, "flowToken", `"1.f.t"`)
	if q := asked[*idpv1.StartBulkEnrolmentRequest](t, c, idpv1.GrantService_StartBulkEnrolment_FullMethodName); q.GetExpires() != 1798107072 || q.GetAccessToken() != "a.t." {
		t.Errorf("%v", q)
	}
	wantMember(t, raw(t, c, begin+`{"exp":"tomorrow"}`), "state", `"CompleteError"`)
	const poll = "GET /webapp/bulkaadjtoken/poll?flowtoken=1.f.t HTTP/1.1\nHost: " + login + "\nAuthorization: Bearer a.t.\n\n"
	refuse(c, idpv1.GrantService_PollBulkEnrolment_FullMethodName, prterr.AADSTS(70016, ""))
	wantMember(t, raw(t, c, poll), "state", `"Inprogress"`)
	always(c, idpv1.GrantService_PollBulkEnrolment_FullMethodName, &idpv1.PollBulkEnrolmentResponse{Tokens: userTokens().GetTokens()})
	r = raw(t, c, poll)
	wantMember(t, r, "state", `"CompleteSuccess"`)
	var inner string
	var tokens map[string]any
	if json.Unmarshal([]byte(r.member(t, "resultData")), &inner) != nil || json.Unmarshal([]byte(inner), &tokens) != nil || tokens["id_token"] != "i.d." {
		t.Errorf("%s", r.text)
	}
	wantMember(t, raw(t, c, get(login, "/webapp/bulkaadjtoken/poll")), "state", `"CompleteError"`)
}
