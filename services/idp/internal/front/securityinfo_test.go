package front_test

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

const (
	listInfo     = idpv1.SecurityInfoService_ListSecurityInfo_FullMethodName
	beginInfo    = idpv1.SecurityInfoService_BeginSecurityInfo_FullMethodName
	completeInfo = idpv1.SecurityInfoService_CompleteSecurityInfo_FullMethodName
	removeInfo   = idpv1.SecurityInfoService_RemoveSecurityInfo_FullMethodName
	defaultInfo  = idpv1.SecurityInfoService_SetDefaultSecurityInfo_FullMethodName

	keyURI = "otpauth://totp/Contoso:alice@contoso.test?secret=JBSWY3DPEHPK3PXPJB&issuer=Contoso"
)

// information is a cloud with a person's methods.
func information() *cloud {
	c := newCloud()
	tokens := userTokens()
	tokens.GetTokens().AccessToken = "a.t."
	always(c, requestTokens, tokens)
	always(c, listInfo, &idpv1.ListSecurityInfoResponse{
		UserPrincipalName: "alice@contoso.test", Addable: []string{"softwareOath", "sms", "fido2", "unheardOf"}, Methods: []*idpv1.SecurityInfo{
			{MethodId: "m-1", Kind: "password"}, {MethodId: "m-2", Kind: "softwareOath", IsDefault: true, Removable: true},
			{MethodId: "m-3", Kind: "sms", Display: "+XX XXXXXXX42", Removable: true, AddedAt: timestamppb.Now()},
		},
	})
	on(c, beginInfo, func(q *idpv1.BeginSecurityInfoRequest) (*idpv1.BeginSecurityInfoResponse, error) {
		if q.GetPhoneNumber() == "x" {
			return nil, prterr.New(prterr.Invalid, "the number is not of the form +CC NUMBER")
		}
		return &idpv1.BeginSecurityInfoResponse{Registration: "1.r.1", OtpauthUri: keyURI, ActivationCode: "4711", Options: `{"challenge":"AAAA","user":{"id":"AA"}}`}, nil
	})
	always(c, completeInfo, &idpv1.CompleteSecurityInfoResponse{MethodId: "m-9"})
	always(c, removeInfo, &idpv1.RemoveSecurityInfoResponse{})
	always(c, defaultInfo, &idpv1.SetDefaultSecurityInfoResponse{})
	return c
}

