package front_test

import (
	"bufio"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// keys reads a key set as a relying party does.
func (s *stranger) keys(t testing.TB, path string) map[string]*rsa.PublicKey {
	t.Helper()
	r := s.send(t, get(login, path))
	wantStatus(t, r, 200)
	var set struct {
		Keys []struct {
			Kid, N, E string
			X5C       []string
		}
	}
	if err := json.Unmarshal([]byte(r.text), &set); err != nil || len(set.Keys) == 0 {
		t.Fatalf("%v %s", err, r.text)
	}
	out := map[string]*rsa.PublicKey{}
	for _, k := range set.Keys {
		n, _ := base64.RawURLEncoding.DecodeString(k.N)
		e, _ := base64.RawURLEncoding.DecodeString(k.E)
		key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
		der, _ := base64.StdEncoding.DecodeString(k.X5C[0])
		cert, err := x509.ParseCertificate(der)
		if err != nil || !cert.PublicKey.(*rsa.PublicKey).Equal(key) {
			t.Errorf("x5c is not the key: %v", err)
		}
		out[k.Kid] = key
	}
	return out
}

// A relying party finds issuer and keys in the metadata, and both fit the tokens.
func TestMetadataFitsTheTokens(t *testing.T) {
	s := whole(t, nil)
	for _, f := range []struct{ version, token, want string }{
		{"/v2.0", "/oauth2/v2.0/token", "scope=openid profile https://graph.microsoft.com/.default"}, {"", "/oauth2/token", "resource=https://graph.microsoft.com"},
	} {
		about := s.send(t, get(login, "/"+tenantID+f.version+"/.well-known/openid-configuration"))
		wantStatus(t, about, 200)
		keys := s.keys(t, strings.TrimPrefix(about.str(t, "jwks_uri"), "https://"+login))
		r := s.send(t, post("/"+tenantID+f.token, "grant_type=password&client_id="+azureCLI+"&username="+alice+"&password=correct horse battery staple&"+f.want))
		wantStatus(t, r, 200)
		for _, name := range []string{"access_token", "id_token"} {
			token := r.str(t, name)
			if iss := claimsOf(t, token)["iss"]; name == "id_token" && iss != about.str(t, "issuer") {
				t.Errorf("%s has iss %v, the metadata %s", name, iss, about.str(t, "issuer"))
			}
			parts := strings.Split(token, ".")
			raw, _ := base64.RawURLEncoding.DecodeString(parts[0])
			var h struct{ Alg, Kid string }
			if err := json.Unmarshal(raw, &h); err != nil || h.Alg == "none" {
				continue // the ID token of a public client on the first endpoint
			}
			sig, _ := base64.RawURLEncoding.DecodeString(parts[2])
			sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
			if keys[h.Kid] == nil || rsa.VerifyPKCS1v15(keys[h.Kid], crypto.SHA256, sum[:], sig) != nil {
				t.Errorf("%s%s: %s does not verify with key %q", f.version, f.token, name, h.Kid)
			}
		}
	}
	common := s.send(t, get(login, "/common/v2.0/.well-known/openid-configuration"))
	wantMember(t, common, "issuer", `"https://login.microsoftonline.com/{tenantid}/v2.0"`)
	if len(s.keys(t, "/common/discovery/keys")) == 0 {
		t.Error("no keys")
	}
}

func TestREG17_DiscoveryOfATenant(t *testing.T) {
	s := whole(t, nil)
	for _, name := range []string{tenantID, "contoso.test"} {
		r := s.send(t, get(drs, "/"+name+"/Discover?api-version=1.9&managed=True"))
		wantStatus(t, r, 200)
		if !strings.Contains(r.member(t, "DeviceJoinService"), `"JoinEndpoint":"https://enterpriseregistration.windows.net/EnrollmentServer/device/"`) ||
			!strings.Contains(r.member(t, "TenantInfo"), tenantID) || !strings.Contains(r.member(t, "TenantInfo"), `"contoso.test"`) {
			t.Errorf("%s", r.text)
		}
	}
	if r := s.send(t, get(drs, "/nowhere.test/Discover")); r.StatusCode < 400 || r.member(t, "message") == "" {
		t.Errorf("%d %s", r.StatusCode, r.text)
	}
}

// The device's own certificate on the connection removes the device, and no other.
func TestADeviceLeaves(t *testing.T) {
	s := whole(t, nil)
	m := s.join(t, alice, alicePassword)
	h := m.first(t, m.asString(kdf2), alice, alicePassword)
	cert, err := x509.ParseCertificate(m.cert)
	if err != nil {
		t.Fatal(err)
	}
	remove := func(id string, c *x509.Certificate) int {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(wireForm(device("DELETE", "device/"+id, "", "")))))
		if err != nil {
			t.Fatal(err)
		}
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{c}}
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		return w.Code
	}
	if code := remove("9a3c1c3e-7f7d-4a53-b1ba-4c4a3a5b8a11", cert); code < 400 {
		t.Errorf("another device: %d", code)
	}
	h.opened(t, h.app(t, 2, 24))
	if code := remove(m.id, cert); code != 200 {
		t.Errorf("the device: %d", code)
	}
	r := h.app(t, 2, 24)
	wantStatus(t, r, 400)
	wantMember(t, r, "error_codes", "[50155]")
}

