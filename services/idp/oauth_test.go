package idp_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
)

func TestAPP16_CodeOnBothEndpoints(t *testing.T) {
	e := newEndpoint(t, nil)
	t.Run("v2", func(t *testing.T) {
		req := redemptionOf(v2, cli, e.codeFor(t, alice, func(a *sealed.Artefact) { a.Challenge, a.Nonce = s256(verifier), "n-1" }))
		req.GetAuthorizationCode().CodeVerifier, req.ClientInfo, req.Scope = verifier, true, "https://graph.microsoft.com/User.Read Mail.Read openid profile email offline_access"
		req.Caller = &idpv1.Caller{IpAddress: "192.0.2.7"}
		a := e.must(t, req)
		if a.GetScope() != "https://graph.microsoft.com/User.Read Mail.Read openid profile email" || a.GetTokenType() != "Bearer" || a.GetResource() != "" || a.GetFoci() != "1" {
			t.Errorf("scope %q, %v", a.GetScope(), a)
		}
		if life := a.GetExpiresIn(); life < 3600 || life > 5400 || a.GetExtExpiresIn() != life || a.GetRefreshIn() != 0 || a.GetExpiresOn()-a.GetNotBefore() != life {
			t.Errorf("lifetime %d", life)
		}
		wantClaims(t, e.claimsIn(t, a.GetAccessToken()), map[string]any{
			"ver": "1.0", "iss": "https://sts.windows.net/" + contoso + "/", "aud": graph, "appid": cli, "appidacr": "0", "scp": "User.Read Mail.Read openid profile email",
			"upn": alice, "unique_name": alice, "tid": contoso, "amr": "pwd", "acr": "1", "ipaddr": "192.0.2.7", "deviceid": nil, "xms_cc": nil, "idtyp": nil, "cnf": nil,
		})
		id := e.claimsIn(t, a.GetIdToken())
		wantClaims(t, id, map[string]any{
			"ver": "2.0", "iss": "https://login.microsoftonline.com/" + contoso + "/v2.0", "aud": cli, "nonce": "n-1", "preferred_username": alice,
			"name": "Alice Adams", "email": alice, "tid": contoso,
		})
		info, err := entrawire.ParseClientInfo(a.GetClientInfo())
		if err != nil || string(info.UID) != id["oid"] || string(info.UTID) != contoso {
			t.Errorf("client_info %v, %v", info, err)
		}
	})
	t.Run("v1", func(t *testing.T) {
		a := e.must(t, redemptionOf(v1, cli, e.codeFor(t, alice, func(a *sealed.Artefact) { a.Scope, a.Resource = "", graph+"/" })))
		if a.GetResource() != graph+"/" || a.GetRefreshToken() == "" || a.GetClientInfo() != "" {
			t.Errorf("%v", a)
		}
		wantClaims(t, e.claimsIn(t, a.GetAccessToken()), map[string]any{"aud": graph, "scp": a.GetScope()})
		id, err := jose.ParseUnsigned(a.GetIdToken())
		if err != nil {
			t.Fatal(err)
		}
		c := map[string]any{}
		if err := id.Claims(&c); err != nil {
			t.Fatal(err)
		}
		wantClaims(t, c, map[string]any{"ver": "1.0", "aud": cli, "upn": alice, "name": "Alice Adams", "amr": "pwd", "tid": contoso})
	})
	t.Run("no resource", func(t *testing.T) {
		a := e.must(t, redemptionOf(v1, cli, e.codeFor(t, alice, func(a *sealed.Artefact) { a.Scope = "" })))
		if a.GetAccessToken() != "" || a.GetIdToken() == "" || a.GetRefreshToken() == "" {
			t.Errorf("%v", a)
		}
	})
	t.Run("the scopes of OpenID Connect alone", func(t *testing.T) {
		a := e.must(t, redemptionOf(v2, cli, e.codeFor(t, alice, func(a *sealed.Artefact) { a.Scope = "openid email" })))
		if a.GetAccessToken() == "" || a.GetRefreshToken() != "" || a.GetScope() != "openid email" {
			t.Errorf("%v", a)
		}
	})
	t.Run("own resource of version 2", func(t *testing.T) {
		a := e.must(t, redemptionOf(v1, cli, e.codeFor(t, alice, func(a *sealed.Artefact) { a.Scope, a.Resource = "", "api://contoso-api" })))
		wantClaims(t, e.claimsIn(t, a.GetAccessToken()), map[string]any{
			"ver": "2.0", "aud": apiApp, "azp": cli, "azpacr": "0", "scp": "access_as_user", "preferred_username": alice, "appid": nil, "unique_name": nil,
			"iss": "https://login.microsoftonline.com/" + contoso + "/v2.0",
		})
	})
	t.Run("a confidential client's v1 ID token is signed", func(t *testing.T) {
		req := redemptionOf(v1, webApp, e.codeFor(t, alice, func(a *sealed.Artefact) { a.Client, a.Scope, a.Resource, a.RedirectURI = webApp, "", graph, webURI }))
		req.GetAuthorizationCode().RedirectUri, req.Proof = webURI, secretProof(webSecret)
		a := e.must(t, req)
		wantClaims(t, e.claimsIn(t, a.GetIdToken()), map[string]any{"aud": webApp, "ver": "1.0"})
		wantClaims(t, e.claimsIn(t, a.GetAccessToken()), map[string]any{"appidacr": "1"})
	})
}

