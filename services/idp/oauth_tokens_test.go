package idp_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// policy is a policy of the first tenant, in its file, before the one it has.
func policyText(id, rest string) []byte {
	text := "    policies:\n      - id: 3b1f8a52-9c77-4d0e-8a26-6e2f4b9d0a0" + id + "\n        name: Test\n        include_users: [All]\n        include_resources: [All]\n" + rest
	return []byte(strings.Replace(string(idp.DefaultTenants()), "    policies:\n", text, 1))
}

func TestAPP20_ProofOfPossession(t *testing.T) {
	e := newEndpoint(t, nil)
	req := refreshOf(v2, cli, e.must(t, redemptionOf(v2, cli, e.codeFor(t, alice, nil))).GetRefreshToken(), "User.Read")
	req.TokenType, req.ReqCnf = "pop", jose.EncodeSegment([]byte(`{"kid":"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs","xms_ksl":"sw"}`))
	a := e.must(t, req)
	cnf, _ := e.claimsIn(t, a.GetAccessToken())["cnf"].(map[string]any)
	if a.GetTokenType() != "pop" || cnf["kid"] != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" || len(cnf) != 1 {
		t.Errorf("%s, %v", a.GetTokenType(), cnf)
	}
	next := e.must(t, refreshOf(v2, cli, a.GetRefreshToken(), "User.Read"))
	if next.GetTokenType() != "Bearer" || e.claimsIn(t, next.GetAccessToken())["cnf"] != nil {
		t.Error("a later bearer token is bound to the key")
	}
	app := ownNameOf(v2, contoso, secretProof(webSecret))
	app.TokenType, app.ReqCnf = req.GetTokenType(), req.GetReqCnf()
	if got := e.must(t, app); got.GetTokenType() != "pop" || e.claimsIn(t, got.GetAccessToken())["cnf"] == nil {
		t.Error("an application's token is not bound to the key")
	}
	for cnf, want := range map[string]aadsts.Code{
		"": aadsts.MissingParameter, "!!": aadsts.InvalidRequest, jose.EncodeSegment([]byte(`{"jwk":{}}`)): aadsts.InvalidRequest,
		jose.EncodeSegment([]byte(`{"kid":""}`)): aadsts.InvalidRequest, jose.EncodeSegment([]byte(`{"kid":7}`)): aadsts.InvalidRequest,
	} {
		req.ReqCnf = cnf
		_, err := e.ask(req)
		wantCode(t, err, want)
	}
	req.TokenType = "mac"
	_, err := e.ask(req)
	wantCode(t, err, aadsts.InvalidRequest)
}

// TestAPP21_Family redeems the refresh token of every kind of client as every kind.
func TestAPP21_Family(t *testing.T) {
	const graphTools, broker = "14d82eec-204b-4c2f-b7e8-296a70dab67e", brokerApp
	for profile, family := range map[string]bool{"today": true, "2020": true, "strict": false} {
		e := newEndpoint(t, withProfile(profile))
		members := map[string]bool{cli: true, office: true, graphTools: false, broker: false}
		for from := range members {
			first := e.must(t, redemptionOf(v2, from, e.codeFor(t, alice, func(a *sealed.Artefact) { a.Client = ids.ClientID(from) })))
			if (first.GetFoci() == "1") != (members[from] && family) {
				t.Errorf("%s: foci %q of %s", profile, first.GetFoci(), from)
			}
			for to := range members {
				a, err := e.ask(refreshOf(v2, to, first.GetRefreshToken(), "User.Read"))
				if from == to || members[from] && members[to] && family {
					if err != nil {
						t.Errorf("%s: %s as %s: %v", profile, from, to, err)
						continue
					}
					wantClaims(t, e.claimsIn(t, a.GetAccessToken()), map[string]any{"appid": to})
					continue
				}
				wantCode(t, err, aadsts.InvalidGrant)
			}
		}
	}
}