func cookieOf(t testing.TB, r reply, name string) *http.Cookie {
	t.Helper()
	for _, c := range r.Cookies() {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no cookie %s: %v", name, r.Header)
	return nil
}

func withCookie(method, path, cookie, body string) string {
	return method + " " + path + " HTTP/1.1\nHost: " + login + "\nCookie: " + cookie + "\n\n" + body
}

// The pages sign the person in as any application would: state, PKCE, and a token
// that no script sees.
func TestSecurityInfoSignsIn(t *testing.T) {
	c := information()
	r := raw(t, c, get(login, "/security-info?ui_locales=de"))
	wantStatus(t, r, 302)
	u, _ := r.Location()
	flow, q := cookieOf(t, r, "LSSECFLOW"), u.Query()
	parts := strings.Split(flow.Value, ".")
	challenge := sha256.Sum256([]byte(parts[1]))
	if u.Path != "/common/oauth2/authorize" || q.Get("client_id") != "19db86c3-b2b9-44cc-b339-36da233a3be2" || q.Get("resource") != "https://mysignins.microsoft.com" ||
		q.Get("redirect_uri") != "https://login.microsoftonline.com/security-info/signed-in" || q.Get("state") != parts[0] || len(parts[0]) < 20 || q.Get("ui_locales") != "de" ||
		q.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(challenge[:]) || q.Get("code_challenge_method") != "S256" || q.Get("amr_values") != "" {
		t.Errorf("%v %v", u, flow)
	}
	back := "/security-info/signed-in?code=1.c.d&state=" + parts[0]
	r = raw(t, c, withCookie("GET", back, "LSSECFLOW="+flow.Value, ""))
	token := cookieOf(t, r, "LSSECINFO")
	if r.StatusCode != 302 || token.Value != "a.t." || !token.HttpOnly || !token.Secure || token.SameSite != http.SameSiteLaxMode || token.Path != "/security-info" || cookieOf(t, r, "LSSECFLOW").MaxAge >= 0 {
		t.Errorf("%d %v", r.StatusCode, r.Header)
	}
	g := asked[*idpv1.RequestTokensRequest](t, c, requestTokens)
	if g.GetAuthorizationCode().GetCode() != "1.c.d" || g.GetAuthorizationCode().GetCodeVerifier() != parts[1] || g.GetResource() != "https://mysignins.microsoft.com" {
		t.Errorf("%v", g)
	}
	// A code that another sign-in brings here is not redeemed.
	for _, cookie := range []string{"", "LSSECFLOW=other." + parts[1] + ".1", "LSSECFLOW=x"} {
		c := information()
		r := raw(t, c, withCookie("GET", back, cookie, ""))
		if c.called(requestTokens) || !strings.Contains(r.text, "AADSTS50089") || strings.Contains(strings.Join(r.Header.Values("Set-Cookie"), ""), "LSSECINFO") {
			t.Errorf("%q: %d %v", cookie, r.StatusCode, r.Header)
		}
	}
}

// A second factor is asked for when the service wants one, once, and then it is an
// error; what a policy forbids is one at once.
func TestSecurityInfoAsksForASecondFactorOnce(t *testing.T) {
	for _, f := range []struct {
		err          error
		round, wants string
	}{
		{prterr.AADSTS(50076, ""), "", "mfa"}, {prterr.AADSTS(50076, ""), "1", "mfa"}, {prterr.AADSTS(700082, ""), "", "1"}, {prterr.AADSTS(50076, ""), "2", "AADSTS50076"},
		{prterr.AADSTS(700082, ""), "1", "mfa"}, {prterr.AADSTS(53010, ""), "1", "AADSTS53010"}, {prterr.New(prterr.Unavailable, "away"), "", "AADSTS"},
	} {
		c := information()
		refuse(c, listInfo, f.err)
		r := raw(t, c, withCookie("GET", "/security-info?signed="+f.round, "LSSECINFO=a.t.", ""))
		if strings.HasPrefix(f.wants, "AADSTS") {
			if !strings.Contains(r.text, f.wants) || r.StatusCode == 302 {
				t.Errorf("%v, round %s: %d", f.err, f.round, r.StatusCode)
			}
			continue
		}
		u, err := r.Location()
		if err != nil || (u.Query().Get("amr_values") == "mfa") != (f.wants == "mfa") {
			t.Errorf("%v, round %s: %d %v", f.err, f.round, r.StatusCode, u)
		}
	}
	// A browser that keeps no cookie is not sent round for ever.
	if r := raw(t, information(), get(login, "/security-info?signed=1")); r.StatusCode != 200 || !strings.Contains(r.text, "ConvergedError") {
		t.Errorf("%d", r.StatusCode)
	}
}

func tokenOn(t testing.TB, page string) string {
	t.Helper()
	m := regexp.MustCompile(`name="token" value="([^"]+)"`).FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("no token: %s", page)
	}
	return m[1]
}

func TestSecurityInfoList(t *testing.T) {
	r := raw(t, information(), withCookie("GET", "/security-info?done=added", "LSSECINFO=a.t.", ""))
	wantStatus(t, r, 200)
	for _, want := range []string{"alice@contoso.test", `data-kind="softwareOath"`, "XX XXXXXXX42", "It was added", `name="kind" value="fido2"`, `name="method" value="m-3"`} {
		if !strings.Contains(r.text, want) {
			t.Errorf("no %s in %s", want, r.text)
		}
	}
	if strings.Contains(r.text, "unheardOf") || strings.Contains(r.text, `action="/security-info/remove"><input type="hidden" name="token" value="`+tokenOn(t, r.text)+`"><button type="submit" class="small" name="method" value="m-1"`) {
		t.Error("offers what it cannot do")
	}
	if r.Header.Get("Cross-Origin-Opener-Policy") != "same-origin" || !strings.Contains(r.Header.Get("Cache-Control"), "no-store") {
		t.Errorf("%v", r.Header)
	}
	// Who asks with the state of a page says nothing with it.
	if r := raw(t, information(), withCookie("GET", "/security-info?done=%3Cscript%3E", "LSSECINFO=a.t.", "")); strings.Contains(r.text, "status\">") && strings.Contains(r.text, "&lt;script") {
		t.Error("shows what stands in the address")
	}
}

// security posts a form of these pages with its token.
func security(t testing.TB, c *cloud, path string, pairs ...string) reply {
	t.Helper()
	page := raw(t, c, withCookie("GET", "/security-info", "LSSECINFO=a.t.", ""))
	return raw(t, c, withCookie("POST", "/security-info/"+path, "LSSECINFO=a.t.", form(append(pairs, "token", tokenOn(t, page.text))...)))
}

