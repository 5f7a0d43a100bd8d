package idp_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
)

// TestA20_Attack20_NothingOutlivesItsPass: PRT, refresh tokens, session cookie, and a
// page that stands open end with the Temporary Access Pass, whatever life they were
// told (Dirk-jan Mollema, "Lateral movement and on-prem NT hash dumping with
// Microsoft Entra Temporary Access Passes", 2024).
func TestA20_Attack20_NothingOutlivesItsPass(t *testing.T) {
	lab := clock.NewLab()
	p := newPages(t, idp.Config{Clock: lab})
	d := p.join(t, alice, alicePassword, 1, 2)
	pass, ends := p.pass(t, alice, 0, false)
	broker := func() *idpv1.AuthorizeRequest {
		return &idpv1.AuthorizeRequest{ClientId: entrawire.BrokerClientID, RedirectUri: native + "DRS"}
	}
	signIn := func() *idpv1.SignedIn {
		next := p.submitPass(t, p.page(t, broker(), signInPage, 0), alice, pass)
		p.code(t, next.GetSignedIn(), next)
		return next.GetSignedIn()
	}
	in, late := signIn(), signIn()
	got := p.redeemCode(t, in, entrawire.BrokerClientID, nil)
	refresh := got.GetTokens().GetRefreshToken()
	s := d.open(t, d.sign(t, p.roadtxUpgrade(t, refresh)))
	prt := p.artefact(t, sealed.PRT, s.prt)
	if prt.Credential != sealed.Pass || prt.PassEnds != ends.Unix() || !slices.Contains(prt.AMR, "mfa") || !prt.Expires.After(ends.Add(24*time.Hour)) {
		t.Fatalf("%+v", prt)
	}
	s, _ = s.renew(t, s.renewal(t))
	tokens := s.tokens(t, s.redemption(t, office, graph))
	redeem := func(refresh string) *idpv1.RequestTokensResponse {
		a, err := p.grants.RequestTokens(context.Background(), &idpv1.RequestTokensRequest{
			Tenant: "common", Protocol: v1, ClientId: entrawire.BrokerClientID, Resource: graph,
			Grant: &idpv1.RequestTokensRequest_RefreshToken{RefreshToken: &idpv1.RefreshTokenGrant{RefreshToken: refresh}},
		})
		if err != nil {
			return nil
		}
		return a
	}
	// An access token asks nobody while it lives, so it ends with the pass from the
	// beginning, whoever asked for it and however.
	lab.Advance(ends.Sub(lab.Now()) - 20*time.Minute)
	again := s.tokens(t, s.redemption(t, office, graph))
	for name, token := range map[string]string{"code": got.GetTokens().GetAccessToken(), "PRT": tokens.AccessToken.Reveal(), "PRT, later": again.AccessToken.Reveal(), "refresh token": redeem(refresh).GetTokens().GetAccessToken()} {
		if exp := p.expires(t, token); exp.After(ends) {
			t.Errorf("the access token of the %s lives until %v, the pass until %v", name, exp, ends)
		}
	}
	if again.ExpiresIn > 20*60 || again.ExpiresOn > ends.Unix() {
		t.Errorf("the device is told %d seconds", again.ExpiresIn)
	}
	lab.Advance(ends.Sub(lab.Now()) - time.Second)
	if err := s.use(t); err != nil {
		t.Errorf("a second before the end: %v", err)
	}
	if a := redeem(refresh); a.GetTokens().GetAccessToken() == "" {
		t.Error("the refresh token died before the pass")
	}
	lab.Advance(time.Second)

	wantCode(t, s.use(t), aadsts.ExpiredToken)
	_, err := p.renewPRT(s.sign(t, s.renewal(t)))
	wantCode(t, err, aadsts.ExpiredToken)
	c := s.redemption(t, office, graph)
	c.RefreshToken = tokens.RefreshToken
	_, err = p.redeemRT(s.sign(t, c))
	wantCode(t, err, aadsts.ExpiredToken)
	_, err = p.requestPRT(d.sign(t, p.roadtxUpgrade(t, refresh)))
	wantCode(t, err, aadsts.ExpiredToken)
	if redeem(refresh).GetTokens().GetAccessToken() != "" {
		t.Error("a refresh token outlives the pass")
	}
	cookie := broker()
	cookie.SessionCookie = in.GetSessionCookie()
	p.page(t, cookie, signInPage, 0)
	n := p.nonce(t)
	prtCookie := broker()
	prtCookie.SsoNonce, prtCookie.RefreshTokenCredential = n, s.sign(t, s.cookie(n))
	if a := p.visit(t, prtCookie); a.GetSignedIn() != nil {
		t.Error("a PRT cookie outlives the pass")
	}
	if a, err := p.grants.RequestTokens(context.Background(), &idpv1.RequestTokensRequest{
		Tenant: "common", Protocol: v1, ClientId: entrawire.BrokerClientID, Resource: graph,
		Grant: &idpv1.RequestTokensRequest_AuthorizationCode{AuthorizationCode: &idpv1.AuthorizationCodeGrant{Code: late.GetCode(), RedirectUri: late.GetRedirectUri()}},
	}); err == nil {
		t.Errorf("a code outlives the pass: %v", a)
	}
	next := p.submitPass(t, p.page(t, broker(), signInPage, 0), alice, pass)
	wantKindOfPage(t, next.GetPage(), signInPage, aadsts.WrongAccessPass, next)
}

