package front_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/front"
)

func TestMethods(t *testing.T) {
	c := newCloud()
	for _, f := range []struct {
		request string
		status  int
		allow   string
	}{
		{get(login, "/common/oauth2/token"), 405, "POST, OPTIONS"},
		{"PUT /common/oauth2/authorize HTTP/1.1\nHost: " + login + "\n\n", 405, "GET, POST, HEAD"},
		{"OPTIONS /common/oauth2/authorize HTTP/1.1\nHost: " + login + "\n\n", 405, "GET, POST, HEAD"},
		{"HEAD /common/.well-known/openid-configuration HTTP/1.1\nHost: " + login + "\n\n", 200, ""},
		{"BREW /common/oauth2/token HTTP/1.1\nHost: " + login + "\n\n", 405, "POST, OPTIONS"},
		{get(login, "/nothing/here"), 404, ""}, {get(login, "/"), 200, ""}, {get(drs, "/"), 404, ""}, {get(login, "/error?code=50126"), 404, ""},
		{get(login, "/common/userrealm/%ff"), 400, ""}, {get(login, "/%00/userrealm/a"), 400, ""},
	} {
		r := raw(t, c, f.request)
		if r.StatusCode != f.status || r.Header.Get("Allow") != f.allow {
			t.Errorf("%.60s: %d %s", f.request, r.StatusCode, r.Header.Get("Allow"))
		}
		if strings.HasPrefix(f.request, "HEAD") && (r.text != "" || r.ContentLength < 100) {
			t.Errorf("HEAD: %d bytes, length %d", len(r.text), r.ContentLength)
		}
	}
}

func TestOtherOrigins(t *testing.T) {
	c := newCloud()
	always(c, requestTokens, userTokens())
	with := func(method, path, origin string) string {
		return method + " " + path + " HTTP/1.1\nHost: " + login + "\nOrigin: " + origin + "\nAccess-Control-Request-Headers: content-type,x-client-sku\n\n"
	}
	const token = "/common/oauth2/v2.0/token"
	for origin, allowed := range map[string]string{
		"https://spa.contoso.test": "https://spa.contoso.test", "http://localhost:3000": "http://localhost:3000", "https://a.test:8443": "https://a.test:8443",
		"http://evil.test": "", "null": "", "https://a.test/x": "", "https://u@a.test": "", "javascript:x": "", `https://a"b`: "",
	} {
		r := raw(t, c, with("OPTIONS", token, origin))
		wantStatus(t, r, 200)
		if r.Header.Get("Access-Control-Allow-Origin") != allowed || r.Header.Get("Access-Control-Allow-Headers") != "content-type,x-client-sku" || !strings.Contains(r.Header.Get("Access-Control-Allow-Methods"), "POST") {
			t.Errorf("%s: %v", origin, r.Header)
		}
		if r := raw(t, c, with("POST", token, origin)); r.Header.Get("Access-Control-Allow-Origin") != allowed || r.Header.Get("Access-Control-Allow-Credentials") != "" || r.Header.Get("Vary") != "Origin" {
			t.Errorf("%s: %v", origin, r.Header)
		}
	}
	// A refusal can be read there as well, and who decides is told the origin.
	refuse(c, requestTokens, prterr.AADSTS(9002326, ""))
	r := raw(t, c, with("POST", token, "https://spa.contoso.test")+"grant_type=refresh_token&refresh_token=x")
	if r.Header.Get("Access-Control-Allow-Origin") == "" || asked[*idpv1.RequestTokensRequest](t, c, requestTokens).GetCaller().GetOrigin() != "https://spa.contoso.test" {
		t.Errorf("%v", r.Header)
	}
	if r := raw(t, c, with("GET", "/common/discovery/keys", "https://x.test")); r.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%v", r.Header)
	}
	if r := raw(t, c, with("GET", "/common/oauth2/authorize", "https://x.test")); r.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%v", r.Header)
	}
}

