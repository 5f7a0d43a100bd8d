package front_test

import (
	"encoding/base64"
	"encoding/json"
	"html"
	"regexp"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

const (
	discover     = idpv1.SignInService_DiscoverCredentials_FullMethodName
	beginPasskey = idpv1.SignInService_BeginPasskey_FullMethodName
	submitPass   = idpv1.SignInService_SubmitAccessPass_FullMethodName
	submitKey    = idpv1.SignInService_SubmitPasskey_FullMethodName
	beginPhone   = idpv1.SignInService_BeginPhoneSignIn_FullMethodName
	checkPhone   = idpv1.SignInService_CheckPhoneSignIn_FullMethodName
	submitPhone  = idpv1.SignInService_SubmitPhoneSignIn_FullMethodName
)

// everyWay is a cloud whose user has every way to sign in, the first preferred.
func everyWay(preferred idpv1.CredentialType) *cloud {
	c := newCloud()
	all := []idpv1.CredentialType{preferred}
	for n := range idpv1.CredentialType_name {
		if t := idpv1.CredentialType(n); t != preferred && t != idpv1.CredentialType_CREDENTIAL_TYPE_FEDERATION && n != 0 {
			all = append(all, t)
		}
	}
	always(c, discover, &idpv1.DiscoverCredentialsResponse{DomainKnown: true, Exists: true, HasPassword: true, FlowToken: "1.f.2", Credentials: all})
	always(c, beginPasskey, &idpv1.BeginPasskeyResponse{FlowToken: "1.f.3", Options: `{"challenge":"QUJDREVG","allowCredentials":[{"id":"a2V5","type":"public-key"}],"rpId":"login.microsoftonline.com"}`})
	always(c, beginPhone, &idpv1.BeginPhoneSignInResponse{FlowToken: "1.f.4", SessionId: "s-1", Entropy: 42})
	always(c, submitPass, &idpv1.SubmitAccessPassResponse{Next: signedIn("query")})
	always(c, submitKey, &idpv1.SubmitPasskeyResponse{Next: signedIn("query")})
	always(c, submitPhone, &idpv1.SubmitPhoneSignInResponse{Next: signedIn("query")})
	return c
}

const nameForm = "login=alice%40contoso.test&flowToken=1.f.1&ctx=1.f.1&canary=k"

// Each way to sign in is a stage of the page: the preferred one first, the others by
// their buttons, without scripts.
func TestWaysToSignIn(t *testing.T) {
	stages := map[string]struct {
		preferred idpv1.CredentialType
		shows     string
	}{
		"password":    {idpv1.CredentialType_CREDENTIAL_TYPE_PASSWORD, `id="i0118"`},
		"passkey":     {idpv1.CredentialType_CREDENTIAL_TYPE_PASSKEY, `id="passkey"`},
		"accesspass":  {idpv1.CredentialType_CREDENTIAL_TYPE_ACCESS_PASS, `name="accesspass"`},
		"certificate": {idpv1.CredentialType_CREDENTIAL_TYPE_CERTIFICATE, `action="https://certauth.login.microsoftonline.com/common/certauth"`},
	}
	for way, stage := range stages {
		r := raw(t, everyWay(stage.preferred), post("/common/login", nameForm))
		if !strings.Contains(r.text, stage.shows) || !strings.Contains(r.text, `id="idA_PWD_SwitchToCredPicker"`) || strings.Contains(r.text, `name="credential" value="`+way+`"`) {
			t.Errorf("%s preferred: %s", way, r.text)
		}
		for other := range stages {
			if other != way && !strings.Contains(r.text, `name="credential" value="`+other+`"`) {
				t.Errorf("%s preferred: no way to %s", way, other)
			}
		}
		r = raw(t, everyWay(idpv1.CredentialType_CREDENTIAL_TYPE_PASSWORD), post("/common/login", nameForm+"&passwd=&credential="+way))
		if !strings.Contains(r.text, stage.shows) {
			t.Errorf("%s chosen: %s", way, r.text)
		}
	}
	// Nobody's telephone rings because a name was typed.
	c := everyWay(idpv1.CredentialType_CREDENTIAL_TYPE_PHONE_SIGN_IN)
	r := raw(t, c, post("/common/login", nameForm))
	if c.called(beginPhone) || !strings.Contains(r.text, `name="credential" value="phone"`) {
		t.Errorf("%s", r.text)
	}
	r = raw(t, c, post("/common/login", nameForm+"&credential=phone"))
	if q := asked[*idpv1.BeginPhoneSignInRequest](t, c, beginPhone); q.GetUserPrincipalName() != "alice@contoso.test" || q.GetFlowToken() != "1.f.2" {
		t.Errorf("%v", q)
	}
	if !strings.Contains(r.text, `id="idRemoteNGC_DisplaySign">42<`) || !strings.Contains(r.text, `name="psRNGCSLK" value="s-1"`) || !strings.Contains(r.text, `name="flowToken" value="1.f.4"`) {
		t.Errorf("%s", r.text)
	}
	// Back to the name.
	if r := raw(t, c, post("/common/login", nameForm+"&credential=name")); !strings.Contains(r.text, `id="i0116"`) || !strings.Contains(r.text, `value="1.f.1"`) {
		t.Errorf("%s", r.text)
	}
	// A number in place of a name has nothing that a certificate could be asked at.
	r = raw(t, everyWay(idpv1.CredentialType_CREDENTIAL_TYPE_CERTIFICATE), strings.Replace(post("/common/login", nameForm), login, "127.0.0.1:8443", 1))
	if strings.Contains(r.text, "certauth") || strings.Contains(r.text, `value="certificate"`) {
		t.Errorf("%s", r.text)
	}
}

// After a password that was wrong the page is for the password again, with the other
// ways, whatever is preferred.
func TestAWrongProofKeepsItsStage(t *testing.T) {
	wrong := fullPage(idpv1.PageKind_PAGE_KIND_SIGN_IN)
	wrong.ErrorCode, wrong.ErrorText = 50126, "wrong"
	next := &idpv1.NextAction{Action: &idpv1.NextAction_Page{Page: wrong}}
	c := everyWay(idpv1.CredentialType_CREDENTIAL_TYPE_PASSKEY)
	always(c, idpv1.SignInService_SubmitPassword_FullMethodName, &idpv1.SubmitPasswordResponse{Next: next})
	always(c, submitPass, &idpv1.SubmitAccessPassResponse{Next: next})
	if r := raw(t, c, post("/common/login", nameForm+"&passwd=x")); !strings.Contains(r.text, `id="i0118"`) || !strings.Contains(r.text, `value="passkey"`) || !strings.Contains(r.text, "AADSTS50126: wrong") {
		t.Errorf("%s", r.text)
	}
	if r := raw(t, c, post("/common/login", nameForm+"&accesspass=x")); !strings.Contains(r.text, `name="accesspass"`) || strings.Contains(r.text, `id="i0118"`) {
		t.Errorf("%s", r.text)
	}
}

func TestAccessPassForms(t *testing.T) {
	c := everyWay(idpv1.CredentialType_CREDENTIAL_TYPE_ACCESS_PASS)
	// As libhimmelblau posts it, as the first proof and as the second.
	for path, state := range map[string]string{"/common/login": "ctx", "/common/SAS/ProcessAuth": "request"} {
		r := raw(t, c, "POST "+path+" HTTP/1.1\nHost: "+login+"\nx-ms-RefreshTokenCredential: j.w.t\nx-ms-DeviceCredential: d.w.t\n\n"+
			"login=alice%40contoso.test&loginfmt=alice%40contoso.test&accesspass=PASS%2B1&canary=k&hpgrequestid=x&"+state+"=1.f.9")
		wantStatus(t, r, 302)
		q := asked[*idpv1.SubmitAccessPassRequest](t, c, submitPass)
		if q.GetAccessPass() != "PASS+1" || q.GetUserPrincipalName() != "alice@contoso.test" || q.GetCanary() != "k" || q.GetFlowToken() != "1.f.9" ||
			q.GetRefreshTokenCredential() != "j.w.t" || q.GetDeviceCredential() != "d.w.t" {
			t.Errorf("%s: %v", path, q)
		}
	}
}

func TestPasskeyForms(t *testing.T) {
	c := everyWay(idpv1.CredentialType_CREDENTIAL_TYPE_PASSKEY)
	page := raw(t, c, post("/common/login", nameForm))
	m := configOf(t, page)
	if string(m["sFidoChallenge"]) != `"ABCDEF"` || string(m["arrFidoAllowList"]) != `["a2V5"]` || string(m["sFT"]) != `"1.f.3"` || string(m["urlFidoLogin"]) != `"https://`+login+`/common/fido/get"` {
		t.Errorf("%s", m)
	}
	options := regexp.MustCompile(`data-options="([^"]+)"`).FindStringSubmatch(page.text)
	if options == nil || !strings.Contains(html.UnescapeString(options[1]), `"rpId":"login.microsoftonline.com"`) || !strings.Contains(page.text, `name="type" value="23"`) {
		t.Errorf("%s", page.text)
	}
	const answer = `{"id":"a2V5","rawId":"a2V5","type":"public-key","response":{"clientDataJSON":"e30","authenticatorData":"AA","signature":"AA"},"clientExtensionResults":{}}`
	wantStatus(t, raw(t, c, post("/common/login", form("type", "23", "ps", "23", "assertion", answer, "flowToken", "1.f.3", "canary", "k"))), 302)
	if q := asked[*idpv1.SubmitPasskeyRequest](t, c, submitKey); q.GetCredential() != answer || q.GetFlowToken() != "1.f.3" || q.GetCanary() != "k" {
		t.Errorf("%v", q)
	}
	// As clients without a browser write it.
	flat := `{"id":"a+5=","clientDataJSON":"e30=","authenticatorData":"A/A=","signature":"AA","userHandle":"dQ"}`
	wantStatus(t, raw(t, c, post("/common/SAS/ProcessAuth", form("type", "23", "assertion", flat, "lmcCanary", "x", "ctx", "1.f.3", "canary", "k"))), 302)
	var got struct {
		ID, RawID, Type string
		Response        map[string]string
	}
	q := asked[*idpv1.SubmitPasskeyRequest](t, c, submitKey)
	if err := json.Unmarshal([]byte(q.GetCredential()), &got); err != nil || got.ID != "a-5" || got.RawID != "a-5" || got.Type != "public-key" ||
		got.Response["clientDataJSON"] != "e30" || got.Response["authenticatorData"] != "A_A" || got.Response["userHandle"] != "dQ" || got.Response["signature"] != "AA" {
		t.Errorf("%v %s", err, q.GetCredential())
	}
	for _, bad := range []string{"", "x", "[]", "{}", `{"id":1}`, `{"id":"a","id":"b"}`, `{"response":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + "}", `{"response":"` + strings.Repeat("a", 65<<10) + `"}`} {
		always(c, submitKey, &idpv1.SubmitPasskeyResponse{})
		delete(c.asked, submitKey)
		if r := raw(t, c, post("/common/login", form("type", "23", "assertion", bad, "flowToken", "1.f.3"))); c.called(submitKey) || !strings.Contains(r.text, "ConvergedError") {
			t.Errorf("%.60s: %d", bad, r.StatusCode)
		}
	}
}

// A person who has a passkey on the device needs no name.
func TestPasskeyWithoutAName(t *testing.T) {
	c := everyWay(idpv1.CredentialType_CREDENTIAL_TYPE_PASSWORD)
	first := pageOf(t, &idpv1.SignInPage{FlowToken: "1.f.1", Canary: "k"})
	for _, want := range []string{`autocomplete="username webauthn"`, `data-begin="/common/passkey/begin"`, `id="idPasskey" name="credential" value="passkey"`, "isConditionalMediationAvailable"} {
		if !strings.Contains(first.text, want) {
			t.Errorf("no %s", want)
		}
	}
	r := raw(t, c, post("/common/login", "login=&flowToken=1.f.1&canary=k&credential=passkey"))
	if q := asked[*idpv1.BeginPasskeyRequest](t, c, beginPasskey); q.GetUserPrincipalName() != "" || q.GetFlowToken() != "1.f.1" || !strings.Contains(r.text, `id="passkey"`) {
		t.Errorf("%v %s", q, r.text)
	}
	r = raw(t, c, "POST /common/passkey/begin HTTP/1.1\nHost: "+login+"\nContent-Type: application/json\n\n"+`{"flowToken":"1.f.7"}`)
	wantMember(t, r, "flowToken", `"1.f.3"`)
	if q := asked[*idpv1.BeginPasskeyRequest](t, c, beginPasskey); q.GetFlowToken() != "1.f.7" || !strings.Contains(r.str(t, "options"), "QUJDREVG") {
		t.Errorf("%v %s", q, r.text)
	}
	evil := "POST /common/passkey/begin HTTP/1.1\nHost: " + login + "\nOrigin: https://evil.test\n\n{}"
	if r := raw(t, c, evil); r.StatusCode != 400 {
		t.Errorf("another site's page: %d", r.StatusCode)
	}
}

// TestFIDOLoginOfClients: the form that libhimmelblau posts for a challenge.
func TestFIDOLoginOfClients(t *testing.T) {
	c := everyWay(idpv1.CredentialType_CREDENTIAL_TYPE_PASSKEY)
	r := raw(t, c, post("/common/fido/get", form("flow", "mfa", "allowedIdentities", "2", "canary", "1.f.1", "serverChallenge", "x", "postBackUrl", "https://"+login+"/common/login",
		"cancelUrl", "x", "resumeUrl", "x", "correlationId", "x", "credentialsJson", "", "ctx", "1.f.1", "username", "alice@contoso.test", "loginCanary", "k")))
	m := configOf(t, r)
	for name, want := range map[string]string{"sFidoChallenge": `"ABCDEF"`, "sCrossDomainCanary": `"k"`, "canary": `"k"`, "sFT": `"1.f.3"`, "sCtx": `"1.f.3"`, "urlPost": `"https://` + login + `/common/login"`, "iAllowedIdentities": "2", "fIsPasskeySupportEnabled": "true"} {
		if string(m[name]) != want {
			t.Errorf("%s is %s, want %s", name, m[name], want)
		}
	}
	// A challenge that is no text cannot be told to a client that takes it for text.
	always(c, beginPasskey, &idpv1.BeginPasskeyResponse{FlowToken: "1.f.3", Options: `{"publicKey":{"challenge":"` + base64.RawURLEncoding.EncodeToString([]byte{0, 1, 255}) + `"}}`})
	if m := configOf(t, raw(t, c, post("/common/fido/get", "ctx=1.f.1"))); m["sFidoChallenge"] != nil {
		t.Errorf("%s", m["sFidoChallenge"])
	}
}

func TestPhoneSignInOfClients(t *testing.T) {
	c := everyWay(idpv1.CredentialType_CREDENTIAL_TYPE_PHONE_SIGN_IN)
	ask := func(body string) reply {
		return raw(t, c, "POST /common/GetOneTimeCode HTTP/1.1\nHost: "+login+"\nContent-Type: application/json\nCanary: k\n\n"+body)
	}
	r := ask(`{"Channel":"Authenticator","FlowToken":"1.f.2","OldDeviceCode":"","OriginalRequest":"1.c.x"}`)
	if got := r.member(t, "RemoteNgcParams"); got != `{"SessionIdentifier":"s-1","Entropy":42,"DefaultType":1}` || r.member(t, "FlowToken") != `"1.f.4"` {
		t.Errorf("%s", r.text)
	}
	if q := asked[*idpv1.BeginPhoneSignInRequest](t, c, beginPhone); q.GetFlowToken() != "1.f.2" {
		t.Errorf("%v", q)
	}
	if r := ask(`{"Channel":"SMS","FlowToken":"1.f.2"}`); !strings.Contains(r.member(t, "error"), `"code":"6000"`) {
		t.Errorf("%s", r.text)
	}
	always(c, beginPhone, &idpv1.BeginPhoneSignInResponse{ErrorCode: 50053, Message: "too many"})
	if r := ask(`{"Channel":"Authenticator","FlowToken":"1.f.2"}`); !strings.Contains(r.member(t, "error"), `"message":"too many"`) {
		t.Errorf("%s", r.text)
	}
	for state, want := range map[idpv1.PhoneSignInState]string{
		idpv1.PhoneSignInState_PHONE_SIGN_IN_STATE_PENDING: "0", idpv1.PhoneSignInState_PHONE_SIGN_IN_STATE_DENIED: "1",
		idpv1.PhoneSignInState_PHONE_SIGN_IN_STATE_APPROVED: "2", idpv1.PhoneSignInState_PHONE_SIGN_IN_STATE_UNSPECIFIED: "1",
	} {
		always(c, checkPhone, &idpv1.CheckPhoneSignInResponse{State: state})
		r := raw(t, c, "POST /common/DeviceCodeStatus?code=s-1 HTTP/1.1\nHost: "+login+"\nContent-Type: application/json\ncanary: k\n\n"+`{"DeviceCode":"s-1"}`)
		wantMember(t, r, "AuthorizationState", want)
		if q := asked[*idpv1.CheckPhoneSignInRequest](t, c, checkPhone); q.GetSessionId() != "s-1" {
			t.Errorf("%v", q)
		}
	}
	// The form of both, page and client: only an answer goes on.
	send := form("code", "s-1", "psRNGCSLK", "s-1", "login", "alice@contoso.test", "loginfmt", "alice@contoso.test", "psRNGCEntropy", "42", "flowToken", "1.f.4", "canary", "k", "ctx", "1.f.4")
	always(c, checkPhone, &idpv1.CheckPhoneSignInResponse{State: idpv1.PhoneSignInState_PHONE_SIGN_IN_STATE_PENDING})
	if r := raw(t, c, post("/common/login", send)); c.called(submitPhone) || !strings.Contains(r.text, `id="idRemoteNGC_DisplaySign">42<`) || !strings.Contains(r.text, "not been approved yet") {
		t.Errorf("%s", r.text)
	}
	always(c, checkPhone, &idpv1.CheckPhoneSignInResponse{State: idpv1.PhoneSignInState_PHONE_SIGN_IN_STATE_APPROVED})
	wantStatus(t, raw(t, c, post("/common/login", send)), 302)
	if q := asked[*idpv1.SubmitPhoneSignInRequest](t, c, submitPhone); q.GetSessionId() != "s-1" || q.GetFlowToken() != "1.f.4" || q.GetCanary() != "k" {
		t.Errorf("%v", q)
	}
}

// Wire: what GetCredentialType offers follows what the client says it can.
func TestCredentialTypesThatAreOffered(t *testing.T) {
	ask := func(preferred idpv1.CredentialType, body string) map[string]json.RawMessage {
		r := raw(t, everyWay(preferred), "POST /common/GetCredentialType HTTP/1.1\nHost: "+login+"\nContent-Type: application/json\n\n"+body)
		wantStatus(t, r, 200)
		var got struct{ Credentials map[string]json.RawMessage }
		if err := json.Unmarshal([]byte(r.text), &got); err != nil {
			t.Fatal(err)
		}
		return got.Credentials
	}
	const all = `{"username":"alice@contoso.test","isFidoSupported":true,"isRemoteNGCSupported":true,"isAccessPassSupported":true,"flowToken":"1.f.1"}`
	for preferred, number := range map[idpv1.CredentialType]string{
		idpv1.CredentialType_CREDENTIAL_TYPE_PASSWORD: "1", idpv1.CredentialType_CREDENTIAL_TYPE_PHONE_SIGN_IN: "2", idpv1.CredentialType_CREDENTIAL_TYPE_PASSKEY: "7",
		idpv1.CredentialType_CREDENTIAL_TYPE_ACCESS_PASS: "13", idpv1.CredentialType_CREDENTIAL_TYPE_CERTIFICATE: "15",
	} {
		m := ask(preferred, all)
		for name, want := range map[string]string{
			"PrefCredential": number, "HasAccessPass": "true", "HasFido": "true", "HasRemoteNGC": "true", "HasCertAuth": "true", "HasPassword": "true",
			"FidoParams": `{"AllowList":[],"HasCrossDeviceCapablePasskey":false}`, "RemoteNgcParams": `{"SessionIdentifier":"","Entropy":0,"DefaultType":1}`,
			"CertAuthParams": `{"CertAuthUrl":"https://certauth.login.microsoftonline.com/common/certauth"}`, "SasParams": "null",
		} {
			if string(m[name]) != want {
				t.Errorf("%v preferred: %s is %s, want %s", preferred, name, m[name], want)
			}
		}
	}
	m := ask(idpv1.CredentialType_CREDENTIAL_TYPE_PASSKEY, `{"username":"alice@contoso.test"}`)
	if string(m["PrefCredential"]) != "1" || string(m["FidoParams"]) != "null" || string(m["RemoteNgcParams"]) != "null" || m["HasAccessPass"] != nil {
		t.Errorf("a client that knows passwords only: %s", m)
	}
}

// The second factors that have forms of their own.
func TestSecondFactorsWithFormsOfTheirOwn(t *testing.T) {
	c := everyWay(idpv1.CredentialType_CREDENTIAL_TYPE_PASSWORD)
	for method, shows := range map[string]string{
		"FidoKey": `data-options="{`, "AccessPass": `name="accesspass"`, "CertificateKey": `action="https://certauth.login.microsoftonline.com/common/certauth"`,
	} {
		r := raw(t, c, post("/common/SAS/BeginAuth", "AuthMethodId="+method+"&flowToken=1.f.1&canary=k"))
		if !strings.Contains(r.text, shows) || string(configOf(t, r)["pgid"]) != `"ConvergedTFA"` || c.called(idpv1.SignInService_BeginMethod_FullMethodName) {
			t.Errorf("%s: %s", method, r.text)
		}
	}
	// To another one the page leads back, whatever was typed.
	always(c, idpv1.SignInService_CompleteMethod_FullMethodName, &idpv1.CompleteMethodResponse{Next: pageAction(idpv1.PageKind_PAGE_KIND_SECOND_FACTOR)})
	if r := raw(t, c, post("/common/SAS/ProcessAuth", "another=1&accesspass=&assertion=&type=23&flowToken=1.f.1&canary=k")); c.called(submitPass) || c.called(submitKey) || !strings.Contains(r.text, `data-value="PhoneAppOTP"`) {
		t.Errorf("%s", r.text)
	}
	always(c, idpv1.SignInService_BeginMethod_FullMethodName, &idpv1.BeginMethodResponse{Success: true, FlowToken: "1.b.1", SessionId: "s"})
	for method, shows := range map[string]string{"OneWaySMS": "sent a code to your phone", "TwoWayVoiceMobile": "We are calling your phone"} {
		if r := raw(t, c, post("/common/SAS/BeginAuth", "AuthMethodId="+method+"&flowToken=1.f.1&canary=k")); !strings.Contains(r.text, shows) {
			t.Errorf("%s: %s", method, r.text)
		}
	}
}

func TestConsentForm(t *testing.T) {
	page := fullPage(idpv1.PageKind_PAGE_KIND_CONSENT)
	page.Permissions, page.MayConsentForOrganization = []*idpv1.Permission{{Resource: "Microsoft Graph", Scope: "User.Read"}}, true
	r := pageOf(t, page)
	m := configOf(t, r)
	if string(m["pgid"]) != `"ConvergedConsent"` || string(m["urlPost"]) != `"/common/Consent/Set"` {
		t.Errorf("%s", m)
	}
	for _, want := range []string{"User.Read", "Microsoft Graph", `id="idSIButton9" name="accept" value="true"`, `id="idBtn_Back" name="accept" value="false"`, `name="forOrganization"`} {
		if !strings.Contains(r.text, want) {
			t.Errorf("no %s in %s", want, r.text)
		}
	}
	c := newCloud()
	const answer = idpv1.SignInService_AnswerConsent_FullMethodName
	always(c, answer, &idpv1.AnswerConsentResponse{Next: signedIn("query")})
	for body, want := range map[string][2]bool{"accept=true": {true, false}, "accept=false": {false, false}, "accept=true&forOrganization=true": {true, true}} {
		wantStatus(t, raw(t, c, post("/common/Consent/Set", body+"&flowToken=1.f.t&canary=k")), 302)
		if q := asked[*idpv1.AnswerConsentRequest](t, c, answer); q.GetAccept() != want[0] || q.GetForOrganization() != want[1] || q.GetCanary() != "k" {
			t.Errorf("%s: %v", body, q)
		}
	}
	delete(c.asked, answer)
	if r := raw(t, c, post("/common/Consent/Set", "flowToken=1.f.t&canary=k")); c.called(answer) || !strings.Contains(r.text, "ConvergedError") {
		t.Errorf("no answer is one: %s", r.text)
	}
}

func TestPageForRegistration(t *testing.T) {
	p := fullPage(idpv1.PageKind_PAGE_KIND_REGISTER_METHOD)
	p.RegisterUrl, p.RegisterLater, p.ErrorCode = "/security-info", true, 50079
	r := pageOf(t, p)
	m := configOf(t, r)
	if !strings.Contains(r.text, `href="/security-info"`) || !strings.Contains(r.text, `id="btnAskLater"`) || string(m["urlPost"]) != `"/common/SAS/ProcessAuth"` || m["urlSkipMfaRegistration"] == nil {
		t.Errorf("%s", r.text)
	}
	c := newCloud()
	always(c, idpv1.SignInService_ResumeSignIn_FullMethodName, &idpv1.ResumeSignInResponse{Next: signedIn("query")})
	wantStatus(t, raw(t, c, post("/common/skipmfaregistration", "flowtoken=1.f.t&ctx=1.f.t&canary=k")), 302) // as libhimmelblau posts it
	// Nothing to go on with: what to do is elsewhere.
	p.RegisterUrl, p.RegisterLater, p.Guidance = "", false, "Sign in to Windows with Windows Hello."
	if r := pageOf(t, p); strings.Contains(r.text, "<form") || !strings.Contains(r.text, p.GetGuidance()) || configOf(t, r)["urlSkipMfaRegistration"] != nil {
		t.Errorf("%s", r.text)
	}
}

// Pages speak the language of the application or the browser, through every form.
func TestPagesSpeakTheLanguageThatIsAskedFor(t *testing.T) {
	c := everyWay(idpv1.CredentialType_CREDENTIAL_TYPE_PASSWORD)
	always(c, authorizeMethod, &idpv1.AuthorizeResponse{Outcome: &idpv1.AuthorizeResponse_SignInPage{SignInPage: &idpv1.SignInPage{FlowToken: "1.f.1"}}})
	for _, f := range []struct{ query, header, language, says string }{
		{"", "", "en", "Sign in"}, {"", "sv-SE,sv;q=0.9", "sv", "Logga in"}, {"&ui_locales=ja", "sv", "ja", "サインイン"}, {"&mkt=de-DE", "", "de", "Anmelden"},
	} {
		r := raw(t, c, "GET /common/oauth2/authorize?client_id=x"+f.query+" HTTP/1.1\nHost: "+login+"\nAccept-Language: "+f.header+"\n\n")
		if r.Header.Get("Content-Language") != f.language || !strings.Contains(r.text, `<h1 id="loginHeader">`+f.says) || !strings.Contains(r.Header.Get("Vary"), "Accept-Language") {
			t.Errorf("%v: %s", f, r.Header)
		}
		next := raw(t, c, post("/common/login", form(append(hidden(r), "login", "alice@contoso.test")...)))
		if want := map[bool]string{true: f.language, false: "en"}[f.query != ""]; next.Header.Get("Content-Language") != want {
			t.Errorf("%v: the next page is in %s, want %s", f, next.Header.Get("Content-Language"), want)
		}
	}
	refuse(c, authorizeMethod, prterr.AADSTS(53003, ""))
	r := raw(t, c, "GET /common/oauth2/authorize?client_id=x&ui_locales=de HTTP/1.1\nHost: "+login+"\n\n")
	if !strings.Contains(r.text, "Eine Regel Ihrer Organisation") || !strings.Contains(r.text, "AADSTS53003: A conditional access policy") {
		t.Errorf("%s", r.text)
	}
}
