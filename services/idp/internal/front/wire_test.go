package front_test

import (
	"encoding/json"
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// The tests TestWireNN are about row NN of the list of what breaks clients. What
// the services behind the front decide is tested where they are; here it is the
// bytes.

func TestWire01_PathsInAnyCase(t *testing.T) {
	c := newCloud()
	always(c, idpv1.RealmService_DiscoverRealm_FullMethodName, &idpv1.DiscoverRealmResponse{AccountType: idpv1.AccountType_ACCOUNT_TYPE_MANAGED})
	always(c, idpv1.SessionService_Authorize_FullMethodName, &idpv1.AuthorizeResponse{Outcome: &idpv1.AuthorizeResponse_SignInPage{SignInPage: &idpv1.SignInPage{}}})
	for _, request := range []string{
		get(login, "/Common/oauth2/authorize?client_id=x"),
		get(login, "/common/UserRealm/alice@contoso.test?api-version=1.0"),
		get(login, "/"+tenantID+"/oAuth2/v2.0/authorize?client_id=x"),
		post("/"+tenantID+"/oAuth2/v2.0/token", "grant_type=srv_challenge"),
		post("/COMMON/OAUTH2/TOKEN", "grant_type=srv_challenge"),
		get(drs, "/"+tenantID+"/Discover?api-version=1.9"), get(drs, "/contoso.test/discover"),
	} {
		wantStatus(t, raw(t, c, request), 200)
	}
}

func TestWire02_TwoSlashesAreOneAndNobodyIsRedirected(t *testing.T) {
	c := newCloud()
	always(c, idpv1.SignInService_SubmitPassword_FullMethodName, &idpv1.SubmitPasswordResponse{Next: signedIn("query")})
	r := raw(t, c, post("//common/login", "login=alice%40contoso.test&passwd=secret&flowToken=1.a.b&ctx=1.a.b&canary=k"))
	wantStatus(t, r, 302)
	if !strings.HasPrefix(r.Header.Get("Location"), "https://app.contoso.test/cb?code=") {
		t.Errorf("Location is %s", r.Header.Get("Location"))
	}
	for _, path := range []string{"/common//oauth2/token", "///common/oauth2//token", "/common/oauth2/token/"} {
		wantStatus(t, raw(t, c, post(path, "grant_type=srv_challenge")), 200)
	}
	// Dots are names like others: they are not resolved either.
	wantStatus(t, raw(t, c, post("/common/x/../oauth2/token", "grant_type=srv_challenge")), 404)
}

func TestWire03_ANonceWithoutContentType(t *testing.T) {
	for _, line := range []string{"", "\nContent-Type: text/plain", "\nContent-Type: application/json"} {
		r := raw(t, newCloud(), "POST /common/oauth2/token HTTP/1.1\nHost: "+login+line+"\n\ngrant_type=srv_challenge")
		wantStatus(t, r, 200)
		if r.text != `{"Nonce":"n0nce"}` {
			t.Errorf("%s", r.text)
		}
	}
}

func TestWire04_FormsWithoutEscapes(t *testing.T) {
	c := newCloud()
	always(c, idpv1.GrantService_RequestTokens_FullMethodName, userTokens())
	raw(t, c, post("/common/oauth2/v2.0/token", "client_id=29d9ed98-a469-4536-ade2-f981bc1d605e&scope=openid profile https://graph.microsoft.com/.default"+
		"&grant_type=authorization_code&redirect_uri=msauth://Microsoft.AAD.BrokerPlugin&code=1.abc.def&code_verifier=v%2Dv"))
	q := asked[*idpv1.RequestTokensRequest](t, c, idpv1.GrantService_RequestTokens_FullMethodName)
	g := q.GetAuthorizationCode()
	if q.GetScope() != "openid profile https://graph.microsoft.com/.default" || g.GetRedirectUri() != "msauth://Microsoft.AAD.BrokerPlugin" ||
		g.GetCode() != "1.abc.def" || g.GetCodeVerifier() != "v-v" || q.GetProtocol() != idpv1.Protocol_PROTOCOL_V2 || q.GetTenant() != "common" {
		t.Errorf("%v", q)
	}
	raw(t, c, post("/common/oauth2/token", "grant_type=password&client_id=x&username=a%40b&password=100%25+%zz=;"))
	if p := asked[*idpv1.RequestTokensRequest](t, c, idpv1.GrantService_RequestTokens_FullMethodName).GetPassword().GetPassword(); p != "100% %zz=;" {
		t.Errorf("password is %q", p)
	}
}

func TestWire11_PlainAnswersBeginWithAName(t *testing.T) {
	c := newCloud()
	always(c, idpv1.GrantService_RequestTokens_FullMethodName, userTokens())
	always(c, idpv1.IssuanceService_RequestPRT_FullMethodName, prt())
	for _, body := range []string{"grant_type=srv_challenge", "grant_type=refresh_token&refresh_token=x", "grant_type=bad", "", "request=" + deviceSigned() + "&grant_type=" + jwtBearer} {
		if r := raw(t, c, post("/common/oauth2/token", body)); !strings.HasPrefix(r.text, `{"`) {
			t.Errorf("%q is answered with %.20s", body, r.text)
		}
	}
}

func TestWire12_TypesOfAPRTAnswer(t *testing.T) {
	c := newCloud()
	always(c, idpv1.IssuanceService_RequestPRT_FullMethodName, prt())
	r := raw(t, c, post("/common/oauth2/token", "windows_api_version=2.2&grant_type="+jwtBearer+"&request="+deviceSigned()+"&client_info=1&tgt=True"))
	wantStatus(t, r, 200)
	if !strings.HasPrefix(r.text, `{"token_type":"Bearer","expires_in":"1209599","ext_expires_in":"0","expires_on":"`) {
		t.Errorf("%s", r.text)
	}
	wantMember(t, r, "refresh_token_expires_in", "1209599")
	wantMember(t, r, "id_token", `"e30.e30."`)
	wantMember(t, r, "session_key_jwe", `"a.b.c.d.e"`)
	if on := r.member(t, "expires_on"); !regexp.MustCompile(`^"\d{10}"$`).MatchString(on) {
		t.Errorf("expires_on is %s", on)
	}
}

func TestWire13_MembersOfAUsersTokens(t *testing.T) {
	c := newCloud()
	always(c, idpv1.GrantService_RequestTokens_FullMethodName, userTokens())
	body := "grant_type=refresh_token&client_id=x&refresh_token=1.a.b&scope=openid&client_info=1"
	v1, v2 := raw(t, c, post("/common/oauth2/token", body)), raw(t, c, post("/common/oauth2/v2.0/token", body))
	for name, want := range map[string]string{
		"token_type": `"Bearer"`, "expires_in": `"3599"`, "ext_expires_in": `"3599"`, "refresh_token": `"1.r.t"`, "expires_on": `"1700003599"`,
		"not_before": `"1700000000"`, "resource": `"https://graph.microsoft.com"`, "access_token": `"a.t."`, "scope": `"User.Read"`, "foci": `"1"`, "refresh_in": `"1800"`,
	} {
		wantMember(t, v1, name, want)
	}
	for name, want := range map[string]string{
		"token_type": `"Bearer"`, "expires_in": "3599", "ext_expires_in": "3599", "refresh_token": `"1.r.t"`, "expires_on": "", "resource": "",
		"access_token": `"a.t."`, "id_token": `"i.d."`, "client_info": `"e30"`, "refresh_in": "1800",
	} {
		wantMember(t, v2, name, want)
	}
	if !asked[*idpv1.RequestTokensRequest](t, c, idpv1.GrantService_RequestTokens_FullMethodName).GetClientInfo() {
		t.Error("client_info was not passed on")
	}
}

func TestWire15_NoTicketsUnlessThereAreSome(t *testing.T) {
	c := newCloud()
	always(c, idpv1.IssuanceService_RequestPRT_FullMethodName, prt())
	r := raw(t, c, post("/common/oauth2/token", "tgt=true&grant_type="+jwtBearer+"&request="+deviceSigned()))
	if strings.Contains(r.text, "tgt_") {
		t.Errorf("%s", r.text)
	}
}

func TestWire16_ARedirectIsInLocationAndInTheBody(t *testing.T) {
	c := newCloud()
	always(c, idpv1.SessionService_Authorize_FullMethodName, &idpv1.AuthorizeResponse{Outcome: &idpv1.AuthorizeResponse_SignedIn{SignedIn: signedIn("query").GetSignedIn()}})
	r := raw(t, c, get(login, "/common/oauth2/authorize?client_id=x&response_type=code"))
	wantStatus(t, r, 302)
	m := regexp.MustCompile(`<a href="([^"]+)">`).FindStringSubmatch(r.text)
	if m == nil || html.UnescapeString(m[1]) != r.Header.Get("Location") {
		t.Fatalf("Location %s, body %s", r.Header.Get("Location"), r.text)
	}
	u, err := url.Parse(html.UnescapeString(m[1]))
	if err != nil || u.Query().Get("code") != "1.c.d" || u.Query().Get("state") != `a b&"<é` || !u.IsAbs() {
		t.Errorf("%v, %v", u, err)
	}
	if strings.Contains(m[1], "&state") || !strings.Contains(m[1], "&amp;state") {
		t.Errorf("not escaped: %s", m[1])
	}
	cookie := r.Header.Get("Set-Cookie")
	for _, want := range []string{"ESTSAUTH=1.s.c", "Path=/", "HttpOnly", "Secure", "SameSite=None"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("cookie %s lacks %s", cookie, want)
		}
	}
}