func TestGraphWithATokenOfAPRT(t *testing.T) {
	s := whole(t, nil)
	m := s.join(t, alice, alicePassword)
	h := m.first(t, m.asString(kdf2), alice, alicePassword)
	token := h.opened(t, h.app(t, 2, 24))["access_token"].(string)
	ask := func(path, token string) reply {
		return s.send(t, "GET "+path+" HTTP/1.1\nHost: "+graph+"\nAuthorization: Bearer "+token+"\n\n")
	}
	me := ask("/v1.0/me", token)
	wantStatus(t, me, 200)
	wantMember(t, me, "userPrincipalName", `"`+alice+`"`)
	wantMember(t, me, "displayName", `"Alice Adams"`)
	dev := ask("/v1.0/devices(deviceId='{"+m.id+"}')?$select=isCompliant,displayName", token)
	wantStatus(t, dev, 200)
	wantMember(t, dev, "displayName", `"PC"`)
	wantStatus(t, ask("/v1.0/me/photos/48x48/$value", token), 404)
	wantStatus(t, ask("/v1.0/organization", token), 200)
	wantStatus(t, ask("/v1.0/me/memberOf", token), 200)
	if r := ask("/v1.0/me", token[:len(token)-4]+"AAAA"); r.StatusCode != 401 || !strings.HasPrefix(r.Header.Get("WWW-Authenticate"), "Bearer ") {
		t.Errorf("%d %v", r.StatusCode, r.Header)
	}
	id := s.send(t, post("/common/oauth2/v2.0/token", "grant_type=password&client_id="+azureCLI+"&username="+alice+"&password=correct horse battery staple&scope=openid profile email"))
	info := ask("/oidc/userinfo", id.str(t, "access_token"))
	wantStatus(t, info, 200)
	if info.str(t, "sub") != claimsOf(t, id.str(t, "id_token"))["sub"] {
		t.Errorf("sub of userinfo and of the ID token differ: %s", info.text)
	}
}