func TestSecurityInfoBegins(t *testing.T) {
	for _, f := range []struct {
		pairs []string
		shows []string
	}{
		{[]string{"kind", "softwareOath"}, []string{`<svg class="qr"`, "JBSW Y3DP EHPK 3PXP JB", `name="registration" value="1.r.1"`}},
		{[]string{"kind", "microsoftAuthenticatorPush"}, []string{`id="activation">4711<`}},
		{[]string{"kind", "sms"}, []string{`name="phone_number"`, "Send me a code"}},
		{[]string{"kind", "voice"}, []string{`name="phone_number"`, "Call me"}},
		{[]string{"kind", "sms", "phone_number", "+44 2079460000"}, []string{"We have sent a code", `name="code"`}},
		{[]string{"kind", "sms", "phone_number", "x"}, []string{`name="phone_number" value="x"`, "not of the form"}},
		{[]string{"kind", "fido2"}, []string{`name="display_name"`}},
		{[]string{"kind", "fido2", "display_name", "My key"}, []string{`data-options="` + html.EscapeString(`{"challenge":"AAAA"`)[:5], `data-create="1"`}},
		{[]string{"kind", "password"}, []string{"ConvergedError"}},
	} {
		c := information()
		r := security(t, c, "begin", f.pairs...)
		for _, want := range f.shows {
			if !strings.Contains(r.text, want) {
				t.Errorf("%v: no %s in %s", f.pairs, want, r.text)
			}
		}
		if c.called(beginInfo) {
			if q := asked[*idpv1.BeginSecurityInfoRequest](t, c, beginInfo); q.GetAccessToken() != "a.t." || q.GetKind() != f.pairs[1] {
				t.Errorf("%v", q)
			}
		}
	}
}

// Who has to prove more hears it before the first question.
func TestSecurityInfoAsksForTheFactorFirst(t *testing.T) {
	for _, kind := range []string{"sms", "voice", "fido2", "softwareOath"} {
		c := information()
		refuse(c, beginInfo, prterr.AADSTS(50076, ""))
		u, err := security(t, c, "begin", "kind", kind).Location()
		if err != nil || u.Query().Get("amr_values") != "mfa" {
			t.Errorf("%s: %v %v", kind, u, err)
		}
	}
}

func TestSecurityInfoCompletes(t *testing.T) {
	c := information()
	r := security(t, c, "complete", "kind", "softwareOath", "registration", "1.r.1", "code", "123456")
	if r.StatusCode != 303 || !strings.HasSuffix(r.Header.Get("Location"), "/security-info?done=added") {
		t.Errorf("%d %v", r.StatusCode, r.Header)
	}
	if q := asked[*idpv1.CompleteSecurityInfoRequest](t, c, completeInfo); q.GetRegistration() != "1.r.1" || q.GetCode() != "123456" || q.GetAccessToken() != "a.t." {
		t.Errorf("%v", q)
	}
	const credential = `{"id":"a","response":{"attestationObject":"AA"}}`
	security(t, c, "complete", "kind", "fido2", "registration", "1.r.1", "credential", credential)
	if q := asked[*idpv1.CompleteSecurityInfoRequest](t, c, completeInfo); q.GetCredential() != credential {
		t.Errorf("%v", q)
	}
	always(c, completeInfo, &idpv1.CompleteSecurityInfoResponse{})
	if r := security(t, c, "complete", "kind", "microsoftAuthenticatorPush", "registration", "1.r.1", "activation", "4711"); !strings.Contains(r.text, "has not answered yet") || !strings.Contains(r.text, `id="activation">4711<`) {
		t.Errorf("%s", r.text)
	}
	refuse(c, completeInfo, prterr.AADSTS(500121, "the code is wrong"))
	for kind, shows := range map[string]string{"sms": `name="code"`, "softwareOath": `name="code"`, "microsoftAuthenticatorPush": `id="activation"`} {
		r := security(t, c, "complete", "kind", kind, "registration", "1.r.1", "code", "1", "activation", "4711")
		if !strings.Contains(r.text, "AADSTS500121: the code is wrong") || !strings.Contains(r.text, shows) || !strings.Contains(r.text, `name="registration" value="1.r.1"`) {
			t.Errorf("%s: %s", kind, r.text)
		}
	}
	if r := security(t, c, "complete", "kind", "fido2", "registration", "1.r.1", "credential", credential); !strings.Contains(r.text, `name="display_name"`) {
		t.Errorf("a challenge is answered once: %s", r.text)
	}
}

