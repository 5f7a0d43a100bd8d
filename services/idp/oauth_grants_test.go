package idp_test

import (
	"context"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/deviceflow"
	"github.com/lockstep-sso/lockstep/services/idp/internal/lockout"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

func TestAPP16_Password(t *testing.T) {
	e := newEndpoint(t, nil)
	for _, protocol := range []idpv1.Protocol{v1, v2} {
		a := e.must(t, passwordOf(protocol, "ALICE@contoso.test", alicePassword))
		wantClaims(t, e.claimsIn(t, a.GetAccessToken()), map[string]any{"amr": "pwd", "upn": alice, "deviceid": nil})
		e.must(t, refreshOf(protocol, cli, a.GetRefreshToken(), ""))
	}
	wrong := func(change func(*idpv1.RequestTokensRequest)) error {
		req := passwordOf(v2, alice, alicePassword)
		change(req)
		_, err := e.ask(req)
		return err
	}
	wantCode(t, wrong(func(r *idpv1.RequestTokensRequest) { r.GetPassword().Password = "wrong" }), aadsts.InvalidCredentials)
	wantCode(t, wrong(func(r *idpv1.RequestTokensRequest) { r.GetPassword().Username = "nobody@contoso.test" }), aadsts.UserAccountNotFound)
	wantCode(t, wrong(func(r *idpv1.RequestTokensRequest) { r.GetPassword().Username = "nobody@nowhere.test" }), aadsts.TenantNotFound)
	wantCode(t, wrong(func(r *idpv1.RequestTokensRequest) { r.GetPassword().Username = carol }), aadsts.NoPassword)
	wantCode(t, wrong(func(r *idpv1.RequestTokensRequest) { r.GetPassword().Username = "" }), aadsts.MissingParameter)
	wantCode(t, wrong(func(r *idpv1.RequestTokensRequest) { r.GetPassword().Password = "" }), aadsts.MissingParameter)
	wantCode(t, wrong(func(r *idpv1.RequestTokensRequest) { r.Tenant = "fabrikam.test" }), aadsts.UserNotInTenant)
	wantCode(t, wrong(func(r *idpv1.RequestTokensRequest) { r.ClientId = webApp }), aadsts.MissingClientSecret)

	// The policy of the default file wants a second factor of Mia, and says so in a
	// form that the client hands on.
	_, err := e.ask(passwordOf(v2, mia, miaPassword))
	wantCode(t, err, aadsts.MFARequired)
	if !strings.Contains(claimsOf(err), "capolids") {
		t.Errorf("no claims challenge: %q", claimsOf(err))
	}
	setUser(t, e.world, alice, false)
	wantCode(t, wrong(func(*idpv1.RequestTokensRequest) {}), aadsts.UserDisabled)
}

// TestAttack35_PasswordsAreNotTriedForEver: the token endpoint counts with the
// sign-in pages, for names that exist and names that do not.
func TestAttack35_PasswordsAreNotTriedForEver(t *testing.T) {
	e := newEndpoint(t, withProfile("strict"))
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, name := range []string{alice, "nobody@contoso.test"} {
		for i := range lockout.Limit {
			_, _ = e.RequestTokens(cancelled, passwordOf(v2, name, "wrong")) // never begins the count again
			_, err := e.ask(passwordOf(v2, name, "wrong"))
			if code := prterr.CodeOf(err); code != aadsts.InvalidCredentials && (i == 0 || code != aadsts.AccountLocked) {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, err := e.ask(passwordOf(v2, name, alicePassword))
		wantCode(t, err, aadsts.AccountLocked)
	}
	e.clock.Advance(lockout.Pause + time.Second)
	e.must(t, passwordOf(v2, alice, alicePassword))
}

func TestAPP16_PasswordThatMustChange(t *testing.T) {
	e := newEndpoint(t, []byte(strings.Replace(string(idp.DefaultTenants()), "password: "+alicePassword, "password: "+alicePassword+"\n        must_change_password: true", 1)))
	_, err := e.ask(passwordOf(v2, alice, "wrong"))
	wantCode(t, err, aadsts.InvalidCredentials)
	_, err = e.ask(passwordOf(v2, alice, alicePassword))
	wantCode(t, err, aadsts.PasswordExpired)
}

func TestAPP16_ClientCredentials(t *testing.T) {
	e := newEndpoint(t, nil)
	for _, protocol := range []idpv1.Protocol{v1, v2} {
		a := e.must(t, ownNameOf(protocol, contoso, secretProof(webSecret)))
		c := e.claimsIn(t, a.GetAccessToken())
		wantClaims(t, c, map[string]any{
			"aud": graph, "appid": webApp, "appidacr": "1", "idtyp": "app", "tid": contoso, "scp": nil, "upn": nil, "unique_name": nil, "name": nil, "amr": nil,
		})
		if a.GetRefreshToken() != "" || a.GetIdToken() != "" || c["oid"] != c["sub"] || c["oid"] == "" {
			t.Errorf("%v, %v", a, c)
		}
	}
	msal := ownNameOf(v2, contoso, secretProof(webSecret)) // as MSAL for Go asks
	msal.Scope += " openid offline_access profile"
	if a := e.must(t, msal); a.GetRefreshToken() != "" || a.GetIdToken() != "" || e.claimsIn(t, a.GetAccessToken())["scp"] != nil {
		t.Errorf("scopes of a user for an application: %v", a)
	}
	for name, c := range map[string]struct {
		change func(*idpv1.RequestTokensRequest)
		want   aadsts.Code
	}{
		"wrong secret":   {func(r *idpv1.RequestTokensRequest) { r.Proof = secretProof(webSecret + "x") }, aadsts.WrongClientSecret},
		"other's":        {func(r *idpv1.RequestTokensRequest) { r.Proof = secretProof(apiSecret) }, aadsts.WrongClientSecret},
		"no proof":       {func(r *idpv1.RequestTokensRequest) { r.Proof = nil }, aadsts.MissingClientSecret},
		"public client":  {func(r *idpv1.RequestTokensRequest) { r.ClientId, r.Proof = cli, nil }, aadsts.MissingClientSecret},
		"a user's scope": {func(r *idpv1.RequestTokensRequest) { r.Scope = "User.Read" }, aadsts.InvalidScope},
		"two":            {func(r *idpv1.RequestTokensRequest) { r.Scope += " " + drs + "/.default" }, aadsts.InvalidScope},
		"openid alone":   {func(r *idpv1.RequestTokensRequest) { r.Scope = "openid profile" }, aadsts.InvalidScope},
		"none":           {func(r *idpv1.RequestTokensRequest) { r.Scope = "" }, aadsts.MissingParameter},
		"no tenant":      {func(r *idpv1.RequestTokensRequest) { r.Tenant = "common" }, aadsts.TenantNotIdentified},
		"other tenant":   {func(r *idpv1.RequestTokensRequest) { r.Tenant = fabrikam }, aadsts.ApplicationNotFound},
		"empty tenant":   {func(r *idpv1.RequestTokensRequest) { r.Tenant = "" }, aadsts.TenantNotIdentified},
		"consumers":      {func(r *idpv1.RequestTokensRequest) { r.Tenant = "consumers" }, aadsts.TenantNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			req := ownNameOf(v2, contoso, secretProof(webSecret))
			c.change(req)
			_, err := e.ask(req)
			wantCode(t, err, c.want)
		})
	}
}

// assertion makes a client assertion as the clients' libraries do.
func assertion(t testing.TB, method jwt.SigningMethod, key int, header, claims map[string]any) *idpv1.ClientProof {
	t.Helper()
	token := jwt.NewWithClaims(method, jwt.MapClaims(claims))
	maps.Copy(token.Header, header)
	var with any = rsaKeys()[key]
	if method == jwt.SigningMethodHS256 {
		with = []byte(webSecret)
	}
	if method == jwt.SigningMethodNone {
		with = jwt.UnsafeAllowNoneSignatureType
	}
	text, err := token.SignedString(with)
	if err != nil {
		t.Fatal(err)
	}
	return &idpv1.ClientProof{Proof: &idpv1.ClientProof_ClientAssertion{ClientAssertion: text}}
}

// certified is a tenant file whose web application has a certificate as well.
func certified(t testing.TB, profile string) (tenants []byte, short, long string) {
	t.Helper()
	text := pemCertificate(t)
	block, _ := pem.Decode([]byte(text))
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	file := strings.Replace(string(withProfile(profile)), "        secrets: [web application secret]\n",
		"        certificates:\n          - |\n"+indent(text, "            "), 1)
	s, l := sha1.Sum(cert.Raw), sha256.Sum256(cert.Raw)
	return []byte(file), base64.RawURLEncoding.EncodeToString(s[:]), base64.StdEncoding.EncodeToString(l[:])
}

func TestAPP16_ClientAssertion(t *testing.T) {
	tenants, short, long := certified(t, "today")
	e := newEndpoint(t, tenants)
	good := func() map[string]any {
		now := e.clock.Now().Unix()
		return map[string]any{
			"aud": "https://login.microsoftonline.com/" + contoso + "/oauth2/v2.0/token", "iss": webApp, "sub": webApp, "jti": rand.Text(),
			"nbf": now, "exp": now + 600,
		}
	}
	with := func(change func(map[string]any)) map[string]any {
		c := good()
		change(c)
		return c
	}
	rs, ps := jwt.SigningMethodRS256, jwt.SigningMethodPS256
	for name, c := range map[string]struct {
		method jwt.SigningMethod
		key    int
		header map[string]any
		claims map[string]any
		want   aadsts.Code
	}{
		"RS256 with x5t":      {rs, 5, map[string]any{"x5t": short}, good(), 0},
		"PS256 with x5t#S256": {ps, 5, map[string]any{"x5t#S256": long}, good(), 0},
		"kid":                 {rs, 5, map[string]any{"kid": short}, good(), 0},
		"domain in aud":       {rs, 5, map[string]any{"x5t": short}, with(func(c map[string]any) { c["aud"] = "https://login.microsoftonline.com/contoso.test/oauth2/token" }), 0},
		"own host":            {rs, 5, map[string]any{"x5t": short}, with(func(c map[string]any) { c["aud"] = "https://login.lab.test:8443/" + contoso + "/oauth2/v2.0/token" }), 0},
		"no certificate":      {rs, 5, nil, good(), aadsts.ClientAssertionInvalid},
		"other certificate":   {rs, 5, map[string]any{"x5t": "AAAAAAAAAAAAAAAAAAAAAAAAAAA"}, good(), aadsts.ClientAssertionInvalid},
		"other key":           {rs, 4, map[string]any{"x5t": short}, good(), aadsts.ClientAssertionInvalid},
		"other hash":          {jwt.SigningMethodRS512, 5, map[string]any{"x5t": short}, good(), aadsts.ClientAssertionInvalid},
		"HS256":               {jwt.SigningMethodHS256, 5, map[string]any{"x5t": short}, good(), aadsts.ClientAssertionInvalid},
		"none":                {jwt.SigningMethodNone, 5, map[string]any{"x5t": short}, good(), aadsts.ClientAssertionInvalid},
		"crit":                {rs, 5, map[string]any{"x5t": short, "crit": []string{"exp"}}, good(), aadsts.ClientAssertionInvalid},
		"other server":        {rs, 5, map[string]any{"x5t": short}, with(func(c map[string]any) { c["aud"] = "https://evil.test/" + contoso + "/oauth2/v2.0/token" }), aadsts.ClientAssertionAudience},
		"other tenant": {rs, 5, map[string]any{"x5t": short}, with(func(c map[string]any) {
			c["aud"] = "https://login.microsoftonline.com/" + fabrikam + "/oauth2/v2.0/token"
		}), aadsts.ClientAssertionAudience},
		"other endpoint": {rs, 5, map[string]any{"x5t": short}, with(func(c map[string]any) {
			c["aud"] = "https://login.microsoftonline.com/" + contoso + "/oauth2/authorize"
		}), aadsts.ClientAssertionAudience},
		"plain HTTP": {rs, 5, map[string]any{"x5t": short}, with(func(c map[string]any) {
			c["aud"] = "http://login.microsoftonline.com/" + contoso + "/oauth2/v2.0/token"
		}), aadsts.ClientAssertionAudience},
		"other issuer":  {rs, 5, map[string]any{"x5t": short}, with(func(c map[string]any) { c["iss"] = apiApp }), aadsts.ClientAssertionSubject},
		"other subject": {rs, 5, map[string]any{"x5t": short}, with(func(c map[string]any) { c["sub"] = apiApp }), aadsts.ClientAssertionSubject},
		"expired":       {rs, 5, map[string]any{"x5t": short}, with(func(c map[string]any) { c["exp"] = e.clock.Now().Unix() - 400 }), aadsts.ClientAssertionExpired},
		"no end":        {rs, 5, map[string]any{"x5t": short}, with(func(c map[string]any) { delete(c, "exp") }), aadsts.ClientAssertionExpired},
		"endless":       {rs, 5, map[string]any{"x5t": short}, with(func(c map[string]any) { c["exp"] = e.clock.Now().Unix() + 90000 }), aadsts.ClientAssertionExpired},
		"not yet":       {rs, 5, map[string]any{"x5t": short}, with(func(c map[string]any) { c["nbf"] = e.clock.Now().Unix() + 400 }), aadsts.ClientAssertionExpired},
		"no jti":        {rs, 5, map[string]any{"x5t": short}, with(func(c map[string]any) { delete(c, "jti") }), aadsts.ClientAssertionInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			req := ownNameOf(v2, contoso, assertion(t, c.method, c.key, c.header, c.claims))
			req.Caller = &idpv1.Caller{Host: "login.lab.test:8443"}
			a, err := e.ask(req)
			wantCode(t, err, c.want)
			if c.want == 0 {
				wantClaims(t, e.claimsIn(t, a.GetAccessToken()), map[string]any{"appidacr": "2"})
			}
		})
	}
	// Libraries use an assertion as long as it lives; a strict tenant takes it once.
	twice := ownNameOf(v2, contoso, assertion(t, ps, 5, map[string]any{"x5t#S256": long}, good()))
	e.must(t, twice)
	e.must(t, twice)
	strict := newEndpoint(t, []byte(strings.ReplaceAll(string(tenants), "profile: \"today\"", "profile: strict")))
	strict.must(t, twice)
	_, err := strict.ask(twice)
	wantCode(t, err, aadsts.ClientAssertionInvalid)
}

func TestAPP16_DeviceCode(t *testing.T) {
	e := newEndpoint(t, nil)
	flows := e.svc.DeviceFlows()
	start := func(protocol idpv1.Protocol, tenant string) (*idpv1.StartDeviceFlowResponse, *idpv1.RequestTokensRequest) {
		f, err := e.StartDeviceFlow(t.Context(), &idpv1.StartDeviceFlowRequest{Tenant: tenant, Protocol: protocol, ClientId: cli, Scope: offlineGraph, Resource: graph})
		if err != nil {
			t.Fatal(err)
		}
		return f, &idpv1.RequestTokensRequest{
			Tenant: tenant, Protocol: protocol, ClientId: cli, Scope: offlineGraph,
			Grant: &idpv1.RequestTokensRequest_DeviceCode{DeviceCode: &idpv1.DeviceCodeGrant{DeviceCode: f.GetDeviceCode()}},
		}
	}
	for _, protocol := range []idpv1.Protocol{v1, v2} {
		f, poll := start(protocol, "organizations")
		if f.GetExpiresIn() != 900 || f.GetInterval() != 5 || len(f.GetUserCode()) != 9 {
			t.Errorf("%v", f)
		}
		_, err := e.ask(poll)
		wantCode(t, err, aadsts.AuthorizationPending)
		if err := flows.Approve(t.Context(), f.GetUserCode(), e.signedIn(t, alice, cli)); err != nil {
			t.Fatal(err)
		}
		poll.Tenant = fabrikam // does not use it up
		_, err = e.ask(poll)
		wantCode(t, err, aadsts.UserNotInTenant)
		poll.Tenant = "contoso.test"
		a := e.must(t, poll)
		wantClaims(t, e.claimsIn(t, a.GetAccessToken()), map[string]any{"upn": alice, "aud": graph})
		rt, err := e.svc.Authority().Open(sealed.RefreshToken, secretText(a.GetRefreshToken()))
		if err != nil || rt.Origin != deviceflow.Origin {
			t.Errorf("the refresh token does not say where it came from: %v", err)
		}
		_, err = e.ask(poll)
		wantCode(t, err, aadsts.BadVerificationCode)
	}
	f, poll := start(v2, contoso)
	if err := flows.Decline(t.Context(), f.GetUserCode()); err != nil {
		t.Fatal(err)
	}
	_, err := e.ask(poll)
	wantCode(t, err, aadsts.AuthorizationDeclined)

	for name, c := range map[string]struct {
		req  *idpv1.StartDeviceFlowRequest
		want aadsts.Code
	}{
		"unknown client":   {&idpv1.StartDeviceFlowRequest{Tenant: "common", Protocol: v2, ClientId: contoso, Scope: "openid"}, aadsts.ApplicationNotFound},
		"unknown scope":    {&idpv1.StartDeviceFlowRequest{Tenant: contoso, Protocol: v2, ClientId: cli, Scope: "https://nowhere.test/x"}, aadsts.InvalidScope},
		"unknown resource": {&idpv1.StartDeviceFlowRequest{Tenant: contoso, Protocol: v1, ClientId: cli, Resource: "https://nowhere.test"}, aadsts.ResourceNotFound},
		"unknown tenant":   {&idpv1.StartDeviceFlowRequest{Tenant: "nowhere.test", Protocol: v2, ClientId: cli, Scope: "openid"}, aadsts.TenantNotFound},
		"bad claims":       {&idpv1.StartDeviceFlowRequest{Tenant: contoso, Protocol: v2, ClientId: cli, Scope: "openid", Claims: "{"}, aadsts.InvalidRequest},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := e.StartDeviceFlow(context.Background(), c.req)
			wantCode(t, err, c.want)
		})
	}
	_, poll = start(v2, contoso)
	e.clock.Advance(deviceflow.Lifetime + time.Second)
	_, err = e.ask(poll)
	wantCode(t, err, aadsts.DeviceCodeExpired)
}