// TestAttack24_CodeIsBound changes one thing at a time.
func TestAttack24_CodeIsBound(t *testing.T) {
	e := newEndpoint(t, nil)
	for name, c := range map[string]struct {
		artefact func(*sealed.Artefact)
		request  func(*idpv1.RequestTokensRequest)
		want     aadsts.Code
	}{
		"another client":     {nil, func(r *idpv1.RequestTokensRequest) { r.ClientId = office }, aadsts.InvalidGrant},
		"another redirect":   {nil, func(r *idpv1.RequestTokensRequest) { r.GetAuthorizationCode().RedirectUri = "http://localhost:8080" }, aadsts.InvalidGrant},
		"no redirect":        {nil, func(r *idpv1.RequestTokensRequest) { r.GetAuthorizationCode().RedirectUri = "" }, aadsts.InvalidGrant},
		"no verifier":        {func(a *sealed.Artefact) { a.Challenge = s256(verifier) }, nil, aadsts.CodeVerifierMismatch},
		"wrong verifier":     {func(a *sealed.Artefact) { a.Challenge = s256(verifier) }, verify(verifier + "x"), aadsts.CodeVerifierMismatch},
		"challenge as S256":  {func(a *sealed.Artefact) { a.Challenge = s256(verifier) }, verify(strings.TrimPrefix(s256(verifier), "S256:")), aadsts.CodeVerifierMismatch},
		"short verifier":     {func(a *sealed.Artefact) { a.Challenge = "plain:short" }, verify("short"), aadsts.CodeVerifierMismatch},
		"other method":       {func(a *sealed.Artefact) { a.Challenge = "S512:" + verifier }, verify(verifier), aadsts.CodeVerifierMismatch},
		"stripped challenge": {nil, verify(verifier), aadsts.CodeVerifierMismatch},
		"no code id":         {func(a *sealed.Artefact) { a.ID = "" }, nil, aadsts.InvalidGrant},
		"expired":            {func(a *sealed.Artefact) { a.Expires = e.clock.Now().Add(-time.Second) }, nil, aadsts.ExpiredGrant},
		"refresh token":      {func(a *sealed.Artefact) { a.Type = sealed.RefreshToken }, nil, aadsts.InvalidGrant},
		"cookie":             {func(a *sealed.Artefact) { a.Type = sealed.Cookie }, nil, aadsts.InvalidGrant},
		"from a page":        {nil, func(r *idpv1.RequestTokensRequest) { r.Caller = &idpv1.Caller{Origin: "https://evil.test"} }, aadsts.CrossOriginNotAllowed},
		"unknown client":     {nil, func(r *idpv1.RequestTokensRequest) { r.ClientId = contoso }, aadsts.ApplicationNotFound},
		"garbage":            {nil, func(r *idpv1.RequestTokensRequest) { r.GetAuthorizationCode().Code = "1.AA.AA" }, aadsts.InvalidGrant},
		"missing":            {nil, func(r *idpv1.RequestTokensRequest) { r.GetAuthorizationCode().Code = "" }, aadsts.MissingParameter},
		"nothing":            {nil, func(r *idpv1.RequestTokensRequest) { r.Grant = nil }, aadsts.UnsupportedGrantType},
		"public with secret": {nil, func(r *idpv1.RequestTokensRequest) { r.Proof = secretProof("a secret of nobody") }, aadsts.PublicClientProof},
	} {
		t.Run(name, func(t *testing.T) {
			req := redemptionOf(v2, cli, e.codeFor(t, alice, c.artefact))
			if c.request != nil {
				c.request(req)
			}
			_, err := e.ask(req)
			wantCode(t, err, c.want)
		})
	}
	for name, challenge := range map[string]string{"S256": s256(verifier), "plain": "plain:" + verifier} {
		t.Run("once with "+name, func(t *testing.T) {
			req := redemptionOf(v2, cli, e.codeFor(t, alice, func(a *sealed.Artefact) { a.Challenge = challenge }))
			_, err := e.ask(req) // a guess does not use the code up
			wantCode(t, err, aadsts.CodeVerifierMismatch)
			verify(verifier)(req)
			e.must(t, req)
			_, err = e.ask(req)
			wantCode(t, err, aadsts.CodeRedeemed)
		})
	}
}