// configOf cuts $Config out as roadtx does, and as libhimmelblau does.
func configOf(t testing.TB, r reply) map[string]json.RawMessage {
	t.Helper()
	start, stop := strings.Index(r.text, "$Config="), strings.Index(r.text, "//]]></script>")
	if start < 0 || stop < 0 {
		t.Fatalf("no $Config: %s", r.text)
	}
	text := r.text[start+8 : stop-2]
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if strings.ContainsAny(text, "<>&") {
		t.Errorf("$Config has < > or &: %s", text)
	}
	if !strings.HasSuffix(r.text[:stop], ";\n") {
		t.Errorf("wrong frame: %q", r.text[stop-10:stop])
	}
	return m
}

func pageOf(t testing.TB, p *idpv1.SignInPage) reply {
	t.Helper()
	c := newCloud()
	always(c, idpv1.SessionService_Authorize_FullMethodName, &idpv1.AuthorizeResponse{Outcome: &idpv1.AuthorizeResponse_SignInPage{SignInPage: p}})
	r := raw(t, c, get(login, "/common/oauth2/v2.0/authorize?client_id=x"))
	wantStatus(t, r, 200)
	return r
}

func fullPage(kind idpv1.PageKind) *idpv1.SignInPage {
	return &idpv1.SignInPage{
		Kind: kind, FlowToken: "1.flow.token", Canary: "can.ary", SessionId: "9a3c1c3e-7f7d-4a53-b1ba-4c4a3a5b8a11", UserPrincipalName: "alice@contoso.test",
		Application: `A <b>&"'//]]></script>`, TenantName: "Contoso <&>", Methods: []*idpv1.Method{
			{MethodId: "PhoneAppOTP", Display: "<x>", IsDefault: true}, {MethodId: "PhoneAppNotification"},
		}, UserCode: "ABC123XYZ",
	}
}

