package idp_test

import (
	"context"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/lockout"
)

// redeemCode takes a code to the token endpoint.
func (p *pages) redeemCode(t testing.TB, s *idpv1.SignedIn, client string, change func(*idpv1.RequestTokensRequest, *idpv1.AuthorizationCodeGrant)) *idpv1.RequestTokensResponse {
	t.Helper()
	g := &idpv1.AuthorizationCodeGrant{Code: s.GetCode(), RedirectUri: s.GetRedirectUri()}
	r := &idpv1.RequestTokensRequest{
		Tenant: "common", Protocol: v1, ClientId: client, Resource: graph, Grant: &idpv1.RequestTokensRequest_AuthorizationCode{AuthorizationCode: g},
	}
	if change != nil {
		change(r, g)
	}
	a, err := p.grants.RequestTokens(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestFromTheDoorToTheToken: what each way of signing in says in the access token.
func TestFromTheDoorToTheToken(t *testing.T) {
	p := newPages(t, idp.Config{})
	d := p.join(t, alice, alicePassword, 1, 2)
	s := d.first(t, alice, alicePassword)
	claims := func(a *idpv1.RequestTokensResponse) map[string]any {
		t.Helper()
		token, err := jose.Parse(a.GetTokens().GetAccessToken())
		if err != nil {
			t.Fatal(err)
		}
		c := map[string]any{}
		if err := token.Claims(&c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	t.Run("password and proof key", func(t *testing.T) {
		_, in := p.typed(t, &idpv1.AuthorizeRequest{
			ClientId: cli, RedirectUri: localhost, Protocol: v2, Scope: offlineGraph, CodeChallenge: strings.TrimPrefix(s256(verifier), "S256:"), CodeChallengeMethod: "S256",
		}, alice, alicePassword)
		a := p.redeemCode(t, in, cli, func(r *idpv1.RequestTokensRequest, g *idpv1.AuthorizationCodeGrant) {
			r.Protocol, r.Scope, r.Resource, g.CodeVerifier = v2, offlineGraph, "", verifier
		})
		wantClaims(t, claims(a), map[string]any{"upn": alice, "amr": "pwd", "deviceid": nil, "tid": contoso})
	})
	t.Run("PRT cookie and device header", func(t *testing.T) {
		n := p.nonce(t)
		_, in := p.silent(t, broker(s.sign(t, s.cookie(n)), d.header(t, n)))
		wantClaims(t, claims(p.redeemCode(t, in, office, nil)), map[string]any{"upn": alice, "amr": "pwd rsa", "deviceid": d.id})
	})
	t.Run("BRO12", func(t *testing.T) {
		n := p.nonce(t)
		page := p.page(t, &idpv1.AuthorizeRequest{Prompt: "login", SsoNonce: n, RefreshTokenCredential: s.sign(t, s.cookie(n))}, signInPage, 0)
		in := p.password(t, page, bob, bobPassword).GetSignedIn()
		wantClaims(t, claims(p.redeemCode(t, in, office, nil)), map[string]any{"upn": bob, "amr": "pwd", "deviceid": d.id})
	})
	t.Run("fresh second factor for device registration", func(t *testing.T) {
		page := p.factor(t, &idpv1.AuthorizeRequest{ClientId: brokerApp, RedirectUri: native + "DRS", Resource: drs, AmrValues: "ngcmfa"})
		b := p.begin(t, page, otp)
		in := p.complete(t, p.check(t, b.GetFlowToken(), otp, "", p.shown(t)).GetFlowToken(), page.GetCanary()).GetSignedIn()
		a := p.redeemCode(t, in, brokerApp, func(r *idpv1.RequestTokensRequest, _ *idpv1.AuthorizationCodeGrant) { r.Resource = drs })
		wantClaims(t, claims(a), map[string]any{"upn": mia, "amr": "pwd mfa otp ngcmfa", "aud": drs})
	})
	t.Run("Attack34", func(t *testing.T) {
		n := p.nonce(t)
		r := broker(s.sign(t, s.cookie(n)), "")
		r.WindowsApiVersion = "2.0"
		_, in := p.silent(t, r)
		a := p.redeemCode(t, in, office, nil)
		plain, err := entrawire.OpenAnswer(a.GetEncrypted(), s.key)
		if err != nil || !strings.HasPrefix(string(plain), `{"`) {
			t.Errorf("not under the session key of the PRT: %v, %v", a, err)
		}
	})
	t.Run("device code", func(t *testing.T) {
		ctx := context.Background()
		f, err := p.grants.StartDeviceFlow(ctx, &idpv1.StartDeviceFlowRequest{Tenant: "common", Protocol: v2, ClientId: cli, Scope: offlineGraph})
		if err != nil {
			t.Fatal(err)
		}
		poll := &idpv1.RequestTokensRequest{Tenant: "common", Protocol: v2, ClientId: cli, Grant: &idpv1.RequestTokensRequest_DeviceCode{DeviceCode: &idpv1.DeviceCodeGrant{DeviceCode: f.GetDeviceCode()}}}
		_, err = p.grants.RequestTokens(ctx, poll)
		wantCode(t, err, aadsts.AuthorizationPending)
		next := p.password(t, p.typeCode(t, &idpv1.SubmitUserCodeRequest{UserCode: f.GetUserCode()}).GetPage(), alice, alicePassword)
		p.confirm(t, next.GetPage(), true)
		a, err := p.grants.RequestTokens(ctx, poll)
		if err != nil {
			t.Fatal(err)
		}
		wantClaims(t, claims(a), map[string]any{"upn": alice, "amr": "pwd", "deviceid": nil})
	})
}

// TestWrongPasswordsAreCountedTogether at the page and at the token endpoint, and
// not on the user's own device.
func TestWrongPasswordsAreCountedTogether(t *testing.T) {
	p := newPages(t, idp.Config{})
	d := p.join(t, alice, alicePassword, 1, 2)
	try := func(password string) error {
		_, err := p.grants.RequestTokens(context.Background(), passwordOf(v2, alice, password))
		return err
	}
	for range lockout.Limit {
		if prterr.CodeOf(try("wrong")) != aadsts.InvalidCredentials {
			t.Fatal("no ten attempts")
		}
	}
	wantCode(t, try(alicePassword), aadsts.AccountLocked)
	next := p.password(t, p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0), alice, alicePassword)
	wantKindOfPage(t, next.GetPage(), signInPage, aadsts.AccountLocked, next)
	d.first(t, alice, alicePassword)
}
