package front_test

import (
	"crypto/x509"
	"encoding/json"
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/services/idp"
)

// The tests of this file drive the identity provider behind its front, from the
// first byte to the last.

const kdf2 = `,"kdf_ver":2`

func TestWire05_Wire06_WhatTravelsWithoutEscapes(t *testing.T) {
	s := whole(t, nil)
	m := s.join(t, alice, alicePassword)
	h := m.first(t, m.asString(kdf2), alice, alicePassword)
	page := configOf(t, s.send(t, get(login, visit("&sso_reload=True"))))
	tokens := s.v1(t, "client_id", azureCLI, "grant_type", "password", "resource", "https://graph.microsoft.com", "username", alice, "password", alicePassword)
	done := s.password(t, page, alice, alicePassword)
	wantStatus(t, done, 302)
	u, _ := done.Location()
	cookie := regexp.MustCompile(`ESTSAUTH=([^;]+)`).FindStringSubmatch(strings.Join(done.Header.Values("Set-Cookie"), "\n"))
	if cookie == nil {
		t.Fatalf("no session: %v", done.Header)
	}
	for name, text := range map[string]string{
		"nonce": s.nonce(t), "PRT": h.prt, "refresh token": tokens.str(t, "refresh_token"), "code": u.Query().Get("code"), "session": cookie[1],
		"sFT": unquoted(page["sFT"]), "sCtx": unquoted(page["sCtx"]), "canary": unquoted(page["canary"]), "sessionId": unquoted(page["sessionId"]),
	} {
		if !isOpaque(text) {
			t.Errorf("%s is %q", name, text)
		}
	}
	if !strings.Contains(h.prt, ".") {
		t.Error("a PRT without a dot is taken for base64")
	}
}

func TestWire07_Wire12_CertificateAsStringAndAsArray(t *testing.T) {
	s := whole(t, nil)
	m := s.join(t, alice, alicePassword)
	for name, header := range map[string]string{"string": m.asString(kdf2), "array": m.asArray("")} {
		r := m.askPRT(t, header, alice, alicePassword)
		wantStatus(t, r, 200)
		for member, form := range map[string]string{
			"token_type": `"Bearer"`, "expires_in": `"\d+"`, "ext_expires_in": `"\d+"`, "expires_on": `"\d{10}"`, "refresh_token_expires_in": `\d+`,
			"session_key_jwe": `"eyJ[^"]+"`, "client_info": `"[^"]+"`,
		} {
			if !regexp.MustCompile("^" + form + "$").MatchString(r.member(t, member)) {
				t.Errorf("%s: %s is %s", name, member, r.member(t, member))
			}
		}
		id := claimsOf(t, r.str(t, "id_token"))
		if id["name"] != "Alice Adams" || id["tid"] != tenantID || id["oid"] == nil || id["preferred_username"] != alice {
			t.Errorf("%v", id)
		}
	}
	r := m.askPRT(t, m.asString(kdf2), alice, "wrong")
	wantStatus(t, r, 400)
	wantMember(t, r, "error_codes", "[50126]")
}

func TestWire08_Wire09_Wire10_Wire25_ContextsVersionsAndAnswers(t *testing.T) {
	s := whole(t, nil)
	m := s.join(t, alice, alicePassword)
	linux, windows := m.first(t, m.asArray(""), alice, alicePassword), m.first(t, m.asString(kdf2), alice, alicePassword)
	for name, f := range map[string]struct {
		h         *held
		kdf, size int
		code      string
	}{
		"libhimmelblau": {linux, 1, 32, ""}, "version 2 is always good": {linux, 2, 24, ""}, "roadtx": {windows, 2, 24, ""}, "long": {windows, 2, 64, ""},
		"downgrade": {windows, 1, 24, "[5000611]"}, "too short": {windows, 2, 8, "[9002313]"}, "too long": {windows, 2, 65, "[9002313]"},
	} {
		t.Run(name, func(t *testing.T) {
			r := f.h.app(t, f.kdf, f.size)
			if f.code != "" {
				wantStatus(t, r, 400)
				wantMember(t, r, "error_codes", f.code)
				return
			}
			a := f.h.opened(t, r)
			if a["token_type"] != "Bearer" || a["expires_in"] == nil || a["ext_expires_in"] == nil || a["refresh_token"] == nil {
				t.Errorf("%v", a)
			}
			c := claimsOf(t, a["access_token"].(string))
			if amr, ok := c["amr"].([]any); !ok || len(amr) == 0 || c["tid"] != tenantID || c["upn"] != alice || c["deviceid"] != m.id {
				t.Errorf("%v", c)
			}
		})
	}
	next := windows.opened(t, windows.use(t, windows.signed(2, 24, windows.payload(t, nil))))
	if next["refresh_token"] == nil || next["refresh_token"] == windows.prt || next["refresh_token_expires_in"] == nil || next["session_key_jwe"] != nil {
		t.Errorf("renewal: %v", next)
	}
	renewed := &held{m: m, prt: next["refresh_token"].(string), key: windows.key}
	renewed.opened(t, renewed.app(t, 2, 24))
}

