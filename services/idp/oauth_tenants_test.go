package idp_test

import (
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

func transportJWK(t testing.TB, key int) string {
	t.Helper()
	pub := rsaKeys()[key].PublicKey
	b, err := json.Marshal(map[string]string{
		"kty": "RSA", "kid": "1", "e": base64.URLEncoding.EncodeToString(big.NewInt(int64(pub.E)).Bytes()), "n": base64.URLEncoding.EncodeToString(pub.N.Bytes()),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestISS24_PRTWithoutADevice(t *testing.T) {
	e := newEndpoint(t, policyText("4", "        grant: device\n"))
	d := e.join(t, alice, alicePassword, 1, 2)
	ask := func(change func(*idpv1.RequestTokensRequest), artefact func(*sealed.Artefact)) (*idpv1.TokenSet, error) {
		req := redemptionOf(v2, brokerApp, e.codeFor(t, alice, func(a *sealed.Artefact) {
			a.Client = brokerApp
			// The sign-in had a device: what comes of it still has none.
			e.onDevice(t, a, d, a.SessionKey)
			if artefact != nil {
				artefact(a)
			}
		}))
		req.Scope = "aza profile offline_access openid"
		req.GetAuthorizationCode().PrtProtocol, req.GetAuthorizationCode().StkJwk = idpv1.PRTProtocol_PRT_PROTOCOL_V3, transportJWK(t, 3)
		if change != nil {
			change(req)
		}
		return e.ask(req)
	}
	a, err := ask(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := entrawire.UnwrapSessionKey(rsaKeys()[3], a.GetSessionKeyJwe())
	if err != nil || a.GetAccessToken() != "" || a.GetIdToken() == "" || a.GetRefreshTokenExpiresIn() != 1209599 {
		t.Fatalf("%v, %v", a, err)
	}
	prt, err := e.svc.Authority().Open(sealed.PRT, secretText(a.GetRefreshToken()))
	if err != nil || !prt.Deviceless || prt.Device != "" || prt.Certificate != [32]byte{} || string(prt.SessionKey.Reveal()) != string(key.Reveal()) {
		t.Errorf("%+v, %v", prt, err)
	}
	// Whatever descends from it meets no demand for a device, even if somebody wrote
	// one in.
	below := prt
	below.Type, below.Plain = sealed.RefreshToken, true
	e.onDevice(t, &below, d, below.SessionKey)
	_, err = e.ask(refreshOf(v2, brokerApp, e.seal(t, below), "User.Read"))
	wantCode(t, err, aadsts.DeviceAuthenticationRequired)
	below.Deviceless = false
	e.must(t, refreshOf(v2, brokerApp, e.seal(t, below), "User.Read")) // it is the mark, and nothing else

	for name, c := range map[string]struct {
		change   func(*idpv1.RequestTokensRequest)
		artefact func(*sealed.Artefact)
		want     aadsts.Code
	}{
		"other client": {func(r *idpv1.RequestTokensRequest) { r.ClientId = cli }, func(a *sealed.Artefact) { a.Client = cli }, aadsts.InvalidGrant},
		"no aza":       {func(r *idpv1.RequestTokensRequest) { r.Scope = "openid" }, nil, aadsts.InvalidScope},
		"version 2":    {func(r *idpv1.RequestTokensRequest) { r.GetAuthorizationCode().PrtProtocol = 1 }, nil, aadsts.InvalidRequest},
		"no key":       {func(r *idpv1.RequestTokensRequest) { r.GetAuthorizationCode().StkJwk = "" }, nil, aadsts.MissingParameter},
		"no JWK":       {func(r *idpv1.RequestTokensRequest) { r.GetAuthorizationCode().StkJwk = "[]" }, nil, aadsts.InvalidRequest},
		"small key": {func(r *idpv1.RequestTokensRequest) {
			r.GetAuthorizationCode().StkJwk = `{"kty":"RSA","e":"AQAB","n":"AQAB"}`
		}, nil, aadsts.InvalidRequest},
		"EC key": {func(r *idpv1.RequestTokensRequest) {
			r.GetAuthorizationCode().StkJwk = `{"kty":"EC","e":"AQAB","n":"AQAB"}`
		}, nil, aadsts.InvalidRequest},
		"revoked": {nil, func(a *sealed.Artefact) { a.SessionEpoch++ }, aadsts.FreshTokenNeeded},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ask(c.change, c.artefact)
			wantCode(t, err, c.want)
		})
	}
}

// TestDEP09_Attack33_Tenants brings what one tenant issued to every name of the
// other, and to the names of all.
func TestDEP09_Attack33_Tenants(t *testing.T) {
	e := newEndpoint(t, nil)
	prove := func(r *idpv1.RequestTokensRequest) *idpv1.RequestTokensRequest {
		r.ClientId, r.Proof = apiApp, secretProof(apiSecret)
		return r
	}
	assertion := e.must(t, redemptionOf(v2, cli, e.codeFor(t, alice, func(a *sealed.Artefact) { a.Scope = "api://contoso-api/access_as_user" }))).GetAccessToken()
	grants := map[string]struct {
		request func() *idpv1.RequestTokensRequest
		refused aadsts.Code
	}{
		"code":     {func() *idpv1.RequestTokensRequest { return redemptionOf(v2, cli, e.codeFor(t, alice, nil)) }, aadsts.UserNotInTenant},
		"password": {func() *idpv1.RequestTokensRequest { return passwordOf(v2, alice, alicePassword) }, aadsts.UserNotInTenant},
		"refresh token": {func() *idpv1.RequestTokensRequest {
			rt := e.signedIn(t, alice, cli)
			rt.Type = sealed.RefreshToken
			return refreshOf(v2, cli, e.seal(t, rt), "User.Read")
		}, aadsts.UserNotInTenant},
		"device code": {func() *idpv1.RequestTokensRequest {
			f, err := e.StartDeviceFlow(t.Context(), &idpv1.StartDeviceFlowRequest{Tenant: "common", Protocol: v2, ClientId: cli, Scope: "User.Read"})
			if err != nil {
				t.Fatal(err)
			}
			if err := e.svc.DeviceFlows().Approve(t.Context(), f.GetUserCode(), e.signedIn(t, alice, cli)); err != nil {
				t.Fatal(err)
			}
			return &idpv1.RequestTokensRequest{Protocol: v2, ClientId: cli, Grant: &idpv1.RequestTokensRequest_DeviceCode{
				DeviceCode: &idpv1.DeviceCodeGrant{DeviceCode: f.GetDeviceCode()},
			}}
		}, aadsts.UserNotInTenant},
		"on behalf of": {func() *idpv1.RequestTokensRequest {
			return prove(&idpv1.RequestTokensRequest{Protocol: v2, Scope: "User.Read", Grant: &idpv1.RequestTokensRequest_OnBehalfOf{
				OnBehalfOf: &idpv1.OnBehalfOfGrant{Assertion: assertion},
			}})
		}, aadsts.InvalidAssertion},
	}
	for name, g := range grants {
		for tenant, want := range map[string]aadsts.Code{
			contoso: 0, strings.ToUpper(contoso): 0, "contoso.test": 0, "Contoso.Test": 0, "common": 0, "organizations": 0,
			fabrikam: g.refused, "fabrikam.test": g.refused, "adatum.test": g.refused,
			"consumers": aadsts.TenantNotFound, "nowhere.test": aadsts.TenantNotFound, "": aadsts.TenantNotIdentified, "../" + contoso: aadsts.TenantNotFound,
		} {
			t.Run(name+" at "+tenant, func(t *testing.T) {
				req := g.request()
				req.Tenant = tenant
				a, err := e.ask(req)
				wantCode(t, err, want)
				if want == 0 {
					wantClaims(t, e.claimsIn(t, a.GetAccessToken()), map[string]any{"tid": contoso, "iss": "https://sts.windows.net/" + contoso + "/"})
				} else if a != nil {
					t.Error("tokens came with the refusal")
				}
			})
		}
	}
	// An application of one tenant is unknown in another, and an artefact that names
	// a tenant which is gone opens nothing.
	web := ownNameOf(v2, fabrikam, secretProof(webSecret))
	_, err := e.ask(web)
	wantCode(t, err, aadsts.ApplicationNotFound)
	gone := e.signedIn(t, alice, cli)
	gone.Type, gone.Tenant = sealed.RefreshToken, ids.NewTenant()
	_, err = e.ask(refreshOf(v2, cli, e.seal(t, gone), "User.Read"))
	wantCode(t, err, aadsts.TenantNotFound)
	moved := e.signedIn(t, alice, cli)
	moved.Type, moved.Tenant = sealed.RefreshToken, fabrikam
	_, err = e.ask(refreshOf(v2, cli, e.seal(t, moved), "User.Read"))
	wantCode(t, err, aadsts.UserAccountNotFound)
}

func TestEveryRequestIsInTheSignInLog(t *testing.T) {
	e := newEndpoint(t, nil)
	const id = "5f0e3ad4-7d05-4a3b-9a40-9a3f4f5c6d70"
	req := passwordOf(v2, alice, alicePassword)
	req.Caller = &idpv1.Caller{CorrelationId: id}
	e.must(t, req)
	req.GetPassword().Password = "wrong"
	_, _ = e.ask(req)
	req.Caller.CorrelationId = "free text\nof a caller"
	_, _ = e.ask(req)
	events := e.svc.SignIns()
	if len(events) != 3 {
		t.Fatalf("%d events", len(events))
	}
	for i, want := range []signinlog.Event{
		{Outcome: signinlog.Success, Correlation: id}, {Outcome: signinlog.Refused, Code: aadsts.InvalidCredentials, Correlation: id}, {Outcome: signinlog.Refused, Code: aadsts.InvalidCredentials},
	} {
		got := events[i]
		if got.Flow != signinlog.Password || got.User != alice || got.Client != cli || got.Tenant != contoso || got.Outcome != want.Outcome || got.Code != want.Code || got.Correlation != want.Correlation {
			t.Errorf("%+v", got)
		}
	}
}