func verify(v string) func(*idpv1.RequestTokensRequest) {
	return func(r *idpv1.RequestTokensRequest) { r.GetAuthorizationCode().CodeVerifier = v }
}

func TestScopesAndResources(t *testing.T) {
	e := newEndpoint(t, nil)
	rt := e.must(t, redemptionOf(v2, cli, e.codeFor(t, alice, nil))).GetRefreshToken()
	for scope, want := range map[string]string{
		"User.Read": "User.Read", "https://graph.microsoft.com/.default openid": "",
		"00000003-0000-0000-c000-000000000000/.default":           "",
		"https://management.core.windows.net//.default":           "https://management.core.windows.net//.default https://management.core.windows.net//user_impersonation",
		"https://management.azure.com/user_impersonation profile": "https://management.azure.com/user_impersonation profile",
		"01cb2876-7ebd-4aa4-9cc9-d28bd4d359a9/.default":           "01cb2876-7ebd-4aa4-9cc9-d28bd4d359a9/.default 01cb2876-7ebd-4aa4-9cc9-d28bd4d359a9/adrs_access",
		"api://contoso-api/ACCESS_AS_USER":                        "api://contoso-api/ACCESS_AS_USER",
		"api://" + apiApp + "/access_as_user":                     "api://" + apiApp + "/access_as_user",
	} {
		a, err := e.ask(refreshOf(v2, cli, rt, scope))
		if err != nil || want != "" && a.GetScope() != want {
			t.Errorf("%s: %q, %v", scope, a.GetScope(), err)
		}
		for _, asked := range strings.Fields(scope) { // what is not in the answer counts as declined
			if !strings.Contains(" "+a.GetScope()+" ", " "+asked+" ") {
				t.Errorf("%s: %s was declined", scope, asked)
			}
		}
	}
	for _, scope := range []string{
		"https://nowhere.test/.default", "User.Read api://contoso-api/access_as_user", "api://contoso-api/everything", "User.Read https://graph.microsoft.com/.default",
		"User/Read/", "..", strings.Repeat("User.Read ", 65),
	} {
		_, err := e.ask(refreshOf(v2, cli, rt, scope))
		wantCode(t, err, aadsts.InvalidScope)
	}
	for _, resource := range []string{graph, graph + "/", "00000003-0000-0000-c000-000000000000", "00000003-0000-0000-C000-000000000000"} {
		req := refreshOf(v1, cli, rt, "")
		req.Resource = resource
		a := e.must(t, req)
		wantClaims(t, e.claimsIn(t, a.GetAccessToken()), map[string]any{"aud": graph})
		if a.GetResource() != resource {
			t.Errorf("%s was answered as %s", resource, a.GetResource())
		}
	}
	req := refreshOf(v1, cli, rt, "")
	req.Resource = "https://nowhere.test"
	_, err := e.ask(req)
	wantCode(t, err, aadsts.ResourceNotFound)
	for _, none := range []*idpv1.RequestTokensRequest{refreshOf(v1, cli, rt, ""), refreshOf(v2, cli, rt, "")} {
		if a := e.must(t, none); a.GetAccessToken() == "" {
			t.Error("a request that names nothing does not get what the grant was for")
		}
	}
	_, err = e.ask(passwordOf(v2, alice, alicePassword)) // sanity: the user is good
	if err != nil {
		t.Error(err)
	}
}