func TestWire17_TheFrameOfConfig(t *testing.T) {
	for kind := range idpv1.PageKind_name {
		if idpv1.PageKind(kind) == idpv1.PageKind_PAGE_KIND_HAND_OVER {
			continue // a form that goes on by itself, and never with an error
		}
		p := fullPage(idpv1.PageKind(kind))
		p.UserPrincipalName, p.ErrorCode, p.ErrorText = `</script><script>&"'//]]>`, 50126, "wrong & <bad>"
		m := configOf(t, pageOf(t, p))
		if string(m["sErrorCode"]) != `"50126"` || string(m["iErrorCode"]) != "50126" {
			t.Errorf("error code %s, %s", m["sErrorCode"], m["iErrorCode"])
		}
		var name string
		if err := json.Unmarshal(m["sPOST_Username"], &name); err != nil || name != p.GetUserPrincipalName() {
			t.Errorf("%s", m["sPOST_Username"])
		}
	}
}

func TestWire18_SessionAndCanaryAreAlwaysStrings(t *testing.T) {
	for _, p := range []*idpv1.SignInPage{{}, fullPage(idpv1.PageKind_PAGE_KIND_SECOND_FACTOR)} {
		m := configOf(t, pageOf(t, p))
		for _, name := range []string{"sessionId", "canary", "sFT", "sCtx", "urlPost", "urlGetCredentialType", "pgid", "correlationId"} {
			if !strings.HasPrefix(string(m[name]), `"`) {
				t.Errorf("%s is %s", name, m[name])
			}
		}
		// A number 0 would be an error to a client that reads these.
		if m["iErrorCode"] != nil || m["sErrorCode"] != nil {
			t.Errorf("an error code without an error: %s %s", m["iErrorCode"], m["sErrorCode"])
		}
	}
	c := newCloud()
	refuse(c, idpv1.SessionService_Authorize_FullMethodName, prterr.AADSTS(50011, ""))
	m := configOf(t, raw(t, c, get(login, "/common/oauth2/authorize")))
	if string(m["pgid"]) != `"ConvergedError"` || !strings.Contains(string(m["strServiceExceptionMessage"]), "AADSTS50011:") || m["sessionId"] == nil || m["strMainMessage"] == nil {
		t.Errorf("%s", m)
	}
}

