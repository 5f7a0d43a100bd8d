package idp_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/deviceflow"
)

// ofTheDevice are what the device holds: PRTs and what goes with them.
func (a *afterlife) ofTheDevice(t testing.TB) {
	t.Helper()
	a.use["PRT, renewed"] = func() string {
		_, err := a.renewPRT(a.s.sign(t, a.s.renewal(t)))
		return verdict(err)
	}
	a.use["PRT, redeemed"] = func() string { return verdict(a.s.use(t)) }
	a.use["data-protection key of the PRT"] = func() string {
		_, err := a.requestDataKey(t, a.s.sign(t, a.s.keyClaims(t)))
		return verdict(err)
	}
	byKey := a.d.open(t, a.d.sign(t, a.hello.request(t, a.nonce(t), a.hello.assertion(t, time.Now(), a.nonce(t), nil))))
	a.use["PRT of a Hello key"] = func() string { return verdict(byKey.use(t)) }

	tokens := a.s.tokens(t, a.s.redemption(t, office, graph))
	a.use["bound refresh token"] = func() string {
		c := a.s.redemption(t, office, graph)
		c.RefreshToken = tokens.RefreshToken
		_, err := a.redeemRT(a.s.sign(t, c))
		return verdict(err)
	}
	a.use["access token of a PRT, at Graph"] = a.read(tokens.AccessToken.Reveal())
	plain := a.s.answer(t, a.s.roadtxToken(t, office, graph)).RefreshToken.Reveal()
	a.use["plain refresh token"] = a.redeemed(refreshOf(v1, office, plain, ""))
	a.use["family refresh token"] = a.redeemed(refreshOf(v1, cli, plain, ""))

	a.use["password at the device"] = func() string {
		_, err := a.requestPRT(a.d.sign(t, a.d.claims(t, alice, alicePassword)))
		return verdict(err)
	}
	a.use["Hello key at the device"] = func() string { return verdict(a.hello.signInWith(t, a.d, time.Now(), nil)) }
	a.use["Hello key at another device"] = func() string {
		n := a.nonce(t)
		_, err := a.requestPRT(a.other.sign(t, a.hello.request(t, n, a.hello.assertion(t, time.Now(), n, nil))))
		return verdict(err)
	}
	token := a.brokerToken(t, alice, bound(a.d))
	a.use["broker token, made a PRT"] = func() string {
		_, err := a.requestPRT(a.d.sign(t, a.roadtxUpgrade(t, token)))
		return verdict(err)
	}
}

// ofPages are what a browser holds. Cookies of the PRT are made before the event.
func (a *afterlife) ofPages(t testing.TB) {
	t.Helper()
	ready, spent, third := a.nonce(t), a.nonce(t), a.nonce(t)
	cookie := a.s.sign(t, a.s.cookie(ready))
	a.use["PRT cookie at a page"] = a.visited(t, &idpv1.AuthorizeRequest{SsoNonce: ready, RefreshTokenCredential: cookie})
	own := a.s.sign(t, a.s.cookie(third))
	a.use["PRT cookie at the browser"] = func() string {
		out, err := a.sessions.Authorize(context.Background(), &idpv1.AuthorizeRequest{ClientId: portal, RedirectUri: portalURI, SsoNonce: third, RefreshTokenCredential: own})
		return outcome(out, err)
	}
	_, signedIn := a.silent(t, &idpv1.AuthorizeRequest{SsoNonce: spent, RefreshTokenCredential: a.s.sign(t, a.s.cookie(spent))})
	a.use["session cookie of a PRT, alone"] = a.visited(t, &idpv1.AuthorizeRequest{SessionCookie: signedIn.GetSessionCookie()})
	a.use["code of a PRT cookie"] = a.redeemed(a.codeRequest(signedIn))
	_, byPassword := a.typed(t, &idpv1.AuthorizeRequest{}, alice, alicePassword)
	a.use["session cookie of a page"] = a.visited(t, &idpv1.AuthorizeRequest{SessionCookie: byPassword.GetSessionCookie()})
	a.use["code of a page"] = a.redeemed(a.codeRequest(byPassword))

	pass, _ := a.pass(t, alice, time.Hour, false)
	a.use["Temporary Access Pass"] = func() string {
		next := a.submitPass(t, a.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0), alice, pass)
		if next.GetSignedIn().GetCode() != "" {
			return "taken"
		}
		return fmt.Sprint(next.GetPage().GetErrorCode())
	}
	waiting := a.start(t, deviceflow.Request{})
	next := a.password(t, a.typeCode(t, &idpv1.SubmitUserCodeRequest{UserCode: waiting.UserCode}).GetPage(), alice, alicePassword)
	a.confirm(t, next.GetPage(), true)
	a.use["device code, approved"] = a.redeemed(&idpv1.RequestTokensRequest{
		Tenant: contoso, Protocol: v2, ClientId: cli, Grant: &idpv1.RequestTokensRequest_DeviceCode{DeviceCode: &idpv1.DeviceCodeGrant{DeviceCode: waiting.DeviceCode.Reveal()}},
	})
}