func TestAPP15_DeviceIDComesWithADeviceOnly(t *testing.T) {
	e := newEndpoint(t, nil)
	d := e.join(t, alice, alicePassword, 1, 2)
	key := issuance.NewSessionKey()
	with := e.must(t, redemptionOf(v2, cli, e.codeFor(t, alice, func(a *sealed.Artefact) { e.onDevice(t, a, d, key) })))
	wantClaims(t, e.claimsIn(t, with.GetAccessToken()), map[string]any{"deviceid": d.id})
	without := e.must(t, redemptionOf(v2, cli, e.codeFor(t, alice, nil)))
	wantClaims(t, e.claimsIn(t, without.GetAccessToken()), map[string]any{"deviceid": nil, "signin_state": nil})

	again := func() *idpv1.TokenSet { return e.must(t, refreshOf(v2, cli, with.GetRefreshToken(), "User.Read")) }
	wantClaims(t, e.claimsIn(t, again().GetAccessToken()), map[string]any{"deviceid": d.id})
	setDevice(t, e.world, d.id, false)
	wantClaims(t, e.claimsIn(t, again().GetAccessToken()), map[string]any{"deviceid": nil})
	removeDevice(t, e.world, d.id)
	wantClaims(t, e.claimsIn(t, again().GetAccessToken()), map[string]any{"deviceid": nil})

	demand := refreshOf(v2, cli, with.GetRefreshToken(), "User.Read")
	demand.Claims = `{"access_token":{"deviceid":{"essential":true}}}`
	_, err := e.ask(demand)
	wantCode(t, err, aadsts.DeviceAuthenticationRequired)
}

// TestAttack34_AnswerUnderTheSessionKey: who stole a code from a browser that
// signed in with a PRT cookie cannot read what it is worth.
func TestAttack34_AnswerUnderTheSessionKey(t *testing.T) {
	e := newEndpoint(t, nil)
	d := e.join(t, alice, alicePassword, 1, 2)
	for name, c := range map[string]struct {
		demanded  bool
		version   string
		keyed     bool
		encrypted bool
	}{
		"client of the broker": {false, "2.0", true, true}, "demanded by the code": {true, "", true, true},
		"other client": {false, "", true, false}, "no session key": {false, "2.0", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			key := issuance.NewSessionKey()
			req := redemptionOf(v1, brokerApp, e.codeFor(t, alice, func(a *sealed.Artefact) {
				a.Client, a.Scope, a.Resource, a.Encrypted = brokerApp, "", "urn:aad:tb:update:prt", c.demanded
				if c.keyed {
					e.onDevice(t, a, d, key)
				}
			}))
			req.GetAuthorizationCode().WindowsApiVersion = c.version
			a, err := e.RequestTokens(t.Context(), req)
			if err != nil || (a.GetEncrypted() != "") != c.encrypted || (a.GetTokens() == nil) != c.encrypted {
				t.Fatalf("%v, %v", a, err)
			}
			if !c.encrypted {
				return
			}
			// A256CBC has no tag: under a wrong key the padding is right now and then, but
			// what comes out is noise.
			if noise, err := entrawire.OpenAnswer(a.GetEncrypted(), issuance.NewSessionKey()); err == nil && json.Valid(noise) {
				t.Error("another key opens it")
			}
			plain, err := entrawire.OpenAnswer(a.GetEncrypted(), key)
			if err != nil {
				t.Fatal(err)
			}
			var answer entrawire.TokenAnswer
			if err := answer.UnmarshalJSON(plain); err != nil || answer.RefreshToken.Empty() || answer.AccessToken.Empty() {
				t.Errorf("%v, %v", answer, err)
			}
		})
	}
}