func TestWire19_NothingThatLooksLikeAnAutomaticPage(t *testing.T) {
	for kind := range idpv1.PageKind_name {
		r := pageOf(t, fullPage(idpv1.PageKind(kind)))
		for _, bad := range []string{`<input type="submit"`, "Working...", "Click Submit to continue", "Click here to finish the authorization process"} {
			if strings.Contains(r.text, bad) {
				t.Errorf("page %d has %q", kind, bad)
			}
		}
	}
}

func TestWire20_AfterThePasswordComesTheCode(t *testing.T) {
	c := newCloud()
	always(c, idpv1.SignInService_SubmitPassword_FullMethodName, &idpv1.SubmitPasswordResponse{Next: signedIn("query")})
	r := raw(t, c, post("/common/login", "login=alice%40contoso.test&passwd=p&ctx=1.c.x&flowToken=1.f.t&canary=k&client_id=x&client-request-id=9a3c1c3e-7f7d-4a53-b1ba-4c4a3a5b8a11"))
	wantStatus(t, r, 302)
	q := asked[*idpv1.SubmitPasswordRequest](t, c, idpv1.SignInService_SubmitPassword_FullMethodName)
	if q.GetFlowToken() != "1.f.t" || q.GetPassword() != "p" || q.GetUserPrincipalName() != "alice@contoso.test" || q.GetCanary() != "k" ||
		q.GetCaller().GetCorrelationId() != "9a3c1c3e-7f7d-4a53-b1ba-4c4a3a5b8a11" {
		t.Errorf("%v", q)
	}
}

func TestWire21_AddressesOfThePages(t *testing.T) {
	tfa := configOf(t, pageOf(t, fullPage(idpv1.PageKind_PAGE_KIND_SECOND_FACTOR)))
	for name, want := range map[string]string{
		"pgid": "ConvergedTFA", "urlPost": "https://" + login + "/common/SAS/ProcessAuth",
		"urlBeginAuth": "https://" + login + "/common/SAS/BeginAuth", "urlEndAuth": "https://" + login + "/common/SAS/EndAuth",
	} {
		if string(tfa[name]) != `"`+want+`"` {
			t.Errorf("%s is %s", name, tfa[name])
		}
	}
	if string(tfa["arrUserProofs"]) != `[{"authMethodId":"PhoneAppOTP","data":"PhoneAppOTP","display":"\u003cx\u003e","isDefault":true},`+
		`{"authMethodId":"PhoneAppNotification","data":"PhoneAppNotification","display":"","isDefault":false}]` {
		t.Errorf("%s", tfa["arrUserProofs"])
	}
	for kind, want := range map[idpv1.PageKind]string{
		idpv1.PageKind_PAGE_KIND_STAY_SIGNED_IN: "/kmsi", idpv1.PageKind_PAGE_KIND_CHANGE_PASSWORD: "/common/changepassword", idpv1.PageKind_PAGE_KIND_SIGN_IN: "/common/login",
	} {
		if m := configOf(t, pageOf(t, fullPage(kind))); string(m["urlPost"]) != `"`+want+`"` {
			t.Errorf("%v: %s", kind, m["urlPost"])
		}
	}
}