// TestAttack13_DeviceCodeCanBeBlocked: a policy about the flow stops the code, and
// follows what came of it when it is made later.
func TestAttack13_DeviceCodeCanBeBlocked(t *testing.T) {
	block := `    policies:
      - id: 3b1f8a52-9c77-4d0e-8a26-6e2f4b9d0a02
        name: No device codes
        include_users: [All]
        include_resources: [All]
        flows: [device_code]
        grant: block
`
	file := strings.Replace(string(idp.DefaultTenants()), "    policies:\n", block, 1)
	e := newEndpoint(t, []byte(file))
	f, err := e.StartDeviceFlow(t.Context(), &idpv1.StartDeviceFlowRequest{Tenant: contoso, Protocol: v2, ClientId: brokerApp, Scope: drs + "/.default offline_access"})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.svc.DeviceFlows().Approve(t.Context(), f.GetUserCode(), e.signedIn(t, alice, brokerApp)); err != nil {
		t.Fatal(err)
	}
	_, err = e.ask(&idpv1.RequestTokensRequest{
		Tenant: contoso, Protocol: v2, ClientId: brokerApp,
		Grant: &idpv1.RequestTokensRequest_DeviceCode{DeviceCode: &idpv1.DeviceCodeGrant{DeviceCode: f.GetDeviceCode()}},
	})
	wantCode(t, err, aadsts.BlockedByPolicy)
	rt := e.signedIn(t, alice, brokerApp)
	rt.Type, rt.Origin = sealed.RefreshToken, deviceflow.Origin
	_, err = e.ask(refreshOf(v2, brokerApp, e.seal(t, rt), drs+"/.default"))
	wantCode(t, err, aadsts.BlockedByPolicy)
	rt.Origin = ""
	e.must(t, refreshOf(v2, brokerApp, e.seal(t, rt), drs+"/.default"))
	events := e.svc.SignIns()
	last := events[len(events)-3]
	if last.Flow != signinlog.DeviceCode || last.Client != brokerApp || last.Code != aadsts.BlockedByPolicy || last.User != alice {
		t.Errorf("%+v", last)
	}
}