// expires is when a token ends.
func (p *pages) expires(t testing.TB, token string) time.Time {
	t.Helper()
	parsed, err := jose.Parse(token)
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Exp int64 `json:"exp"`
	}
	if err := parsed.Claims(&c); err != nil || c.Exp == 0 {
		t.Fatalf("%+v %v", c, err)
	}
	return time.Unix(c.Exp, 0)
}

// TestA20_Attack20_ASecondStepEndsWithThePassToo: a password began the sign-in and a
// pass went on with it.
func TestA20_Attack20_ASecondStepEndsWithThePassToo(t *testing.T) {
	lab := clock.NewLab()
	p := newPages(t, idp.Config{Clock: lab})
	pass, ends := p.pass(t, nora, 10*time.Minute, false)
	next := p.submitPass(t, p.noraFactor(t), nora, pass)
	p.code(t, next.GetSignedIn(), next)
	visit := &idpv1.AuthorizeRequest{SessionCookie: next.GetSignedIn().GetSessionCookie()}
	lab.Advance(ends.Sub(lab.Now()) - time.Second)
	p.silent(t, visit)
	lab.Advance(time.Second)
	p.page(t, visit, signInPage, 0)
	stale := p.submitPass(t, p.noraFactor(t), nora, pass)
	wantKindOfPage(t, stale.GetPage(), factorPage, aadsts.WrongAccessPass, stale)
}

// TestA20_Attack20_APageDoesNotOutliveThePass: the pass ends while the page asks
// whether it is this device that is to be signed in.
func TestA20_Attack20_APageDoesNotOutliveThePass(t *testing.T) {
	lab := clock.NewLab()
	p := newPages(t, idp.Config{Clock: lab})
	pass, ends := p.pass(t, alice, 10*time.Minute, false)
	started, err := p.grants.StartDeviceFlow(context.Background(), &idpv1.StartDeviceFlowRequest{Tenant: "common", Protocol: v1, ClientId: office, Resource: graph})
	if err != nil {
		t.Fatal(err)
	}
	visit, err := p.forms.SubmitUserCode(context.Background(), &idpv1.SubmitUserCodeRequest{UserCode: started.GetUserCode()})
	if err != nil {
		t.Fatal(err)
	}
	next := p.submitPass(t, visit.GetNext().GetPage(), alice, pass)
	page := wantKindOfPage(t, next.GetPage(), idpv1.PageKind_PAGE_KIND_DEVICE_CONFIRM, 0, next)
	lab.Advance(ends.Sub(lab.Now()))
	a, err := p.forms.ConfirmDevice(context.Background(), &idpv1.ConfirmDeviceRequest{FlowToken: page.GetFlowToken(), Canary: page.GetCanary(), Confirm: true})
	if err != nil {
		t.Fatal(err)
	}
	wantKindOfPage(t, a.GetNext().GetPage(), signInPage, aadsts.ExpiredToken, a)
}