func TestSecurityInfoRemovesAndPrefers(t *testing.T) {
	c := information()
	if r := security(t, c, "remove", "method", "m-3"); r.StatusCode != 303 || asked[*idpv1.RemoveSecurityInfoRequest](t, c, removeInfo).GetMethodId() != "m-3" {
		t.Errorf("%d", r.StatusCode)
	}
	if r := security(t, c, "default", "method", "m-3"); r.StatusCode != 303 || asked[*idpv1.SetDefaultSecurityInfoRequest](t, c, defaultInfo).GetMethodId() != "m-3" {
		t.Errorf("%d", r.StatusCode)
	}
	r := security(t, c, "sign-out")
	if r.StatusCode != 303 || cookieOf(t, r, "LSSECINFO").MaxAge >= 0 || !strings.HasSuffix(r.Header.Get("Location"), "/common/oauth2/logout") {
		t.Errorf("%d %v", r.StatusCode, r.Header)
	}
	// A token whose time is over: sign in again, and nothing is lost.
	refuse(c, removeInfo, prterr.AADSTS(700082, ""))
	if u, err := security(t, c, "remove", "method", "m-3").Location(); err != nil || u.Path != "/common/oauth2/authorize" {
		t.Errorf("%v %v", u, err)
	}
}

// What another site has a browser post here changes nothing: it can neither know the
// token of the page nor hide where it comes from.
func TestSecurityInfoTakesNoFormsOfOtherSites(t *testing.T) {
	good := tokenOn(t, raw(t, information(), withCookie("GET", "/security-info", "LSSECINFO=a.t.", "")).text)
	other := tokenOn(t, raw(t, information(), withCookie("GET", "/security-info", "LSSECINFO=b.t.", "")).text)
	if good == other {
		t.Error("one token for two sign-ins")
	}
	for _, path := range []string{"begin", "complete", "remove", "default"} {
		for name, f := range map[string]struct{ token, origin string }{
			"no token": {}, "of another sign-in": {token: other}, "another site": {token: good, origin: "https://evil.test"}, "no origin that may be told": {token: good, origin: "null"},
		} {
			c := information()
			r := withCookie("POST", "/security-info/"+path, "LSSECINFO=a.t.", form("token", f.token, "kind", "softwareOath", "method", "m-3", "registration", "1.r.1", "code", "1"))
			if f.origin != "" {
				r = strings.Replace(r, "\n\n", "\nOrigin: "+f.origin+"\n\n", 1)
			}
			got := raw(t, c, r)
			for _, method := range []string{beginInfo, completeInfo, removeInfo, defaultInfo} {
				if c.called(method) {
					t.Errorf("%s, %s: %d, and it was done", path, name, got.StatusCode)
				}
			}
		}
	}
	if r := raw(t, information(), withCookie("POST", "/security-info/remove", "x=y", "token="+url.QueryEscape(good))); r.StatusCode != 303 {
		t.Errorf("without a sign-in: %d", r.StatusCode)
	}
}

// The answer of the authorization endpoint comes back under the name that was asked,
// and an error of it is shown at once.
func TestSecurityInfoUnderEveryName(t *testing.T) {
	own := signedIn("query")
	own.GetSignedIn().RedirectUri = "https://login.microsoftonline.com/security-info/signed-in"
	for host, want := range map[string]string{login: login, "login.windows.net": "login.windows.net", "localhost:8443": "localhost:8443"} {
		r := raw(t, outcome(answerOf(own)), get(host, "/common/oauth2/authorize"))
		if !strings.HasPrefix(r.Header.Get("Location"), "https://"+want+"/security-info/signed-in?code=1.c.d&") {
			t.Errorf("%s: %s", host, r.Header.Get("Location"))
		}
	}
	e := &idpv1.NextAction{Action: &idpv1.NextAction_RedirectError{RedirectError: &idpv1.RedirectError{RedirectUri: own.GetSignedIn().GetRedirectUri(), Code: 53010, Description: "not from here"}}}
	if r := raw(t, outcome(answerOf(e)), get(login, "/common/oauth2/authorize")); r.StatusCode != 200 || !strings.Contains(r.text, "AADSTS53010: not from here") || !strings.Contains(r.text, "cannot be registered from here") {
		t.Errorf("%d %s", r.StatusCode, r.text)
	}
}
