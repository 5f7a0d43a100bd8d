package front_test

import (
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

const authorizeMethod = idpv1.SessionService_Authorize_FullMethodName

func outcome(a *idpv1.AuthorizeResponse) *cloud {
	c := newCloud()
	always(c, authorizeMethod, a)
	return c
}

func TestAuthorizeReadsEverything(t *testing.T) {
	c := outcome(&idpv1.AuthorizeResponse{Outcome: &idpv1.AuthorizeResponse_SignInPage{SignInPage: &idpv1.SignInPage{}}})
	raw(t, c, "GET /contoso.test/oauth2/v2.0/authorize?client_id=c&redirect_uri=msauth://x&response_type=code&response_mode=form_post&state=s%26t&scope=openid+profile"+
		"&nonce=n&prompt=login&code_challenge=cc&code_challenge_method=S256&login_hint=alice%40contoso.test&domain_hint=d&claims=%7B%7D&amr_values=ngcmfa&sso_nonce=sn&sso_reload=True&windows_api_version=2.0 HTTP/1.1\n"+
		"Host: "+login+"\nUser-Agent:\nX-Ms-RefreshTokenCredential: j.w.t\nx-ms-refreshtokencredential1: j.w.1\nx-ms-RefreshTokenCredential2: j.w.2\nx-ms-DeviceCredential: d.w.t\nCookie: ESTSAUTHPERSISTENT=1.p.c; ESTSAUTH=1.s.c\nOrigin: https://app\n\n")
	q := asked[*idpv1.AuthorizeRequest](t, c, authorizeMethod)
	want := &idpv1.AuthorizeRequest{
		ClientId: "c", RedirectUri: "msauth://x", ResponseType: "code", ResponseMode: "form_post", State: "s&t", Scope: "openid profile", Nonce: "n", Prompt: "login",
		CodeChallenge: "cc", CodeChallengeMethod: "S256", LoginHint: "alice@contoso.test", DomainHint: "d", Claims: "{}", AmrValues: "ngcmfa", SsoNonce: "sn", SsoReload: true,
		WindowsApiVersion: "2.0", RefreshTokenCredential: "j.w.t", FurtherCredentials: []string{"j.w.1", "j.w.2"}, DeviceCredential: "d.w.t", SessionCookie: "1.s.c",
		Tenant: "contoso.test", Protocol: idpv1.Protocol_PROTOCOL_V2, Caller: q.GetCaller(),
	}
	if q.String() != want.String() {
		t.Errorf("got  %v\nwant %v", q, want)
	}
	if q.GetCaller().GetOrigin() != "https://app" || q.GetCaller().GetIpAddress() != "127.0.0.1" {
		t.Errorf("%v", q.GetCaller())
	}
	// As cookies, in any case, and by POST.
	raw(t, c, "POST /common/oauth2/authorize HTTP/1.1\nHost: "+login+"\nCookie: X-Ms-Refreshtokencredential=j.w.t; x-ms-devicecredential=d.w.t; estsauthpersistent=1.p.c\n\nclient_id=c&scope=a b")
	q = asked[*idpv1.AuthorizeRequest](t, c, authorizeMethod)
	if q.GetRefreshTokenCredential() != "j.w.t" || q.GetDeviceCredential() != "d.w.t" || q.GetSessionCookie() != "1.p.c" || q.GetClientId() != "c" || q.GetScope() != "a b" {
		t.Errorf("%v", q)
	}
}

func TestBRO16_ChallengeKeepsTheQueryByteForByte(t *testing.T) {
	c := outcome(&idpv1.AuthorizeResponse{Outcome: &idpv1.AuthorizeResponse_NonceChallenge{NonceChallenge: &idpv1.NonceChallenge{SsoNonce: "fresh"}}})
	r := raw(t, c, get(login, "//common//oauth2/authorize?b=%7e&redirect_uri=msauth://x&a=1+2&sso_nonce=stale&z"))
	wantStatus(t, r, 302)
	if got := r.Header.Get("Location"); got != "https://"+login+"/common/oauth2/authorize?b=%7e&redirect_uri=msauth://x&a=1+2&z&sso_nonce=fresh" {
		t.Errorf("%s", got)
	}
	r = raw(t, c, "POST /common/oauth2/authorize HTTP/1.1\nHost: localhost:8443\n\nclient_id=c&state=a b")
	if got := r.Header.Get("Location"); got != "https://localhost:8443/common/oauth2/authorize?client_id=c&state=a%20b&sso_nonce=fresh" {
		t.Errorf("%s", got)
	}
	// The page for an extension carries the nonce instead.
	m := configOf(t, pageOf(t, &idpv1.SignInPage{SsoNonce: "fresh"}))
	if string(m["bsso"]) != `{"nonce":"fresh"}` {
		t.Errorf("%s", m["bsso"])
	}
}

func answerOf(a *idpv1.NextAction) *idpv1.AuthorizeResponse {
	if s := a.GetSignedIn(); s != nil {
		return &idpv1.AuthorizeResponse{Outcome: &idpv1.AuthorizeResponse_SignedIn{SignedIn: s}}
	}
	return &idpv1.AuthorizeResponse{Outcome: &idpv1.AuthorizeResponse_RedirectError{RedirectError: a.GetRedirectError()}}
}

func TestModesOfAnAnswer(t *testing.T) {
	r := raw(t, outcome(answerOf(signedIn("fragment"))), get(login, "/common/oauth2/v2.0/authorize"))
	if got := r.Header.Get("Location"); got != "https://app.contoso.test/cb#code=1.c.d&state=a%20b%26%22%3C%C3%A9&session_state=x" {
		t.Errorf("%s", got)
	}
	with := signedIn("query")
	with.GetSignedIn().RedirectUri = "msauth://Microsoft.AAD.BrokerPlugin?x=1"
	if got := raw(t, outcome(answerOf(with)), get(login, "/common/oauth2/authorize")).Header.Get("Location"); !strings.HasPrefix(got, "msauth://Microsoft.AAD.BrokerPlugin?x=1&code=1.c.d&") {
		t.Errorf("%s", got)
	}
	post := signedIn("form_post")
	post.GetSignedIn().RedirectUri, post.GetSignedIn().Persistent = "ms-appx-web://Microsoft.AAD.BrokerPlugin/DRS", true
	r = raw(t, outcome(answerOf(post)), get(login, "/common/oauth2/authorize"))
	wantStatus(t, r, 200)
	for _, want := range []string{
		`<form name="hiddenform" method="post" action="ms-appx-web://Microsoft.AAD.BrokerPlugin/DRS">`, `<input type="hidden" name="code" value="1.c.d">`,
		`name="state" value="` + html.EscapeString(`a b&"<é`) + `"`, "SwitchToProgressPage();</script>", `<button type="submit"`,
	} {
		if !strings.Contains(r.text, want) {
			t.Errorf("no %s in %s", want, r.text)
		}
	}
	if len(r.Header.Values("Set-Cookie")) != 2 || !strings.Contains(r.Header.Values("Set-Cookie")[1], "ESTSAUTHPERSISTENT=1.s.c") {
		t.Errorf("%v", r.Header.Values("Set-Cookie"))
	}
	for _, script := range []string{"javascript:alert(1)", "data:text/html,x", "no-scheme"} {
		bad := signedIn("query")
		bad.GetSignedIn().RedirectUri = script
		if r := raw(t, outcome(answerOf(bad)), get(login, "/common/oauth2/authorize")); r.Header.Get("Location") != "" || !strings.Contains(r.text, "AADSTS50011") {
			t.Errorf("%s: %d %s", script, r.StatusCode, r.Header.Get("Location"))
		}
	}
}

func TestRefusalsOfTheAuthorizationEndpoint(t *testing.T) {
	e := &idpv1.NextAction{Action: &idpv1.NextAction_RedirectError{RedirectError: &idpv1.RedirectError{
		RedirectUri: "https://app/cb", State: "s", Code: 50058, Description: "no session", Claims: `{"a":1}`,
	}}}
	r := raw(t, outcome(answerOf(e)), get(login, "/common/oauth2/v2.0/authorize"))
	u, err := r.Location()
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if q.Get("error") != "login_required" || !strings.HasPrefix(q.Get("error_description"), "AADSTS50058: no session\r\nTrace ID: ") || q.Get("state") != "s" ||
		q.Get("claims") != `{"a":1}` || !strings.HasSuffix(q.Get("error_uri"), "/error?code=50058") {
		t.Errorf("%v", q)
	}
	e.GetRedirectError().Code = 1
	if q, _ := raw(t, outcome(answerOf(e)), get(login, "/common/oauth2/authorize")).Location(); q.Query().Get("error") != "server_error" {
		t.Errorf("%v", q)
	}
	for query, text := range map[string]string{"client_id=a&client_id=b": "client_id stands twice", "state=%ff": "state is not valid UTF-8"} {
		if r := raw(t, newCloud(), get(login, "/common/oauth2/authorize?"+query)); !strings.Contains(r.text, text) || !strings.Contains(r.text, "AADSTS9002313") {
			t.Errorf("%s: %s", query, r.text)
		}
	}
	out := outcome(&idpv1.AuthorizeResponse{Outcome: &idpv1.AuthorizeResponse_Elsewhere{Elsewhere: &idpv1.Elsewhere{Url: "https://sts.adatum.test/adfs/ls/?wa=wsignin1.0"}}})
	if got := raw(t, out, get(login, "/common/oauth2/authorize")).Header.Get("Location"); got != "https://sts.adatum.test/adfs/ls/?wa=wsignin1.0" {
		t.Errorf("%s", got)
	}
	out = outcome(&idpv1.AuthorizeResponse{Outcome: &idpv1.AuthorizeResponse_Elsewhere{Elsewhere: &idpv1.Elsewhere{Url: "javascript:x"}}})
	wantStatus(t, raw(t, out, get(login, "/common/oauth2/authorize")), 500)
}

func TestSignInWithoutScripts(t *testing.T) {
	c := newCloud()
	on(c, idpv1.SignInService_DiscoverCredentials_FullMethodName, func(q *idpv1.DiscoverCredentialsRequest) (*idpv1.DiscoverCredentialsResponse, error) {
		switch q.GetUserPrincipalName() {
		case "alice@contoso.test":
			return &idpv1.DiscoverCredentialsResponse{Exists: true, HasPassword: true, DomainKnown: true, FlowToken: "1.f.2"}, nil
		case "carol@adatum.test":
			return &idpv1.DiscoverCredentialsResponse{Exists: true, DomainKnown: true, FederationUrl: "https://sts/adfs/ls/"}, nil
		case "x":
			return nil, prterr.New(prterr.Invalid, "no")
		}
		return &idpv1.DiscoverCredentialsResponse{FlowToken: "1.f.2"}, nil
	})
	first := pageOf(t, &idpv1.SignInPage{FlowToken: "1.f.1", Canary: "k"})
	if !strings.Contains(first.text, `id="i0116"`) || strings.Contains(first.text, `id="i0118"`) || !strings.Contains(first.text, `id="idSIButton9"`) {
		t.Error("the first half of the page has not the name alone")
	}
	r := raw(t, c, post("/common/login", "login=alice%40contoso.test&flowToken=1.f.1&canary=k&hpgrequestid=9a3c1c3e-7f7d-4a53-b1ba-4c4a3a5b8a11"))
	if !strings.Contains(r.text, `id="i0118"`) || !strings.Contains(r.text, `name="flowToken" value="1.f.2"`) || !strings.Contains(r.text, `name="canary" value="k"`) ||
		!strings.Contains(r.text, `name="login" value="alice@contoso.test"`) || !strings.Contains(r.text, "9a3c1c3e-7f7d-4a53-b1ba-4c4a3a5b8a11") {
		t.Errorf("%s", r.text)
	}
	if r := raw(t, c, post("/common/login", "login=carol%40adatum.test&flowToken=1.f.1")); r.Header.Get("Location") != "https://sts/adfs/ls/" {
		t.Errorf("%d %v", r.StatusCode, r.Header)
	}
	for _, name := range []string{"x", "nobody@nowhere.test"} {
		r := raw(t, c, post("/common/login", "login="+name+"&flowToken=1.f.1"))
		if !strings.Contains(r.text, `id="i0116"`) || !strings.Contains(r.text, `name="flowToken" value="1.f.1"`) || string(configOf(t, r)["iErrorCode"]) != "50034" {
			t.Errorf("%s: %s", name, r.text)
		}
	}
}

func TestSecondFactorWithoutScripts(t *testing.T) {
	c := newCloud()
	choose := pageOf(t, fullPage(idpv1.PageKind_PAGE_KIND_SECOND_FACTOR))
	if !strings.Contains(choose.text, `data-value="PhoneAppOTP"`) || !strings.Contains(choose.text, `action="/common/SAS/BeginAuth"`) {
		t.Errorf("%s", choose.text)
	}
	always(c, idpv1.SignInService_BeginMethod_FullMethodName, &idpv1.BeginMethodResponse{Success: true, FlowToken: "1.b.1", SessionId: "s", Entropy: 42})
	begin := raw(t, c, post("/common/SAS/BeginAuth", "AuthMethodId=PhoneAppOTP&flowToken=1.f.1&canary=k"))
	if !strings.Contains(begin.text, `id="idTxtBx_SAOTCC_OTC"`) || !strings.Contains(begin.text, `name="flowToken" value="1.b.1"`) || !strings.Contains(begin.text, `name="SessionId" value="s"`) {
		t.Errorf("%s", begin.text)
	}
	push := raw(t, c, post("/common/SAS/BeginAuth", "AuthMethodId=PhoneAppNotification&flowToken=1.f.1&canary=k"))
	if !strings.Contains(push.text, `id="idRichContext_DisplaySign">42<`) || !strings.Contains(push.text, "setTimeout") {
		t.Errorf("%s", push.text)
	}
	always(c, idpv1.SignInService_CheckMethod_FullMethodName, &idpv1.CheckMethodResponse{Success: true, FlowToken: "1.b.2"})
	on(c, idpv1.SignInService_CompleteMethod_FullMethodName, func(q *idpv1.CompleteMethodRequest) (*idpv1.CompleteMethodResponse, error) {
		if q.GetFlowToken() != "1.b.2" && q.GetFlowToken() != "1.b.9" || q.GetCanary() != "k" {
			t.Errorf("%v", q)
		}
		return &idpv1.CompleteMethodResponse{Next: signedIn("query")}, nil
	})
	form := "AuthMethodId=PhoneAppOTP&SessionId=s&otc=123456&flowToken=1.b.1&canary=k"
	wantStatus(t, raw(t, c, post("/common/SAS/EndAuth", form)), 302)
	// ProcessAuth as libhimmelblau posts it: the state is called request too.
	wantStatus(t, raw(t, c, post("/common/SAS/ProcessAuth", "request=1.b.9&mfaAuthMethod=PhoneAppOTP&login=a&flowToken=1.b.9&canary=k")), 302)
	always(c, idpv1.SignInService_CheckMethod_FullMethodName, &idpv1.CheckMethodResponse{FlowToken: "1.b.3", SessionId: "s", ErrorCode: 500121, Message: "wrong code"})
	if r := raw(t, c, post("/common/SAS/EndAuth", form)); !strings.Contains(r.text, "wrong code") || !strings.Contains(r.text, `id="idTxtBx_SAOTCC_OTC"`) || !strings.Contains(r.text, `value="1.b.3"`) {
		t.Errorf("%s", r.text)
	}
	always(c, idpv1.SignInService_CheckMethod_FullMethodName, &idpv1.CheckMethodResponse{FlowToken: "1.b.3", SessionId: "s", Retry: true})
	if r := raw(t, c, post("/common/SAS/EndAuth", "AuthMethodId=PhoneAppNotification&SessionId=s&flowToken=1.b.1&canary=k&pollCount=59")); !strings.Contains(r.text, `name="pollCount" value="60"`) || strings.Contains(r.text, "setTimeout") {
		t.Errorf("polls for ever: %s", r.text)
	}
}

func TestOtherPages(t *testing.T) {
	c := newCloud()
	always(c, idpv1.SignInService_ChooseStay_FullMethodName, &idpv1.ChooseStayResponse{Next: signedIn("query")})
	kmsi := pageOf(t, fullPage(idpv1.PageKind_PAGE_KIND_STAY_SIGNED_IN))
	for _, id := range []string{"KmsiDescription", "KmsiCheckboxField", "idSIButton9", "idBtn_Back"} {
		if !strings.Contains(kmsi.text, `id="`+id+`"`) {
			t.Errorf("no %s", id)
		}
	}
	for value, stay := range map[string]bool{"1": true, "3": false, "": false} {
		wantStatus(t, raw(t, c, post("/kmsi", "LoginOptions="+value+"&ctx=1.f.t&flowToken=1.f.t&canary=k")), 302)
		if q := asked[*idpv1.ChooseStayRequest](t, c, idpv1.SignInService_ChooseStay_FullMethodName); q.GetStay() != stay || q.GetFlowToken() != "1.f.t" {
			t.Errorf("%v", q)
		}
	}
	always(c, idpv1.SignInService_ResumeSignIn_FullMethodName, &idpv1.ResumeSignInResponse{Next: &idpv1.NextAction{Action: &idpv1.NextAction_NonceChallenge{NonceChallenge: &idpv1.NonceChallenge{SsoNonce: "n"}}}})
	r := raw(t, c, "POST /common/reprocess?ctx=1.f.t HTTP/1.1\nHost: "+login+"\nx-ms-RefreshTokenCredential: j.w.t\n\nsso_nonce=m")
	if got := r.Header.Get("Location"); got != "https://"+login+"/common/resume?ctx=1.f.t&sso_nonce=n" {
		t.Errorf("%s", got)
	}
	if q := asked[*idpv1.ResumeSignInRequest](t, c, idpv1.SignInService_ResumeSignIn_FullMethodName); q.GetRefreshTokenCredential() != "j.w.t" || q.GetSsoNonce() != "m" {
		t.Errorf("%v", q)
	}
	always(c, idpv1.SignInService_SignOut_FullMethodName, &idpv1.SignOutResponse{RedirectUri: "https://app/out"})
	r = raw(t, c, "GET /common/oauth2/v2.0/logout?post_logout_redirect_uri=https%3A%2F%2Fapp%2Fout&state=s HTTP/1.1\nHost: "+login+"\nCookie: ESTSAUTH=1.s.c\n\n")
	if r.Header.Get("Location") != "https://app/out?state=s" || len(r.Header.Values("Set-Cookie")) != 2 || !strings.Contains(r.Header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("%v", r.Header)
	}
	always(c, idpv1.SignInService_SignOut_FullMethodName, &idpv1.SignOutResponse{})
	if r = raw(t, c, get(login, "/common/oauth2/logout")); !strings.Contains(r.text, "ConvergedSignOut") {
		t.Errorf("%s", r.text)
	}
	wantStatus(t, raw(t, c, get(login, "/common/oauth2/nativeclient?code=x")), 200)
}

func TestDevicePages(t *testing.T) {
	c := newCloud()
	if r := raw(t, c, get(login, "/common/oauth2/deviceauth?user_code=ABC")); !strings.Contains(r.text, `id="otc" name="otc" value="ABC"`) || c.called(idpv1.SignInService_SubmitUserCode_FullMethodName) {
		t.Errorf("%s", r.text)
	}
	always(c, idpv1.SignInService_SubmitUserCode_FullMethodName, &idpv1.SubmitUserCodeResponse{Next: pageAction(idpv1.PageKind_PAGE_KIND_DEVICE_CONFIRM)})
	r := raw(t, c, "POST /common/oauth2/deviceauth HTTP/1.1\nHost: "+login+"\nCookie: ESTSAUTH=1.s.c\n\notc=ABC123XYZ")
	if !strings.Contains(r.text, `action="/appverify"`) || !strings.Contains(r.text, `id="idSIButton9"`) {
		t.Errorf("%s", r.text)
	}
	if q := asked[*idpv1.SubmitUserCodeRequest](t, c, idpv1.SignInService_SubmitUserCode_FullMethodName); q.GetUserCode() != "ABC123XYZ" || q.GetSessionCookie() != "1.s.c" {
		t.Errorf("%v", q)
	}
	always(c, idpv1.SignInService_ConfirmDevice_FullMethodName, &idpv1.ConfirmDeviceResponse{Next: pageAction(idpv1.PageKind_PAGE_KIND_DEVICE_DONE)})
	if r := raw(t, c, post("/appverify", "ContinueAuth=true&flowToken=1.f.t&canary=k")); !regexp.MustCompile(`id="message">You have signed in`).MatchString(r.text) {
		t.Errorf("%s", r.text)
	}
	if !asked[*idpv1.ConfirmDeviceRequest](t, c, idpv1.SignInService_ConfirmDevice_FullMethodName).GetConfirm() {
		t.Error("not confirmed")
	}
	raw(t, c, post("/appverify", "ContinueAuth=false&flowToken=1.f.t&canary=k"))
	if asked[*idpv1.ConfirmDeviceRequest](t, c, idpv1.SignInService_ConfirmDevice_FullMethodName).GetConfirm() {
		t.Error("confirmed by Cancel")
	}
	refuse(c, idpv1.SignInService_SubmitUserCode_FullMethodName, prterr.AADSTS(70018, ""))
	if r := raw(t, c, post("/common/oauth2/deviceauth", "otc=BAD")); !strings.Contains(r.text, `id="otc"`) || string(configOf(t, r)["sErrorCode"]) != `"70018"` {
		t.Errorf("%s", r.text)
	}
}

func pageAction(kind idpv1.PageKind) *idpv1.NextAction {
	return &idpv1.NextAction{Action: &idpv1.NextAction_Page{Page: fullPage(kind)}}
}

func TestPasswordChange(t *testing.T) {
	c := newCloud()
	m := configOf(t, pageOf(t, fullPage(idpv1.PageKind_PAGE_KIND_CHANGE_PASSWORD)))
	if string(m["urlAsyncSsprBegin"]) != `"/common/asyncsspr/begin"` || string(m["urlAsyncSsprPoll"]) != `"/common/asyncsspr/poll"` {
		t.Errorf("%s", m)
	}
	always(c, idpv1.SignInService_ChangePassword_FullMethodName, &idpv1.ChangePasswordResponse{Next: signedIn("query")})
	always(c, idpv1.SignInService_ResumeSignIn_FullMethodName, &idpv1.ResumeSignInResponse{Next: signedIn("query")})
	begin := "POST //common/asyncsspr/begin HTTP/1.1\nHost: " + login + "\nContent-Type: application/json\n\n" + `{"Ctx":"1.c.x","FlowToken":"1.f.t","OldPassword":"old","NewPassword":"new"}`
	r := raw(t, c, begin)
	wantStatus(t, r, 200)
	for name, want := range map[string]string{"IsJobPending": "false", "Ctx": `"1.f.t"`, "FlowToken": `"1.f.t"`, "CoupledDataCenter": `""`, "CoupledScaleUnit": `""`} {
		wantMember(t, r, name, want)
	}
	if q := asked[*idpv1.ChangePasswordRequest](t, c, idpv1.SignInService_ChangePassword_FullMethodName); q.GetPassword() != "old" || q.GetNewPassword() != "new" {
		t.Error("passwords are mixed up")
	}
	wantStatus(t, raw(t, c, "POST //common/changepassword HTTP/1.1\nHost: "+login+"\nContent-Type: application/json\n\n"+
		`{"Ctx":"1.f.t","FlowToken":"1.f.t","currentpasswd":"old","confirmnewpasswd":"new","canary":"k"}`), 302)
	page := fullPage(idpv1.PageKind_PAGE_KIND_CHANGE_PASSWORD)
	page.ErrorCode, page.ErrorText = 50126, "the password in force is wrong"
	always(c, idpv1.SignInService_ChangePassword_FullMethodName, &idpv1.ChangePasswordResponse{Next: &idpv1.NextAction{Action: &idpv1.NextAction_Page{Page: page}}})
	r = raw(t, c, begin)
	wantStatus(t, r, 400)
	wantMember(t, r, "ErrorMessage", `"AADSTS50126: the password in force is wrong"`)
	form := "currentpasswd=old&newpasswd=new&flowToken=1.f.t&canary=k&confirmnewpasswd="
	if r := raw(t, c, post("/common/changepassword", form+"other")); !strings.Contains(r.text, "not the same") {
		t.Errorf("%s", r.text)
	}
	if r := raw(t, c, post("/common/changepassword", form+"new")); !strings.Contains(r.text, "in force is wrong") {
		t.Errorf("%s", r.text)
	}
}

func TestWhatAFederationProviderPosts(t *testing.T) {
	c := newCloud()
	always(c, idpv1.SignInService_SubmitAssertion_FullMethodName, &idpv1.SubmitAssertionResponse{Next: signedIn("query")})
	const assertion = `<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:1.0:assertion" AssertionID="_1"><saml:x  a='1'/>&amp;</saml:Assertion>`
	rstr := `<t:RequestSecurityTokenResponse xmlns:t="http://schemas.xmlsoap.org/ws/2005/02/trust"><t:RequestedSecurityToken>` + assertion + `</t:RequestedSecurityToken></t:RequestSecurityTokenResponse>`
	send := func(result string) reply {
		return raw(t, c, post("/login.srf", "wa=wsignin1.0&wctx=1.f.t&wresult="+strings.NewReplacer("%", "%25", "&", "%26", "+", "%2B").Replace(result)))
	}
	wantStatus(t, send(rstr), 302)
	if q := asked[*idpv1.SubmitAssertionRequest](t, c, idpv1.SignInService_SubmitAssertion_FullMethodName); q.GetSamlAssertion() != assertion || q.GetContext() != "1.f.t" {
		t.Errorf("%v", q)
	}
	for _, bad := range []string{"", "x", "<a/>", "<!DOCTYPE a []>" + rstr, strings.Replace(rstr, assertion, "", 1), rstr[:len(rstr)-100], strings.Repeat("<a>", 100)} {
		if r := send(bad); !strings.Contains(r.text, "AADSTS50013") {
			t.Errorf("%.60s: %d", bad, r.StatusCode)
		}
	}
}

func TestPagesAreGuarded(t *testing.T) {
	r := pageOf(t, fullPage(idpv1.PageKind_PAGE_KIND_SIGN_IN))
	policy := r.Header.Get("Content-Security-Policy")
	nonce := regexp.MustCompile(`script-src 'nonce-([^']+)'`).FindStringSubmatch(policy)
	if nonce == nil || !strings.Contains(r.text, `<script nonce="`+nonce[1]+`">`) || !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "form-action") {
		t.Errorf("%s", policy)
	}
	if strings.Count(r.text, "<script") != 1 || strings.Contains(r.text, "A <b>") {
		t.Errorf("what the page shows is not escaped: %s", r.text)
	}
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "strict-origin", "Pragma": "no-cache"} {
		if r.Header.Get(name) != want {
			t.Errorf("%s: %s", name, r.Header.Get(name))
		}
	}
	if !strings.Contains(r.Header.Get("Cache-Control"), "no-store") || r.Header.Get("X-Ms-Request-Id") == "" || r.Header.Get("X-Ms-Ests-Server") == "" || r.Header.Get("P3p") == "" {
		t.Errorf("%v", r.Header)
	}
	if http.StatusText(r.StatusCode) != "OK" {
		t.Errorf("%d", r.StatusCode)
	}
}