func TestCorrelation(t *testing.T) {
	const id = "9A3C1C3E-7f7d-4a53-b1ba-4c4a3a5b8a11"
	r := raw(t, newCloud(), "POST /common/oauth2/token HTTP/1.1\nHost: "+login+"\nclient-request-id: "+id+"\nreturn-client-request-id: true\n\n")
	if r.Header.Get("client-request-id") != id || r.member(t, "correlation_id") != `"`+strings.ToLower(id)+`"` || r.member(t, "trace_id") != `"`+r.Header.Get("x-ms-request-id")+`"` {
		t.Errorf("%v %s", r.Header, r.text)
	}
	r = raw(t, newCloud(), "POST /common/oauth2/token HTTP/1.1\nHost: "+login+"\nclient-request-id: <script>\n\n")
	if r.Header.Get("client-request-id") != "" || strings.Contains(r.text, "<script") {
		t.Errorf("%v %s", r.Header, r.text)
	}
}

func TestT14_BodiesAndHeadersAreBounded(t *testing.T) {
	c := newCloud()
	always(c, authorizeMethod, answerOf(signedIn("query")))
	always(c, idpv1.IssuanceService_RequestPRT_FullMethodName, prt())
	r := raw(t, c, "GET /common/oauth2/authorize HTTP/1.1\nHost: "+login+"\nx-ms-RefreshTokenCredential: "+strings.Repeat("a", 16<<10)+"\n\n")
	wantStatus(t, r, 302)
	wantStatus(t, raw(t, c, post("/common/oauth2/token", "grant_type="+jwtBearer+"&request="+strings.Repeat("a", 64<<10))), 200)
	large := strings.Repeat("a", 192<<10)
	for _, request := range []string{
		post("/common/oauth2/token", large), post("/common/login", large), device("POST", "device/", drsBearer, large),
		"POST /webapp/bulkaadjtoken/begin HTTP/1.1\nHost: " + login + drsBearer + "\n\n" + large,
	} {
		wantStatus(t, raw(t, c, request+"a"), 413)
	}
	deep := strings.Repeat("[", 40) + strings.Repeat("]", 40)
	wantStatus(t, raw(t, c, device("POST", "device/", drsBearer, `{"JoinType":`+deep+"}")), 400)
}

func TestAnswersAreDatedByTheClock(t *testing.T) {
	lab, c := clock.NewLab(), newCloud()
	lab.Advance(24 * time.Hour * 365)
	always(c, idpv1.IssuanceService_RequestPRT_FullMethodName, prt())
	f, err := front.New(front.Config{Conn: c, Clock: lab})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "https://"+login+"/common/oauth2/token", strings.NewReader("grant_type="+jwtBearer+"&request="+deviceSigned()))
	f.ServeHTTP(w, r)
	if want := fmt.Sprintf(`"expires_on":"%d`, (lab.Now().Unix()+1209599)/100); !strings.Contains(w.Body.String(), want) {
		t.Errorf("%s, want %s", w.Body, want)
	}
}

func TestOBS_ARequestIsASpanWithoutSecrets(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	c := newCloud()
	always(c, requestTokens, userTokens())
	f, err := front.New(front.Config{Conn: c, TracerProvider: trace.NewTracerProvider(trace.WithSpanProcessor(recorder))})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "https://"+login+"/"+tenantID+"/OAUTH2/v2.0/token?x=canary1", strings.NewReader("grant_type=password&username=canary2&password=canary3"))
	r.Header.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	f.ServeHTTP(httptest.NewRecorder(), r)
	f.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("CANARY", "https://"+login+"/canary/x", nil))
	spans := recorder.Ended()
	if len(spans) != 2 || spans[0].Name() != "POST /{t}/oauth2/v2.0/token" || spans[0].Parent().TraceID().String() != "0af7651916cd43dd8448eb211c80319c" || spans[1].Name() != "OTHER" {
		t.Fatalf("%v", spans)
	}
	if text := fmt.Sprint(spans[0].Attributes(), spans[1].Attributes()); strings.Contains(text, "canary") || !strings.Contains(text, `{"http.response.status_code":200}`) {
		t.Errorf("%s", text)
	}
}