// The second factor is proven for the broker, on the device: what comes back is
// under the session key, and the token registers a Hello key.
func TestWire27_EnrichmentAndHelloWithTwoNonces(t *testing.T) {
	s := whole(t, alone)
	m := s.join(t, alice, alicePassword) // Mia's policy wants a second factor for that
	h := m.first(t, m.asString(kdf2), mia, miaPassword)
	nonce := s.nonce(t)
	cookie := "\nX-Ms-Refreshtokencredential: " + h.signed(2, 24, `{"refresh_token":"`+h.prt+`","is_primary":"true","request_nonce":"`+nonce+`"}`)
	tfa := s.send(t, "GET /common/oauth2/authorize?client_id="+broker+"&response_type=code&response_mode=form_post&resource="+drsResource+"&redirect_uri=ms-appx-web%3A%2F%2FMicrosoft.AAD.BrokerPlugin%2FDRS"+
		"&amr_values=ngcmfa&windows_api_version=2.0&sso_nonce="+nonce+" HTTP/1.1\nHost: "+login+cookie+"\n\n")
	if unquoted(configOf(t, tfa)["pgid"]) != "ConvergedTFA" {
		t.Fatalf("%s", tfa.text)
	}
	code := s.send(t, post("/common/SAS/BeginAuth", form(append(hidden(tfa), "AuthMethodId", "PhoneAppOTP")...)))
	done := s.send(t, post("/common/SAS/EndAuth", form(append(hidden(code), "otc", totp(t, "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", time.Now()))...)))
	answer := map[string]string{}
	for pairs := hidden(done); len(pairs) > 1; pairs = pairs[2:] {
		answer[pairs[0]] = pairs[1]
	}
	if !strings.Contains(done.text, `<form name="hiddenform"`) || answer["code"] == "" {
		t.Fatalf("%s", done.text)
	}
	tokens := h.opened(t, s.v1(t, "client_id", broker, "grant_type", "authorization_code", "code", answer["code"], "redirect_uri", brokerURI, "windows_api_version", "2.0", "client_info", "1"))
	access := tokens["access_token"].(string)
	if c := claimsOf(t, access); c["aud"] != drsResource || c["deviceid"] != m.id {
		t.Fatalf("%v", c)
	}
	hello := testKeys()[3]
	blob := base64.StdEncoding.EncodeToString(rsa1(&hello.PublicKey))
	r := s.send(t, device("POST", "key/?api-version=1.0", "\nAuthorization: Bearer "+access, `{"kngc":"`+blob+`"}`))
	wantStatus(t, r, 200)
	wantMember(t, r, "upn", `"`+mia+`"`)
	kid := sha256.Sum256(rsa1(&hello.PublicKey))
	now := time.Now()
	assertion := signed(t, hello, `{"alg":"RS256","typ":"JWT","kid":"`+base64.StdEncoding.EncodeToString(kid[:])+`","use":"ngc"}`,
		`{"iss":"`+mia+`","aud":"common","iat":"`+itoa(int(now.Add(-time.Hour).Unix()))+`","exp":"`+itoa(int(now.Add(time.Hour).Unix()))+`","request_nonce":"`+s.nonce(t)+`","scope":"openid aza ugs"}`)
	payload, _ := json.Marshal(map[string]any{
		"client_id": signInClient, "request_nonce": s.nonce(t), "scope": "openid aza ugs", "win_ver": nil, "group_sids": []string{},
		"grant_type": jwtBearer, "username": mia, "assertion": assertion,
	})
	r = s.v1(t, "windows_api_version", "2.2", "grant_type", jwtBearer, "request", signed(t, m.dk, m.asString(kdf2), string(payload)), "client_info", "1", "tgt", "True")
	wantStatus(t, r, 200)
	byHello := &held{m: m, prt: r.str(t, "refresh_token"), key: m.unwrap(t, r.str(t, "session_key_jwe"))}
	byHello.opened(t, byHello.app(t, 2, 24))
}

// A page in a browser redeems its own code and reads the answer; a page of another
// origin does not.
func TestASinglePageApplication(t *testing.T) {
	s := whole(t, nil)
	const spa, uri = "5a5b0d2e-7c1c-4f39-8d0f-0d7a3b7c1e02", "https://spa.contoso.test/"
	sum := sha256.Sum256([]byte(strings.Repeat("v", 43)))
	code := func() string {
		page := configOf(t, s.send(t, get(login, "/"+tenantID+"/oauth2/v2.0/authorize?client_id="+spa+"&response_type=code&response_mode=fragment&scope=openid%20profile%20offline_access&redirect_uri="+
			"https%3A%2F%2Fspa.contoso.test%2F&sso_reload=true&code_challenge_method=S256&code_challenge="+b64(sum[:]))))
		done := s.password(t, page, alice, alicePassword)
		u, err := done.Location()
		if err != nil || u.Host != "spa.contoso.test" || !strings.HasPrefix(u.Fragment, "code=") {
			t.Fatalf("%v %v %.300s", u, err, done.text)
		}
		text, _, _ := strings.Cut(strings.TrimPrefix(u.Fragment, "code="), "&")
		return text
	}
	redeem := func(origin, code string) reply {
		return s.send(t, "POST /"+tenantID+"/oauth2/v2.0/token HTTP/1.1\nHost: "+login+origin+"\n\n"+
			form("client_id", spa, "grant_type", "authorization_code", "code", code, "redirect_uri", uri, "code_verifier", strings.Repeat("v", 43), "scope", "openid profile offline_access"))
	}
	r := redeem("\nOrigin: https://spa.contoso.test", code())
	wantStatus(t, r, 200)
	if r.Header.Get("Access-Control-Allow-Origin") != "https://spa.contoso.test" || r.member(t, "refresh_token") == "" {
		t.Errorf("%v %s", r.Header, r.text)
	}
	if r := redeem("\nOrigin: https://evil.test", code()); r.StatusCode != 400 {
		t.Errorf("another origin: %d %s", r.StatusCode, r.text)
	}
	r = redeem("", code())
	wantStatus(t, r, 400)
	wantMember(t, r, "error_codes", "[9002327]")
}