func (a *afterlife) codeRequest(s *idpv1.SignedIn) *idpv1.RequestTokensRequest {
	return &idpv1.RequestTokensRequest{Tenant: "common", Protocol: v1, ClientId: office, Resource: graph, Grant: &idpv1.RequestTokensRequest_AuthorizationCode{
		AuthorizationCode: &idpv1.AuthorizationCodeGrant{Code: s.GetCode(), RedirectUri: s.GetRedirectUri()},
	}}
}

// ofTheTokenEndpoint are what an app without a device has of a password.
func (a *afterlife) ofTheTokenEndpoint(t testing.TB) {
	t.Helper()
	ask := func(r *idpv1.RequestTokensRequest) *idpv1.TokenSet {
		out, err := a.grants.RequestTokens(context.Background(), r)
		if err != nil {
			t.Fatal(err)
		}
		return out.GetTokens()
	}
	set := ask(passwordOf(v2, alice, alicePassword))
	a.use["refresh token of a page"] = a.redeemed(refreshOf(v2, cli, set.GetRefreshToken(), ""))
	a.use["access token of a page"] = a.read(set.GetAccessToken())
	api := passwordOf(v2, alice, alicePassword)
	api.Scope = "api://contoso-api/access_as_user"
	a.use["access token, on behalf of"] = a.redeemed(&idpv1.RequestTokensRequest{
		Tenant: contoso, Protocol: v2, ClientId: apiApp, Proof: secretProof(apiSecret), Scope: offlineGraph,
		Grant: &idpv1.RequestTokensRequest_OnBehalfOf{OnBehalfOf: &idpv1.OnBehalfOfGrant{Assertion: ask(api).GetAccessToken()}},
	})
	_, code := a.typed(t, &idpv1.AuthorizeRequest{ClientId: brokerApp, RedirectUri: native + "DRS", Scope: "openid"}, alice, alicePassword)
	set = ask(&idpv1.RequestTokensRequest{
		Tenant: contoso, Protocol: v2, ClientId: brokerApp, Scope: "aza profile offline_access openid", Grant: &idpv1.RequestTokensRequest_AuthorizationCode{
			AuthorizationCode: &idpv1.AuthorizationCodeGrant{
				Code: code.GetCode(), RedirectUri: code.GetRedirectUri(), PrtProtocol: idpv1.PRTProtocol_PRT_PROTOCOL_V3, StkJwk: transportJWK(t, 3),
			},
		},
	})
	key, err := entrawire.UnwrapSessionKey(rsaKeys()[3], set.GetSessionKeyJwe())
	if err != nil {
		t.Fatal(err)
	}
	alone := &signIn{d: a.d, prt: set.GetRefreshToken(), key: key}
	a.use["PRT without a device"] = func() string {
		c := alone.redemption(t, office, "")
		_, err := a.redeemPRT(alone.sign(t, c))
		return verdict(err)
	}
}

// ofRegistration are what lets somebody register something that lasts.
func (a *afterlife) ofRegistration(t testing.TB) {
	t.Helper()
	enrolment := (&device{w: a.world, dk: rsaKeys()[4], tk: rsaKeys()[5]}).enrolment(t, alice, alicePassword)
	a.use["token for a device"] = func() string {
		_, err := a.devices.RegisterDevice(context.Background(), enrolment)
		return verdict(err)
	}
	fresh := a.registrationToken(t, alice, a.d.id, time.Now(), nil)
	front := a.foreign(t).devices
	a.use["token for a Hello key"] = func() string {
		_, err := front.RegisterHelloKey(context.Background(), &idpv1.RegisterHelloKeyRequest{AccessToken: fresh, Key: rsa1(t, rsaKeys()[5])})
		return verdict(err)
	}
}

// redeemed brings something to the token endpoint.
func (a *afterlife) redeemed(r *idpv1.RequestTokensRequest) func() string {
	return func() string {
		_, err := a.grants.RequestTokens(context.Background(), r)
		return verdict(err)
	}
}

// read brings an access token to Graph.
func (a *afterlife) read(token string) func() string {
	return func() string {
		_, err := a.graph.me(token)
		return verdict(err)
	}
}

// visited goes to the authorization endpoint.
func (a *afterlife) visited(t testing.TB, r *idpv1.AuthorizeRequest) func() string {
	r.SsoReload = true
	return func() string { return outcome(a.visit(t, r), nil) }
}

func outcome(a *idpv1.AuthorizeResponse, err error) string {
	switch {
	case err != nil:
		return verdict(err)
	case a.GetSignedIn() != nil:
		return "taken"
	case a.GetSignInPage() != nil && aadsts.Code(a.GetSignInPage().GetErrorCode()) == 0:
		return "page"
	}
	return strings.TrimSpace(fmt.Sprint(a.GetSignInPage().GetErrorCode(), " ", a))
}