// TestAttack01_PRTIsNoRefreshToken brings a stolen PRT to the plain grant.
func TestAttack01_PRTIsNoRefreshToken(t *testing.T) {
	e := newEndpoint(t, nil)
	s := e.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
	for _, client := range []string{entrawire.SignInClientID, brokerApp, cli} {
		for _, protocol := range []idpv1.Protocol{v1, v2} {
			req := refreshOf(protocol, client, s.prt, "User.Read")
			req.Resource = graph
			_, err := e.ask(req)
			wantCode(t, err, aadsts.InvalidGrant)
			_, err = e.ask(redemptionOf(protocol, client, s.prt))
			wantCode(t, err, aadsts.InvalidGrant)
		}
	}
	bound := e.signedIn(t, alice, cli)
	bound.Type, bound.SessionKey = sealed.RefreshToken, secret.NewBytes(make([]byte, 32))
	_, err := e.ask(refreshOf(v2, cli, e.seal(t, bound), "User.Read"))
	wantCode(t, err, aadsts.InvalidGrant)
	bound.Plain = true
	e.must(t, refreshOf(v2, cli, e.seal(t, bound), "User.Read"))
	strict := newEndpoint(t, withProfile("strict"))
	_, err = strict.ask(refreshOf(v2, cli, strict.seal(t, bound), "User.Read"))
	wantCode(t, err, aadsts.InvalidGrant)
}

// TestWire13_Wire14_WhatClientsReadOfEveryAnswer: libhimmelblau wants type,
// durations and a refresh token in every answer for a user, and in the access
// token amr as an array, tid, and a name beside.
func TestWire13_Wire14_WhatClientsReadOfEveryAnswer(t *testing.T) {
	e := newEndpoint(t, nil)
	f, err := e.StartDeviceFlow(t.Context(), &idpv1.StartDeviceFlowRequest{Tenant: "common", Protocol: v2, ClientId: cli, Scope: offlineGraph})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.svc.DeviceFlows().Approve(t.Context(), f.GetUserCode(), e.signedIn(t, alice, cli)); err != nil {
		t.Fatal(err)
	}
	first := e.must(t, redemptionOf(v2, cli, e.codeFor(t, alice, nil)))
	own := refreshOf(v2, cli, first.GetRefreshToken(), "api://contoso-api/access_as_user openid profile offline_access")
	noNames := e.codeFor(t, alice, func(a *sealed.Artefact) { a.AMR = nil })
	for name, req := range map[string]*idpv1.RequestTokensRequest{
		"code v1": redemptionOf(v1, cli, e.codeFor(t, alice, nil)), "code v2": redemptionOf(v2, cli, e.codeFor(t, alice, nil)),
		"refresh v1": refreshOf(v1, cli, first.GetRefreshToken(), ""), "refresh v2": refreshOf(v2, cli, first.GetRefreshToken(), ""), "own resource": own,
		"password v1": passwordOf(v1, alice, alicePassword), "password v2": passwordOf(v2, alice, alicePassword), "no methods": redemptionOf(v2, cli, noNames),
		"device code": {Tenant: "common", Protocol: v2, ClientId: cli, Grant: &idpv1.RequestTokensRequest_DeviceCode{DeviceCode: &idpv1.DeviceCodeGrant{DeviceCode: f.GetDeviceCode()}}},
	} {
		a := e.must(t, req)
		if a.GetTokenType() == "" || a.GetExpiresIn() <= 0 || a.GetExtExpiresIn() <= 0 || a.GetRefreshToken() == "" || a.GetIdToken() == "" {
			t.Errorf("%s: %v", name, a)
		}
		if !entrawire.IsOpaque(a.GetRefreshToken()) || !strings.Contains(a.GetRefreshToken(), ".") {
			t.Errorf("%s: refresh token %q", name, a.GetRefreshToken())
		}
		c := e.claimsIn(t, a.GetAccessToken())
		if _, list := c["amr"].([]any); !list || c["tid"] != contoso || c["upn"] != alice {
			t.Errorf("%s: %v", name, c)
		}
	}
}