func TestAPP16_OnBehalfOf(t *testing.T) {
	e := newEndpoint(t, nil)
	d := e.join(t, alice, alicePassword, 1, 2)
	front := func(scope string, change func(*sealed.Artefact)) string {
		return e.must(t, redemptionOf(v2, cli, e.codeFor(t, alice, func(a *sealed.Artefact) {
			a.Scope = scope
			if change != nil {
				change(a)
			}
		}))).GetAccessToken()
	}
	behalf := func(assertion string) *idpv1.RequestTokensRequest {
		return &idpv1.RequestTokensRequest{
			Tenant: contoso, Protocol: v2, ClientId: apiApp, Proof: secretProof(apiSecret), Scope: offlineGraph,
			Grant: &idpv1.RequestTokensRequest_OnBehalfOf{OnBehalfOf: &idpv1.OnBehalfOfGrant{Assertion: assertion}},
		}
	}
	good := front("api://contoso-api/access_as_user", func(a *sealed.Artefact) { e.withMFA(a); e.onDevice(t, a, d, a.SessionKey) })
	a := e.must(t, behalf(good))
	wantClaims(t, e.claimsIn(t, a.GetAccessToken()), map[string]any{"aud": graph, "appid": apiApp, "appidacr": "1", "upn": alice, "deviceid": d.id, "amr": "pwd mfa"})
	refresh := refreshOf(v2, apiApp, a.GetRefreshToken(), "User.Read")
	refresh.Proof = secretProof(apiSecret)
	e.must(t, refresh)

	other := front("User.Read", nil)
	own := e.must(t, ownNameOf(v2, contoso, secretProof(webSecret))).GetAccessToken()
	pop := redemptionOf(v2, cli, e.codeFor(t, alice, func(a *sealed.Artefact) { a.Scope = "api://contoso-api/access_as_user" }))
	pop.TokenType, pop.ReqCnf = "pop", jose.EncodeSegment([]byte(`{"kid":"k"}`))
	idToken := e.must(t, redemptionOf(v2, cli, e.codeFor(t, alice, nil))).GetIdToken()
	for name, assertion := range map[string]string{
		"for another": other, "of an application": own, "bound to a key": e.must(t, pop).GetAccessToken(), "ID token": idToken,
		"altered": flipSignature(t, good, 3), "garbage": "a.b.c",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := e.ask(behalf(assertion))
			wantCode(t, err, aadsts.InvalidAssertion)
		})
	}
	noProof := behalf(good)
	noProof.Proof = nil
	_, err := e.ask(noProof)
	wantCode(t, err, aadsts.MissingClientSecret)
	setPassword(t, e.world, alice, "another password for alice")
	_, err = e.ask(behalf(good))
	wantCode(t, err, aadsts.FreshTokenNeeded)
	e.clock.Advance(2 * time.Hour)
	_, err = e.ask(behalf(good))
	wantCode(t, err, aadsts.InvalidAssertion)
}