func TestAPP22_LongTokensForWhoTakesChallenges(t *testing.T) {
	e := newEndpoint(t, nil)
	rt := e.must(t, redemptionOf(v2, cli, e.codeFor(t, alice, nil))).GetRefreshToken()
	const cp1 = `{"access_token":{"xms_cc":{"values":["CP1"]},"nbf":{"essential":true,"value":"1"}},"id_token":{"xms_cc":{"values":["cp1"]}}}`
	ask := func(claims, scope string) (*idpv1.TokenSet, map[string]any) {
		req := refreshOf(v2, cli, rt, scope)
		req.Claims = claims
		a := e.must(t, req)
		return a, e.claimsIn(t, a.GetAccessToken())
	}
	seen := map[int64]bool{}
	for range 4 {
		a, c := ask(cp1, "User.Read")
		if life := a.GetExpiresIn(); life < 20*3600 || life > 28*3600 || a.GetRefreshIn() != life/2 {
			t.Errorf("lifetime %d, refresh_in %d", life, a.GetRefreshIn())
		}
		seen[a.GetExpiresIn()] = true
		wantClaims(t, c, map[string]any{"xms_cc": "CP1"})
	}
	if len(seen) < 2 {
		t.Error("all end together")
	}
	for _, c := range [][2]string{{"", "User.Read"}, {cp1, "api://contoso-api/access_as_user"}, {`{"access_token":{"xms_cc":{"values":["cp2"]}}}`, "User.Read"}} {
		a, claims := ask(c[0], c[1])
		if a.GetExpiresIn() > 5400 || claims["xms_cc"] != nil {
			t.Errorf("%v: %d", c, a.GetExpiresIn())
		}
	}
	for _, bad := range []string{"{", "[]", `{"access_token":{"xms_cc":"CP1"}}`, `{"access_token":[]}`, `{"access_token":{"acrs":{"value":"` + strings.Repeat("c", 65) + `"}}}`} {
		req := refreshOf(v2, cli, rt, "User.Read")
		req.Claims = bad
		_, err := e.ask(req)
		wantCode(t, err, aadsts.InvalidRequest)
	}
}