func TestWire13_Wire14_Wire31_TokensOfAUser(t *testing.T) {
	s := whole(t, nil)
	r := s.send(t, post("/organizations/oauth2/v2.0/token", "grant_type=password&client_id="+azureCLI+"&username="+alice+"&password=correct horse battery staple&client_info=1"+
		"&scope=openid profile offline_access https://graph.microsoft.com/.default"))
	wantStatus(t, r, 200)
	for name, form := range map[string]string{
		"token_type": `"Bearer"`, "expires_in": `\d+`, "ext_expires_in": `\d+`, "refresh_token": `".+"`, "id_token": `".+"`, "scope": `".+"`, "client_info": `".+"`,
	} {
		if !regexp.MustCompile("^" + form + "$").MatchString(r.member(t, name)) {
			t.Errorf("%s is %s", name, r.member(t, name))
		}
	}
	c := claimsOf(t, r.str(t, "access_token"))
	if _, ok := c["amr"].([]any); !ok || c["tid"] != tenantID || c["upn"] != alice && c["unique_name"] != alice {
		t.Errorf("%v", c)
	}
	r = s.v1(t, "client_id", broker, "grant_type", "password", "resource", drsResource, "username", alice, "password", alicePassword)
	if aud := claimsOf(t, r.str(t, "access_token"))["aud"]; aud != drsResource {
		t.Errorf("aud is %v", aud)
	}
	if on := r.member(t, "expires_on"); !regexp.MustCompile(`^"\d{10}"$`).MatchString(on) {
		t.Errorf("expires_on is %s", on)
	}
	r = s.v1(t, "client_id", azureCLI, "grant_type", "password", "resource", drsResource, "username", alice, "password", "wrong")
	wantStatus(t, r, 400)
	wantMember(t, r, "error", `"invalid_grant"`)
	wantMember(t, r, "error_codes", "[50126]")
}

func TestWire16_Wire26_CodeByPRTAsLinuxAsks(t *testing.T) {
	s := whole(t, nil)
	m := s.join(t, alice, alicePassword)
	h := m.first(t, m.asArray(""), alice, alicePassword)
	nonce := s.nonce(t)
	cookie := h.signed(1, 32, `{"refresh_token":"`+h.prt+`","request_nonce":"`+nonce+`","ua_client_id":null,"win_ver":null}`)
	proof := signed(t, m.dk, m.asArray(""), `{"grant_type":"device_auth","iss":"aad:brokerplugin","request_nonce":"`+nonce+`","ua_client_id":null,"x_client_platform":null,"win_ver":null,"windows_api_version":"2.0.1"}`)
	request := "GET /common/oAuth2/v2.0/authorize?client_id=" + broker + "&response_type=code&redirect_uri=msauth%3A%2F%2FMicrosoft.AAD.BrokerPlugin&client-request-id=9a3c1c3e-7f7d-4a53-b1ba-4c4a3a5b8a11&scope=openid%20profile%20offline_access%20https%3A%2F%2Fgraph.microsoft.com%2F.default" +
		" HTTP/1.1\nHost: " + login + "\nUser-Agent:\nx-ms-RefreshTokenCredential: " + cookie + "\nx-ms-DeviceCredential: " + proof + "\n\n"
	r := s.send(t, request)
	wantStatus(t, r, 302)
	href := regexp.MustCompile(`<a href="([^"]+)">`).FindStringSubmatch(r.text)
	if href == nil {
		t.Fatalf("%s", r.text)
	}
	u, err := url.Parse(html.UnescapeString(href[1]))
	if err != nil || u.String() != r.Header.Get("Location") || u.Scheme != "msauth" || u.Query().Get("code") == "" {
		t.Fatalf("%v %v %v", u, err, r.Header)
	}
	// As it is sent: nothing is escaped.
	r = s.send(t, post("/common/oauth2/v2.0/token", "client_id="+broker+"&scope=openid profile offline_access https://graph.microsoft.com/.default&grant_type=authorization_code"+
		"&redirect_uri=msauth://Microsoft.AAD.BrokerPlugin&code="+u.Query().Get("code")))
	wantStatus(t, r, 200)
	if c := claimsOf(t, r.str(t, "access_token")); c["upn"] != alice || c["deviceid"] != m.id {
		t.Errorf("%v", c)
	}
}