func TestWire22_MembersOfBeginAuthAndEndAuth(t *testing.T) {
	c := newCloud()
	always(c, idpv1.SignInService_BeginMethod_FullMethodName, &idpv1.BeginMethodResponse{Success: true, FlowToken: "1.b.1", SessionId: "s", Entropy: 42})
	always(c, idpv1.SignInService_CheckMethod_FullMethodName, &idpv1.CheckMethodResponse{Retry: true, FlowToken: "1.b.2", SessionId: "s", ResultValue: "AuthenticationPending"})
	begin := raw(t, c, "POST /common/SAS/BeginAuth HTTP/1.1\nHost: "+login+"\nContent-Type: application/json; charset=utf-8\ncanary: k\n\n"+
		`{"AuthMethodId":"PhoneAppNotification","ctx":"1.c.x","flowToken":"1.f.t","Method":"BeginAuth"}`)
	for name, want := range map[string]string{"Success": "true", "Ctx": `"1.b.1"`, "FlowToken": `"1.b.1"`, "Entropy": "42", "Retry": "false", "SessionId": `"s"`} {
		wantMember(t, begin, name, want)
	}
	if q := asked[*idpv1.BeginMethodRequest](t, c, idpv1.SignInService_BeginMethod_FullMethodName); q.GetFlowToken() != "1.f.t" || q.GetMethodId() != "PhoneAppNotification" {
		t.Errorf("%v", q)
	}
	poll := raw(t, c, "GET /common/SAS/EndAuth?authMethodId=PhoneAppNotification&pollCount=3 HTTP/1.1\nHost: "+login+"\nx-ms-sessionId: s\nx-ms-flowToken: 1.b.1\nx-ms-ctx: 1.b.1\n\n")
	for name, want := range map[string]string{"Success": "false", "Ctx": `"1.b.2"`, "FlowToken": `"1.b.2"`, "Entropy": "0", "Retry": "true"} {
		wantMember(t, poll, name, want)
	}
	if q := asked[*idpv1.CheckMethodRequest](t, c, idpv1.SignInService_CheckMethod_FullMethodName); q.GetPoll() != 3 || q.GetSessionId() != "s" || q.GetFlowToken() != "1.b.1" {
		t.Errorf("%v", q)
	}
	raw(t, c, "POST /common/SAS/EndAuth HTTP/1.1\nHost: "+login+"\nContent-Type: application/json\n\n"+
		`{"AdditionalAuthData":"123456","AuthMethodId":"PhoneAppOTP","SessionId":"s","FlowToken":"1.b.1","Ctx":"1.b.1","Method":"EndAuth"}`)
	if q := asked[*idpv1.CheckMethodRequest](t, c, idpv1.SignInService_CheckMethod_FullMethodName); q.GetOneTimeCode() != "123456" {
		t.Errorf("%v", q)
	}
	refuse(c, idpv1.SignInService_CheckMethod_FullMethodName, prterr.AADSTS(50089, ""))
	bad := raw(t, c, "POST /common/SAS/EndAuth HTTP/1.1\nHost: "+login+"\nContent-Type: application/json\n\n"+`{"AuthMethodId":"PhoneAppOTP","FlowToken":"1.b.1","Ctx":"1.b.1"}`)
	for name, want := range map[string]string{"Success": "false", "Ctx": `"1.b.1"`, "FlowToken": `"1.b.1"`, "Entropy": "0", "Retry": "false", "ErrCode": "50089"} {
		wantMember(t, bad, name, want)
	}
}