func TestOBS07_TheErrorPageIsAnotherRooms(t *testing.T) {
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, "about "+r.URL.Query().Get("code")) })
	f, err := front.New(front.Config{Conn: newCloud(), ErrorPage: page})
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{login, drs, graph, "localhost"} {
		w := httptest.NewRecorder()
		f.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "https://"+host+"/error?code=50126", nil))
		if w.Body.String() != "about 50126" {
			t.Errorf("%s: %d %s", host, w.Code, w.Body)
		}
	}
	if _, err := front.New(front.Config{}); err == nil {
		t.Error("a front without a connection")
	}
}

// FuzzFront drives every handler: nothing may panic, no request may be answered
// as our fault, and every answer says how long it is.
func FuzzFront(f *testing.F) {
	for _, seed := range []struct{ method, host, path, header, body string }{
		{"POST", login, "/common/oauth2/token", "", "grant_type=srv_challenge"},
		{"POST", login, "/common/oauth2/v2.0/token", "Basic YTpi", "grant_type=" + jwtBearer + "&request=" + deviceSigned()},
		{"GET", login, "//common/oauth2/authorize?client_id=x&sso_nonce=%zz&state=%00", "j.w.t", ""},
		{"POST", login, "/common/login", "", "login=a&passwd=b&flowToken=1.a.b"},
		{"POST", login, "/common/SAS/EndAuth", "application/json", `{"AuthMethodId":"PhoneAppOTP"}`},
		{"POST", login, "/login.srf", "", "wa=wsignin1.0&wresult=<a><RequestedSecurityToken><b/></RequestedSecurityToken></a>"},
		{"POST", drs, "/EnrollmentServer/device/", "Bearer x", `{"JoinType":0,"CertificateRequest":{"Type":"pkcs10","Data":"AA=="},"TransportKey":"AA==","Attributes":{"a":"true"}}`},
		{"PUT", drs, "/EnrollmentServer/device/x", "", `{"ServerAdJoinData":{"ClientIdentity":{"Type":"sha256signed"}}}`},
		{"POST", drs, "/EnrollmentServer/lockstep/attestation", "", `{"EndorsementKey":"AA==","AttestationKey":"AA==","Tenant":"x"}`},
		{"POST", drs, "/EnrollmentServer/lockstep/keys", "", `{"Request":"a.b.c","CertificateRequest":{"Type":"pkcs10","Data":"AA=="},"TransportKey":"AA==","LockstepAttestation":{"Challenge":"x"}}`},
		{"POST", drs, "/EnrollmentServer/lockstep/pinreset", "Bearer x", `{"KeyId":"k","WrappedSecret":"AA=="}`},
		{"GET", graph, "/v1.0/devices(deviceId='{x}')?$select=id&$filter=a+eq+'b'", "PoP " + deviceSigned(), ""},
		{"GET", "localhost", "/common/discovery/instance?authorization_endpoint=https://x/y", "", ""},
		{"POST", login, "/webapp/bulkaadjtoken/begin", "Bearer x", `{"exp":"2026-01-01"}`},
		{"OPTIONS", login, "/common/oauth2/token", "https://a", ""},
		{"POST", login, "/common/login", "", `type=23&assertion={"id":"a","signature":"b"}&flowToken=1.a.b`},
		{"POST", login, "/common/login", "", "login=a%40b.test&credential=passkey&accesspass=x&psRNGCSLK=y"},
		{"POST", login, "/common/fido/get", "", "ctx=1.a.b&username=a"},
		{"POST", login, "/common/GetOneTimeCode", "", `{"Channel":"Authenticator"}`},
		{"POST", login, "/common/DeviceCodeStatus?code=x", "", `{"DeviceCode":"x"}`},
		{"POST", login, "/common/Consent/Set", "", "accept=true"},
		{"POST", "certauth.localhost", "/common/certauth", "", "flowToken=1.a.b"},
		{"GET", login, "/security-info?done=added&signed=1", "LSSECINFO=a.t.", ""},
		{"GET", login, "/security-info/signed-in?state=a&code=b", "LSSECFLOW=a.b.1", ""},
		{"POST", login, "/security-info/begin", "LSSECINFO=a.t.", "token=IZxqG0XHAAAAAA&kind=softwareOath"},
	} {
		f.Add(seed.method, seed.host, seed.path, seed.header, seed.body)
	}
	c := newCloud()
	next := signedIn("query")
	always(c, idpv1.SignInService_SubmitPassword_FullMethodName, &idpv1.SubmitPasswordResponse{Next: next})
	always(c, idpv1.SignInService_SubmitAssertion_FullMethodName, &idpv1.SubmitAssertionResponse{Next: next})
	always(c, idpv1.SignInService_CompleteMethod_FullMethodName, &idpv1.CompleteMethodResponse{Next: next})
	always(c, idpv1.SignInService_ResumeSignIn_FullMethodName, &idpv1.ResumeSignInResponse{Next: next})
	always(c, idpv1.SignInService_ChooseStay_FullMethodName, &idpv1.ChooseStayResponse{Next: next})
	always(c, idpv1.SignInService_ConfirmDevice_FullMethodName, &idpv1.ConfirmDeviceResponse{Next: next})
	always(c, idpv1.SignInService_SubmitUserCode_FullMethodName, &idpv1.SubmitUserCodeResponse{Next: next})
	always(c, idpv1.SignInService_ChangePassword_FullMethodName, &idpv1.ChangePasswordResponse{Next: next})
	always(c, idpv1.PINResetService_DescribePINReset_FullMethodName, &idpv1.DescribePINResetResponse{Key: []byte("k")})
	always(c, idpv1.PINResetService_OpenResetSecret_FullMethodName, &idpv1.OpenResetSecretResponse{ResetSecret: []byte("s")})
	answerAll(c)
	server := newFront(f, c)
	f.Fuzz(func(t *testing.T, method, host, path, header, body string) {
		r, err := http.NewRequest(method, "https://host/", strings.NewReader(body))
		if err != nil {
			return
		}
		u, err := r.URL.Parse(path)
		if err != nil {
			return
		}
		r.URL.Path, r.URL.RawPath, r.URL.RawQuery, r.Host, r.RemoteAddr = u.Path, u.RawPath, u.RawQuery, host, "127.0.0.1:1"
		for _, name := range []string{"Authorization", "Content-Type", "Cookie", "Origin", "X-Ms-RefreshTokenCredential", "X-Ms-Flowtoken", "Client-Request-Id", "User-Agent"} {
			r.Header.Set(name, header)
		}
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		if w.Code >= 500 || w.Code < 200 {
			t.Errorf("%d: %s", w.Code, w.Body)
		}
	})
}