func TestINV14_RevokedEverywhere(t *testing.T) {
	e := newEndpoint(t, nil)
	rt := e.must(t, redemptionOf(v2, cli, e.codeFor(t, alice, nil))).GetRefreshToken()
	saml := e.signedIn(t, alice, cli)
	saml.Type, saml.Credential = sealed.RefreshToken, sealed.SAML
	code := e.codeFor(t, alice, nil)
	fresh := func(change func(*store.User)) {
		if err := e.svc.Store().UpdateUser(t.Context(), contoso, e.user(t, alice).ID, func(u *store.User) error { change(u); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	fresh(func(u *store.User) { u.PasswordEpoch++ })
	_, err := e.ask(refreshOf(v2, cli, rt, ""))
	wantCode(t, err, aadsts.FreshTokenNeeded)
	e.must(t, refreshOf(v2, cli, e.seal(t, saml), "User.Read")) // not got with the password
	fresh(func(u *store.User) { u.SessionEpoch++ })
	_, err = e.ask(refreshOf(v2, cli, e.seal(t, saml), "User.Read"))
	wantCode(t, err, aadsts.FreshTokenNeeded)
	_, err = e.ask(redemptionOf(v2, cli, code))
	wantCode(t, err, aadsts.FreshTokenNeeded)
	again := e.must(t, redemptionOf(v2, cli, e.codeFor(t, alice, nil))).GetRefreshToken()
	setUser(t, e.world, alice, false)
	_, err = e.ask(refreshOf(v2, cli, again, ""))
	wantCode(t, err, aadsts.UserDisabled)
}

func TestINV15_SignInFrequency(t *testing.T) {
	e := newEndpoint(t, policyText("3", "        sign_in_frequency: 1h\n"))
	rt := e.must(t, redemptionOf(v2, cli, e.codeFor(t, alice, nil))).GetRefreshToken()
	e.clock.Advance(59 * time.Minute)
	rt = e.must(t, refreshOf(v2, cli, rt, "")).GetRefreshToken()
	e.clock.Advance(2 * time.Minute)
	_, err := e.ask(refreshOf(v2, cli, rt, "")) // a refresh is no sign-in
	wantCode(t, err, aadsts.SignInFrequency)
	e.must(t, redemptionOf(v2, cli, e.codeFor(t, alice, nil)))
}

func idleFor240h() []byte {
	return []byte(strings.Replace(string(idp.DefaultTenants()), "      refresh_token: 2160h\n", "      refresh_token: 2160h\n      refresh_token_idle: 240h\n", 1))
}

func TestINV16_IdleRefreshTokens(t *testing.T) {
	e := newEndpoint(t, idleFor240h())
	rt := e.must(t, redemptionOf(v2, cli, e.codeFor(t, alice, nil))).GetRefreshToken()
	for range 3 {
		e.clock.Advance(239 * time.Hour)
		rt = e.must(t, refreshOf(v2, cli, rt, "")).GetRefreshToken()
	}
	e.clock.Advance(241 * time.Hour)
	_, err := e.ask(refreshOf(v2, cli, rt, ""))
	wantCode(t, err, aadsts.ExpiredToken)
}

func TestTokensOfCodeInABrowser(t *testing.T) {
	e := newEndpoint(t, nil)
	page := &idpv1.Caller{Origin: "https://spa.contoso.test"}
	code := func(change func(*sealed.Artefact)) *idpv1.RequestTokensRequest {
		req := redemptionOf(v2, spaApp, e.codeFor(t, alice, func(a *sealed.Artefact) {
			a.Client, a.RedirectURI, a.SPA, a.Challenge = spaApp, spaURI, true, s256(verifier)
			if change != nil {
				change(a)
			}
		}))
		req.Caller, req.GetAuthorizationCode().RedirectUri, req.GetAuthorizationCode().CodeVerifier = page, spaURI, verifier
		return req
	}
	first := e.must(t, code(nil))
	if life := first.GetRefreshTokenExpiresIn(); life != 86400 {
		t.Errorf("refresh token lives %d s", life)
	}
	for name, origin := range map[string]string{"no page": "", "other page": "https://evil.test", "other scheme": "http://spa.contoso.test"} {
		t.Run(name, func(t *testing.T) {
			req := code(nil)
			req.Caller = &idpv1.Caller{Origin: origin}
			_, err := e.ask(req)
			wantCode(t, err, aadsts.CrossOriginOnly)
			refresh := refreshOf(v2, spaApp, first.GetRefreshToken(), "")
			refresh.Caller = &idpv1.Caller{Origin: origin}
			_, err = e.ask(refresh)
			wantCode(t, err, aadsts.CrossOriginOnly)
		})
	}
	noKey := code(func(a *sealed.Artefact) { a.Challenge = "" })
	noKey.GetAuthorizationCode().CodeVerifier = ""
	_, err := e.ask(noKey)
	wantCode(t, err, aadsts.ProofKeyRequired)

	refresh := refreshOf(v2, spaApp, first.GetRefreshToken(), "")
	refresh.Caller = page
	e.clock.Advance(23 * time.Hour)
	second := e.must(t, refresh)
	if life := second.GetRefreshTokenExpiresIn(); life > 3600 {
		t.Errorf("use prolonged it to %d s", life)
	}
	refresh.GetRefreshToken().RefreshToken = second.GetRefreshToken()
	e.clock.Advance(61 * time.Minute)
	_, err = e.ask(refresh)
	wantCode(t, err, aadsts.SPATokenExpired)
}

func TestNestedApplication(t *testing.T) {
	const nested = "5a5b0d2e-7c1c-4f39-8d0f-0d7a3b7c1e0a"
	uri := "brk-" + office + "://outlook.office.com"
	file := strings.Replace(string(idp.DefaultTenants()), "    applications:\n",
		"    applications:\n      - client_id: "+nested+"\n        name: Add-in\n        redirect_uris: ["+uri+"]\n", 1)
	e := newEndpoint(t, []byte(file))
	rt := e.must(t, redemptionOf(v2, office, e.codeFor(t, alice, func(a *sealed.Artefact) { a.Client = office }))).GetRefreshToken()
	ask := func(client, broker, redirect, token string) (*idpv1.TokenSet, error) {
		req := refreshOf(v2, client, token, "User.Read")
		req.GetRefreshToken().BrkClientId, req.GetRefreshToken().RedirectUri = broker, redirect
		return e.ask(req)
	}
	a, err := ask(nested, office, uri, rt)
	if err != nil {
		t.Fatal(err)
	}
	wantClaims(t, e.claimsIn(t, a.GetAccessToken()), map[string]any{"appid": nested})
	if _, err := ask(nested, office, uri, a.GetRefreshToken()); err != nil {
		t.Errorf("the broker holds no token for the next time: %v", err)
	}
	_, err = ask(nested, "", "", a.GetRefreshToken()) // the nested one alone is nobody
	wantCode(t, err, aadsts.InvalidGrant)
	_, err = ask(nested, cli, "brk-"+cli+"://outlook.office.com", rt)
	wantCode(t, err, aadsts.InvalidGrant)
	_, err = ask(nested, office, "brk-"+office+"://evil.test", rt)
	wantCode(t, err, aadsts.InvalidReplyTo)
	_, err = ask(cli, office, uri, rt)
	wantCode(t, err, aadsts.InvalidReplyTo)
	_, err = ask(nested, "x", uri, rt)
	wantCode(t, err, aadsts.InvalidRequest)
}

func TestMethodsAreToldAndNeverRaised(t *testing.T) {
	e := newEndpoint(t, nil)
	rt := e.must(t, redemptionOf(v2, cli, e.codeFor(t, mia, e.withMFA))).GetRefreshToken()
	ask := func(claims string) (*idpv1.TokenSet, error) {
		req := refreshOf(v2, cli, rt, "User.Read")
		req.Claims = claims
		return e.ask(req)
	}
	const fresh, mfa, context1 = `{"access_token":{"amr":{"values":["ngcmfa"]}}}`, `{"access_token":{"amr":{"values":["mfa"]}}}`, `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`
	wants := func(claims string, want map[string]any) {
		t.Helper()
		a, err := ask(claims)
		if err != nil {
			t.Fatal(err)
		}
		wantClaims(t, e.claimsIn(t, a.GetAccessToken()), want)
	}
	wants("", map[string]any{"amr": "pwd mfa", "acrs": nil})
	wants(fresh, map[string]any{"amr": "pwd mfa ngcmfa"})
	wants(context1, map[string]any{"acrs": "c1"})
	e.clock.Advance(11 * time.Minute)
	_, err := ask(fresh)
	wantCode(t, err, aadsts.MFARequired)
	if claimsOf(err) != `{"access_token":{"amr":{"essential":true,"values":["ngcmfa"]}}}` {
		t.Errorf("challenge %q", claimsOf(err))
	}
	wants(mfa, map[string]any{"amr": "pwd mfa"})
	demanded := e.must(t, redemptionOf(v2, cli, e.codeFor(t, mia, func(a *sealed.Artefact) { e.withMFA(a); a.AMR = append(a.AMR, "ngcmfa") })))
	wantClaims(t, e.claimsIn(t, demanded.GetAccessToken()), map[string]any{"amr": "pwd mfa ngcmfa"})
	e.clock.Advance(11 * time.Minute)
	later := e.must(t, refreshOf(v2, cli, demanded.GetRefreshToken(), ""))
	wantClaims(t, e.claimsIn(t, later.GetAccessToken()), map[string]any{"amr": "pwd mfa"})

	rt = e.must(t, redemptionOf(v2, cli, e.codeFor(t, alice, nil))).GetRefreshToken()
	for _, c := range []string{fresh, mfa, context1} {
		_, err := ask(c)
		wantCode(t, err, aadsts.MFARequired)
		if claimsOf(err) == "" {
			t.Errorf("%s: no challenge", c)
		}
	}
}

func TestREG24_BulkEnrolment(t *testing.T) {
	e := newEndpoint(t, idleFor240h())
	tokenOf := func(upn, password, resource string) string {
		req := passwordOf(v1, upn, password)
		req.Resource = resource
		return e.must(t, req).GetAccessToken()
	}
	boss := tokenOf(admin, adminPassword, drs)
	begin := func(token, id string, days int) (string, error) {
		a, err := e.StartBulkEnrolment(t.Context(), &idpv1.StartBulkEnrolmentRequest{
			AccessToken: token, Name: "bulktoken", PackageId: id, Expires: e.clock.Now().AddDate(0, 0, days).Unix(),
		})
		return a.GetFlowToken(), err
	}
	const id = "0d3c3c52-4ab1-4a62-8b0f-6ab1c5d7e901"
	_, err := begin(tokenOf(alice, alicePassword, drs), id, 90)
	wantCode(t, err, aadsts.RegistrationNotAllowed)
	_, err = begin(tokenOf(admin, adminPassword, graph), id, 90)
	wantKind(t, err, prterr.Unauthenticated)
	_, err = begin("", id, 90)
	wantKind(t, err, prterr.Unauthenticated)
	for _, c := range []struct {
		id   string
		days int
	}{{id, 181}, {id, 0}, {id, -1}, {"x", 90}} {
		_, err = begin(boss, c.id, c.days)
		wantCode(t, err, aadsts.InvalidRequest)
	}
	flow, err := begin(boss, id, 90)
	if err != nil {
		t.Fatal(err)
	}
	_, err = begin(boss, id, 90)
	wantKind(t, err, prterr.Conflict)
	poll := func(token, flow string) (*idpv1.TokenSet, error) {
		a, err := e.PollBulkEnrolment(context.Background(), &idpv1.PollBulkEnrolmentRequest{AccessToken: token, FlowToken: flow})
		return a.GetTokens(), err
	}
	_, err = poll(boss, "x")
	wantCode(t, err, aadsts.InvalidGrant)
	set, err := poll(boss, flow)
	if err != nil || set.GetRefreshToken() == "" || set.GetTokenType() != "Bearer" || set.GetRefreshTokenExpiresIn() < 89*86400 {
		t.Fatalf("%v, %v", set, err)
	}
	c := map[string]any{}
	idToken, err := jose.ParseUnsigned(set.GetIdToken())
	if err != nil || idToken.Claims(&c) != nil {
		t.Fatal(err)
	}
	wantClaims(t, c, map[string]any{"tid": contoso, "aud": bulkApp, "upn": "package_" + id + "@contoso.test"})
	_, err = poll(boss, flow)
	wantCode(t, err, aadsts.InvalidGrant)

	use := func(client, resource string) (*idpv1.TokenSet, error) {
		req := refreshOf(v1, client, set.GetRefreshToken(), "")
		req.Resource = resource
		return e.ask(req)
	}
	e.clock.Advance(80 * 24 * time.Hour) // longer than a refresh token may lie unused
	got, err := use(bulkApp, drs)
	if err != nil {
		t.Fatal(err)
	}
	wantClaims(t, e.claimsIn(t, got.GetAccessToken()), map[string]any{"aud": drs, "appid": bulkApp, "upn": "package_" + id + "@contoso.test"})
	d := &device{w: e.world, dk: rsaKeys()[1], tk: rsaKeys()[2]}
	enrolment := d.enrolment(t, alice, alicePassword)
	enrolment.AccessToken = got.GetAccessToken()
	if _, err := e.devices.RegisterDevice(t.Context(), enrolment); err != nil {
		t.Errorf("it registers no device: %v", err)
	}
	// And nothing else.
	for _, resource := range []string{graph, "", "urn:aad:tb:update:prt"} {
		_, err = use(bulkApp, resource)
		wantCode(t, err, aadsts.InvalidGrant)
	}
	for _, client := range []string{brokerApp, cli, entrawire.SignInClientID} {
		_, err = use(client, drs)
		wantCode(t, err, aadsts.InvalidGrant)
	}
	e.clock.Advance(11 * 24 * time.Hour)
	_, err = e.ask(func() *idpv1.RequestTokensRequest {
		req := refreshOf(v1, bulkApp, got.GetRefreshToken(), "")
		req.Resource = drs
		return req
	}())
	wantCode(t, err, aadsts.ExpiredToken) // use did not prolong it
}