func TestWire23_MembersOfAnError(t *testing.T) {
	c := newCloud()
	refuse(c, idpv1.GrantService_RequestTokens_FullMethodName, prterr.AADSTS(50076, "").WithClaims(`{"access_token":{"capolids":{"essential":true,"values":["x"]}}}`))
	body := "grant_type=refresh_token&client_id=x&refresh_token=1.a.b"
	v2, v1 := raw(t, c, post("/common/oauth2/v2.0/token", body)), raw(t, c, post("/common/oauth2/token", body))
	wantStatus(t, v2, 400)
	wantMember(t, v2, "error", `"invalid_grant"`)
	wantMember(t, v2, "suberror", `"basic_action"`)
	wantMember(t, v2, "error_codes", "[50076]")
	wantMember(t, v2, "claims", `"{\"access_token\":{\"capolids\":{\"essential\":true,\"values\":[\"x\"]}}}"`)
	wantMember(t, v2, "error_uri", `"https://`+login+`/error?code=50076"`)
	wantMember(t, v1, "error", `"interaction_required"`)
	wantMember(t, v1, "suberror", "")
	description := v2.member(t, "error_description")
	if !regexp.MustCompile(`^"AADSTS50076: .+\\r\\nTrace ID: [0-9a-f-]{36}\\r\\nCorrelation ID: [0-9a-f-]{36}\\r\\nTimestamp: \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ"$`).MatchString(description) {
		t.Errorf("%s", description)
	}
	for _, name := range []string{"timestamp", "trace_id", "correlation_id"} {
		if v2.member(t, name) == "" {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestWire25_ClaimsThatAreNull(t *testing.T) {
	c := newCloud()
	always(c, idpv1.IssuanceService_RenewPRT_FullMethodName, &idpv1.RenewPRTResponse{Answer: "h..i.c."})
	request := compact(`{"alg":"HS256","ctx":"AAAA"}`, `{"client_id":"38aa3b87-a06d-4817-b275-7a316988d93b","resource":null,"ua_client_id":null,"win_ver":null,"refresh_token":"1.a.b"}`)
	r := raw(t, c, post("/common/oauth2/token", "windows_api_version=2.2&grant_type="+jwtBearer+"&request="+request))
	wantStatus(t, r, 200)
	if r.text != "h..i.c." {
		t.Errorf("not the bare JWE: %s", r.text)
	}
}

func TestWire29_SidToNameIsAGetWithAForm(t *testing.T) {
	r := raw(t, newCloud(), "GET /common/sidtoname HTTP/1.1\nHost: "+login+"\n\nwindows_api_version=2.2&grant_type="+jwtBearer+"&signedRequest="+deviceSigned())
	wantStatus(t, r, 400)
	wantMember(t, r, "error", `"invalid_request"`)
	if !strings.Contains(r.text, "not resolved here") {
		t.Errorf("the form was not read: %s", r.text)
	}
}

func TestWire30_HostsThatClientsHaveBuiltIn(t *testing.T) {
	c := newCloud()
	always(c, idpv1.ResourceService_GetUser_FullMethodName, &idpv1.GetUserResponse{User: &idpv1.DirectoryUser{UserId: "u"}})
	for _, f := range []struct {
		host, path string
		status     int
	}{
		{login, "/common/.well-known/openid-configuration", 200}, {"login.windows.net", "/common/.well-known/openid-configuration", 200},
		{"sts.windows.net", "/common/.well-known/openid-configuration", 200}, {"LOGIN.MICROSOFT.COM", "/common/.well-known/openid-configuration", 200},
		{"device.login.microsoftonline.com", "/common/.well-known/openid-configuration", 200},
		{drs, "/" + tenantID + "/Discover", 200}, {login, "/" + tenantID + "/Discover", 404}, {drs, "/common/.well-known/openid-configuration", 404},
		{graph, "/v1.0/me", 200}, {login, "/v1.0/me", 404}, {graph, "/v1.0/whatever", 404},
		{"odc.officeapps.live.com", "/odc/v2.1/federationProvider?domain=contoso.test", 200},
		{"localhost:8443", "/common/.well-known/openid-configuration", 200}, {"localhost:8443", "/" + tenantID + "/Discover", 200},
		{"127.0.0.1", "/v1.0/me", 200}, {"enterpriseregistration.lockstep.test", "/" + tenantID + "/Discover", 200}, {"lockstep.test", "/odc/v2.1/federationProvider?domain=contoso.test", 200},
	} {
		if r := raw(t, c, get(f.host, f.path)); r.StatusCode != f.status {
			t.Errorf("%s%s: %d, want %d", f.host, f.path, r.StatusCode, f.status)
		}
	}
}

const jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"

func compact(header, payload string) string {
	return jose.EncodeSegment([]byte(header)) + "." + jose.EncodeSegment([]byte(payload)) + "." + jose.EncodeSegment([]byte("signature"))
}

func deviceSigned() string {
	return compact(`{"alg":"RS256","typ":"JWT","x5c":"AAAA"}`, `{"grant_type":"password","client_id":"38aa3b87-a06d-4817-b275-7a316988d93b"}`)
}

func prt() *idpv1.RequestPRTResponse {
	return &idpv1.RequestPRTResponse{
		TokenType: "Bearer", ExpiresIn: 1209599, RefreshToken: "1.p.t", RefreshTokenExpiresIn: 1209599, SessionKeyJwe: "a.b.c.d.e", IdToken: "e30.e30.", ClientInfo: "e30",
	}
}

func userTokens() *idpv1.RequestTokensResponse {
	return &idpv1.RequestTokensResponse{Outcome: &idpv1.RequestTokensResponse_Tokens{Tokens: &idpv1.TokenSet{
		TokenType: "Bearer", Scope: "User.Read", ExpiresIn: 3599, ExtExpiresIn: 3599, ExpiresOn: 1700003599, NotBefore: 1700000000,
		Resource: "https://graph.microsoft.com", AccessToken: "a.t.", RefreshToken: "1.r.t", IdToken: "i.d.", ClientInfo: "e30", Foci: "1", RefreshIn: 1800,
	}}}
}

func signedIn(mode string) *idpv1.NextAction {
	return &idpv1.NextAction{Action: &idpv1.NextAction_SignedIn{SignedIn: &idpv1.SignedIn{
		Code: "1.c.d", RedirectUri: "https://app.contoso.test/cb", ResponseMode: mode, State: `a b&"<é`, SessionCookie: "1.s.c", SessionState: "x",
	}}}
}