// answerAll answers every method that has no answer with an empty message.
func answerAll(c *cloud) {
	always(c, idpv1.RealmService_DiscoverRealm_FullMethodName, &idpv1.DiscoverRealmResponse{})
	always(c, idpv1.IssuanceService_RequestPRT_FullMethodName, prt())
	always(c, idpv1.IssuanceService_RenewPRT_FullMethodName, &idpv1.RenewPRTResponse{})
	always(c, idpv1.TokenService_RedeemPRT_FullMethodName, &idpv1.RedeemPRTResponse{})
	always(c, idpv1.TokenService_RedeemRefreshToken_FullMethodName, &idpv1.RedeemRefreshTokenResponse{})
	always(c, requestTokens, userTokens())
	always(c, idpv1.GrantService_StartDeviceFlow_FullMethodName, &idpv1.StartDeviceFlowResponse{})
	always(c, idpv1.GrantService_StartBulkEnrolment_FullMethodName, &idpv1.StartBulkEnrolmentResponse{})
	always(c, idpv1.GrantService_PollBulkEnrolment_FullMethodName, &idpv1.PollBulkEnrolmentResponse{})
	always(c, authorizeMethod, &idpv1.AuthorizeResponse{})
	always(c, idpv1.SignInService_DiscoverCredentials_FullMethodName, &idpv1.DiscoverCredentialsResponse{DomainKnown: true})
	always(c, idpv1.SignInService_BeginMethod_FullMethodName, &idpv1.BeginMethodResponse{})
	always(c, idpv1.SignInService_CheckMethod_FullMethodName, &idpv1.CheckMethodResponse{})
	always(c, idpv1.SignInService_SignOut_FullMethodName, &idpv1.SignOutResponse{})
	always(c, idpv1.SignInService_SubmitAccessPass_FullMethodName, &idpv1.SubmitAccessPassResponse{Next: signedIn("query")})
	always(c, idpv1.SignInService_BeginPasskey_FullMethodName, &idpv1.BeginPasskeyResponse{Options: `{"challenge":"AAAA"}`})
	always(c, idpv1.SignInService_SubmitPasskey_FullMethodName, &idpv1.SubmitPasskeyResponse{Next: signedIn("query")})
	always(c, idpv1.SignInService_BeginPhoneSignIn_FullMethodName, &idpv1.BeginPhoneSignInResponse{SessionId: "s", Entropy: 42})
	always(c, idpv1.SignInService_CheckPhoneSignIn_FullMethodName, &idpv1.CheckPhoneSignInResponse{State: idpv1.PhoneSignInState_PHONE_SIGN_IN_STATE_PENDING})
	always(c, idpv1.SignInService_SubmitPhoneSignIn_FullMethodName, &idpv1.SubmitPhoneSignInResponse{Next: signedIn("query")})
	always(c, idpv1.SignInService_SubmitCertificate_FullMethodName, &idpv1.SubmitCertificateResponse{Next: signedIn("query")})
	always(c, idpv1.SignInService_AnswerConsent_FullMethodName, &idpv1.AnswerConsentResponse{Next: signedIn("query")})
	always(c, idpv1.SecurityInfoService_ListSecurityInfo_FullMethodName, &idpv1.ListSecurityInfoResponse{Methods: []*idpv1.SecurityInfo{{}}})
	always(c, idpv1.SecurityInfoService_BeginSecurityInfo_FullMethodName, &idpv1.BeginSecurityInfoResponse{OtpauthUri: keyURI, Options: "{}"})
	always(c, idpv1.SecurityInfoService_CompleteSecurityInfo_FullMethodName, &idpv1.CompleteSecurityInfoResponse{})
	always(c, idpv1.SecurityInfoService_RemoveSecurityInfo_FullMethodName, &idpv1.RemoveSecurityInfoResponse{})
	always(c, idpv1.SecurityInfoService_SetDefaultSecurityInfo_FullMethodName, &idpv1.SetDefaultSecurityInfoResponse{})
	always(c, idpv1.DeviceRegistrationService_RegisterDevice_FullMethodName, &idpv1.RegisterDeviceResponse{})
	always(c, idpv1.DeviceRegistrationService_JoinHybridDevice_FullMethodName, &idpv1.JoinHybridDeviceResponse{})
	always(c, idpv1.DeviceRegistrationService_RegisterHelloKey_FullMethodName, &idpv1.RegisterHelloKeyResponse{})
	always(c, idpv1.DeviceRegistrationService_RequestAttestationChallenge_FullMethodName, &idpv1.RequestAttestationChallengeResponse{})
	always(c, idpv1.DeviceRegistrationService_ReplaceDeviceKeys_FullMethodName, &idpv1.ReplaceDeviceKeysResponse{})
	always(c, idpv1.MetadataService_ListSigningKeys_FullMethodName, &idpv1.ListSigningKeysResponse{})
	always(c, idpv1.ResourceService_GetUserInfo_FullMethodName, &idpv1.GetUserInfoResponse{})
	always(c, idpv1.ResourceService_GetUser_FullMethodName, &idpv1.GetUserResponse{})
	always(c, idpv1.ResourceService_ListUsers_FullMethodName, &idpv1.ListUsersResponse{Users: []*idpv1.DirectoryUser{{}}})
	always(c, idpv1.ResourceService_GetDevice_FullMethodName, &idpv1.GetDeviceResponse{})
	always(c, idpv1.ResourceService_ListDevices_FullMethodName, &idpv1.ListDevicesResponse{Devices: []*idpv1.DirectoryDevice{{}}})
	always(c, idpv1.ResourceService_ListGroups_FullMethodName, &idpv1.ListGroupsResponse{Groups: []*idpv1.DirectoryGroup{{}}})
	always(c, idpv1.ResourceService_GetOrganization_FullMethodName, &idpv1.GetOrganizationResponse{})
}