func TestAPP16_SAMLAssertion(t *testing.T) {
	lab := newEndpointWith(t, idp.Config{Tenants: federated(t), Assertions: oneAssertion{idp.Subject{ImmutableID: "zK4iG3pNEkWyVd0kX8a2jQ==", UPN: carol}}})
	req := func(tenant, version string) *idpv1.RequestTokensRequest {
		return &idpv1.RequestTokensRequest{
			Tenant: tenant, Protocol: v1, ClientId: cli, Resource: graph,
			Grant: &idpv1.RequestTokensRequest_Assertion{Assertion: &idpv1.AssertionGrant{SamlAssertion: "<good/>", Version: version}},
		}
	}
	for _, tenant := range []string{"common", "adatum.test", fabrikam} {
		wantClaims(t, lab.claimsIn(t, lab.must(t, req(tenant, "1.1")).GetAccessToken()), map[string]any{"upn": carol, "amr": "fed", "tid": fabrikam})
	}
	_, err := lab.ask(req(contoso, "1.1"))
	wantCode(t, err, aadsts.InvalidAssertion)
	_, err = lab.ask(req("common", "2.0"))
	wantCode(t, err, aadsts.UnsupportedGrantType)
	bad := req("common", "1.1")
	bad.GetAssertion().SamlAssertion = "<bad/>"
	_, err = lab.ask(bad)
	wantCode(t, err, aadsts.InvalidAssertion)
}