func TestWire23_Wire20_Wire17_SignInWithAPassword(t *testing.T) {
	s := whole(t, nil)
	page := configOf(t, s.send(t, get(login, visit("&sso_reload=True&prompt=login"))))
	if unquoted(page["pgid"]) != "ConvergedSignIn" || unquoted(page["sessionId"]) == "" || unquoted(page["canary"]) == "" || page["iErrorCode"] != nil {
		t.Fatalf("%s", page)
	}
	wrong := configOf(t, s.password(t, page, alice, "wrong"))
	if string(wrong["iErrorCode"]) != "50126" || unquoted(wrong["sErrorCode"]) != "50126" || unquoted(wrong["sErrTxt"]) == "" {
		t.Errorf("%s", wrong)
	}
	done := s.password(t, wrong, alice, alicePassword)
	wantStatus(t, done, 302)
	u, _ := done.Location()
	if u.Query().Get("code") == "" || u.Query().Get("state") != "s t" {
		t.Fatalf("%v", u)
	}
	redeem := []string{"client_id", broker, "grant_type", "authorization_code", "code", u.Query().Get("code"), "redirect_uri", brokerURI}
	wantStatus(t, s.v1(t, redeem...), 200)
	again := s.v1(t, redeem...)
	wantStatus(t, again, 400)
	wantMember(t, again, "error_codes", "[54005]")
}

func TestWire21_Wire22_SecondFactorAsClientsDriveIt(t *testing.T) {
	s := whole(t, alone)
	page := configOf(t, s.send(t, get(login, visit("&sso_reload=True"))))
	tfa := configOf(t, s.password(t, page, mia, miaPassword))
	if unquoted(tfa["pgid"]) != "ConvergedTFA" || !strings.HasPrefix(unquoted(tfa["urlBeginAuth"]), "https://"+login+"/") {
		t.Fatalf("%s", tfa)
	}
	var proofs []struct {
		AuthMethodID string `json:"authMethodId"`
		IsDefault    bool   `json:"isDefault"`
	}
	if err := json.Unmarshal(tfa["arrUserProofs"], &proofs); err != nil || len(proofs) == 0 {
		t.Fatalf("%v %s", err, tfa["arrUserProofs"])
	}
	asJSON := func(url string, body map[string]any) reply {
		b, _ := json.Marshal(body)
		u := strings.TrimPrefix(url, "https://"+login)
		return s.send(t, "POST "+u+" HTTP/1.1\nHost: "+login+"\nContent-Type: application/json\ncanary: "+unquoted(tfa["canary"])+"\n\n"+string(b))
	}
	begin := asJSON(unquoted(tfa["urlBeginAuth"]), map[string]any{"AuthMethodId": "PhoneAppOTP", "ctx": unquoted(tfa["sCtx"]), "flowToken": unquoted(tfa["sFT"]), "Method": "BeginAuth"})
	wantMember(t, begin, "Success", "true")
	wantMember(t, begin, "Entropy", "0")
	end := func(code string) reply {
		return asJSON(unquoted(tfa["urlEndAuth"]), map[string]any{"AdditionalAuthData": code, "AuthMethodId": "PhoneAppOTP", "SessionId": begin.str(t, "SessionId"),
			"FlowToken": begin.str(t, "FlowToken"), "Ctx": begin.str(t, "Ctx"), "Method": "EndAuth"})
	}
	bad := end("000000")
	wantMember(t, bad, "Success", "false")
	if bad.member(t, "Message") == "" {
		t.Errorf("%s", bad.text)
	}
	good := end(totp(t, "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", time.Now()))
	wantMember(t, good, "Success", "true")
	done := s.send(t, post("/common/SAS/ProcessAuth", form("request", good.str(t, "Ctx"), "mfaAuthMethod", "PhoneAppOTP", "login", mia,
		"flowToken", good.str(t, "FlowToken"), "canary", unquoted(tfa["canary"]))))
	wantStatus(t, done, 302)
	u, _ := done.Location()
	r := s.v1(t, "client_id", broker, "grant_type", "authorization_code", "code", u.Query().Get("code"), "redirect_uri", brokerURI)
	wantStatus(t, r, 200)
	if amr, _ := json.Marshal(claimsOf(t, r.str(t, "access_token"))["amr"]); !strings.Contains(string(amr), `"mfa"`) {
		t.Errorf("amr is %s", amr)
	}
}