func TestDeviceTokenIsOfTheDeviceAlone(t *testing.T) {
	e := newEndpoint(t, nil)
	d := e.join(t, alice, alicePassword, 1, 2)
	claims := func() map[string]any {
		return map[string]any{
			"resource": graph, "client_id": cli, "request_nonce": e.nonce(t), "win_ver": "10.0.22621.608", "grant_type": "device_token",
			"redirect_uri": native + cli, "iss": "aad:brokerplugin",
		}
	}
	ask := func(tenant string, c map[string]any, key int) (*idpv1.TokenSet, error) {
		request := d.signAs(t, jose.Header{Typ: "JWT", X5C: [][]byte{d.cert}}, rsaKeys()[key], jsonOf(t, c))
		return e.ask(&idpv1.RequestTokensRequest{Tenant: tenant, Grant: &idpv1.RequestTokensRequest_DeviceToken{DeviceToken: &idpv1.DeviceTokenGrant{Request: request}}})
	}
	a, err := ask("common", claims(), 1)
	if err != nil {
		t.Fatal(err)
	}
	wantClaims(t, e.claimsIn(t, a.GetAccessToken()), map[string]any{"deviceid": d.id, "idtyp": "device", "upn": nil, "scp": nil, "aud": graph, "tid": contoso})
	if a.GetRefreshToken() != "" || a.GetIdToken() != "" {
		t.Error("a device got a user's tokens")
	}
	with := func(name string, value any) map[string]any {
		c := claims()
		c[name] = value
		return c
	}
	for name, c := range map[string]struct {
		tenant string
		claims map[string]any
		key    int
		want   aadsts.Code
	}{
		"other key":     {"common", claims(), 3, aadsts.InvalidGrant},
		"other tenant":  {fabrikam, claims(), 1, aadsts.UserNotInTenant},
		"other grant":   {"common", with("grant_type", "password"), 1, aadsts.InvalidRequest},
		"no issuer":     {"common", with("iss", nil), 1, aadsts.InvalidRequest},
		"no nonce":      {"common", with("request_nonce", nil), 1, aadsts.InvalidNonce},
		"no resource":   {"common", with("resource", nil), 1, aadsts.MissingParameter},
		"bad resource":  {"common", with("resource", "https://nowhere.test"), 1, aadsts.ResourceNotFound},
		"bad redirect":  {"common", with("redirect_uri", "https://evil.test"), 1, aadsts.InvalidReplyTo},
		"secret client": {"common", with("client_id", webApp), 1, aadsts.InvalidReplyTo},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ask(c.tenant, c.claims, c.key)
			wantCode(t, err, c.want)
		})
	}
	setDevice(t, e.world, d.id, false)
	_, err = ask("common", claims(), 1)
	wantCode(t, err, aadsts.DeviceDisabled)
	if _, err := e.tokens.RedeemPRT(t.Context(), &idpv1.RedeemPRTRequest{Request: a.GetAccessToken()}); err == nil {
		t.Error("a device's token passed for a signed request")
	}
}