func TestWire24_ACertificateWithOneName(t *testing.T) {
	s := whole(t, nil)
	m := s.join(t, alice, alicePassword)
	cert, err := x509.ParseCertificate(m.cert)
	if err != nil {
		t.Fatal(err)
	}
	if len(cert.Subject.Names) != 1 || cert.Subject.String() != "CN="+m.id || !regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`).MatchString(m.id) {
		t.Errorf("%s", cert.Subject)
	}
}

// A cookie without a nonce: refused by sending the browser for one (since the end
// of 2020), but in the profile of that summer, and from Linux devices where the
// tenant says so.
func TestWire28_BRO14_BRO16_CookiesWithoutANonce(t *testing.T) {
	const linux = "    cookie_without_nonce: linux_broker\n"
	for _, c := range []struct {
		profile, more, kind string
		works               bool
	}{{"2020", "", "Windows", true}, {"today", "", "Linux", false}, {"today", linux, "Windows", false}, {"today", linux, "Linux", true}} {
		t.Run(c.profile+" "+strings.TrimSpace(c.more)+" "+c.kind, func(t *testing.T) {
			profile, works := c.profile, c.works
			lab := clock.NewLab()
			s := whole(t, func(cfg *idp.Config) { cfg.Clock, cfg.Tenants = lab, tenants(profile, c.more) })
			m := s.joinAs(t, c.kind, alice, alicePassword)
			h := m.first(t, m.asString(kdf2), alice, alicePassword)
			cookie := h.signed(2, 24, `{"refresh_token":"`+h.prt+`","is_primary":"true","iat":"`+itoa(int(lab.Now().Unix()))+`"}`)
			try := func() reply {
				return s.send(t, "GET "+visit("")+" HTTP/1.1\nHost: "+login+"\nX-Ms-Refreshtokencredential: "+cookie+"\n\n")
			}
			r := try()
			wantStatus(t, r, 302)
			u, _ := r.Location()
			if (u.Query().Get("code") != "") != works || (u.Query().Get("sso_nonce") != "") == works {
				t.Fatalf("%v", u)
			}
			if !works {
				fresh := h.signed(2, 24, `{"refresh_token":"`+h.prt+`","is_primary":"true","request_nonce":"`+u.Query().Get("sso_nonce")+`"}`)
				r := s.send(t, "GET "+u.RequestURI()+" HTTP/1.1\nHost: "+login+"\nCookie: x-ms-RefreshTokenCredential="+fresh+"\n\n")
				if u, _ := r.Location(); u == nil || u.Query().Get("code") == "" {
					t.Errorf("with the nonce: %d %.300s", r.StatusCode, r.text)
				}
				return
			}
			lab.Advance(36 * time.Minute)
			if u, _ := try().Location(); u != nil && u.Query().Get("code") != "" {
				t.Error("taken after 36 minutes")
			}
		})
	}
}

func TestBRO17_PromptLoginShowsTheFormWhateverTheCookie(t *testing.T) {
	s := whole(t, nil)
	m := s.join(t, alice, alicePassword)
	h := m.first(t, m.asString(kdf2), alice, alicePassword)
	nonce := s.nonce(t)
	cookie := h.signed(2, 24, `{"refresh_token":"`+h.prt+`","is_primary":"true","request_nonce":"`+nonce+`"}`)
	page := configOf(t, s.send(t, "GET "+visit("&prompt=login&sso_nonce="+nonce)+" HTTP/1.1\nHost: "+login+"\nX-Ms-Refreshtokencredential: "+cookie+"\n\n"))
	if unquoted(page["pgid"]) != "ConvergedSignIn" {
		t.Errorf("%s", page["pgid"])
	}
}

// visit is the address of a sign-in to the broker.
func visit(more string) string {
	return "/common/oauth2/authorize?client_id=" + broker + "&response_type=code&resource=https%3A%2F%2Fgraph.microsoft.com&state=s%20t&redirect_uri=" + url.QueryEscape(brokerURI) + more
}

// password posts the form of the sign-in page as libhimmelblau does.
func (s *stranger) password(t testing.TB, page map[string]json.RawMessage, user, password string) reply {
	t.Helper()
	return s.send(t, post("/"+unquoted(page["urlPost"]), form("login", user, "passwd", password, "ctx", unquoted(page["sCtx"]), "flowToken", unquoted(page["sFT"]),
		"canary", unquoted(page["canary"]), "client_id", broker, "client-request-id", "9a3c1c3e-7f7d-4a53-b1ba-4c4a3a5b8a11")))
}

func unquoted(raw json.RawMessage) string {
	var s string
	_ = json.Unmarshal(raw, &s)
	return s
}
