package idp_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
)

// TestAttack32_AnIDTokenAsksThePoliciesToo: who asks for no resource is signed in to
// the application by the ID token, and the policies on it are asked, as they are at a
// page.
func TestAttack32_AnIDTokenAsksThePoliciesToo(t *testing.T) {
	e := newEndpoint(t, nil)
	e.rules(t, rule("grant: mfa"))
	nothing := func(r *idpv1.RequestTokensRequest) *idpv1.RequestTokensRequest {
		r.Resource, r.Scope = "", "openid"
		return r
	}
	_, err := e.ask(nothing(passwordOf(v1, alice, alicePassword)))
	wantCode(t, err, aadsts.MFAEnrolmentRequired)
	code := e.codeFor(t, alice, func(a *sealed.Artefact) { a.Scope = "" })
	_, err = e.ask(redemptionOf(v1, cli, code))
	wantCode(t, err, aadsts.MFAEnrolmentRequired)
	a := e.must(t, redemptionOf(v1, cli, e.codeFor(t, alice, func(a *sealed.Artefact) { a.Scope = ""; e.withMFA(a) })))
	if a.GetIdToken() == "" || a.GetAccessToken() != "" {
		t.Errorf("%v", a)
	}
	e.rules(t, rule("grant: block"))
	_, err = e.ask(nothing(refreshOf(v1, cli, a.GetRefreshToken(), "")))
	wantCode(t, err, aadsts.BlockedByPolicy)
}

// TestMFA05_ISS23_AnImprintEndsInVersion4Too: the version of the protocol does not make
// a second factor live longer.
func TestMFA05_ISS23_AnImprintEndsInVersion4Too(t *testing.T) {
	lab := clock.NewLab()
	w := newWorld(t, idp.Config{Clock: lab, Tenants: withSecondFactor("8h")})
	w.rules(t, rule("grant: mfa"))
	d := w.foreign(t).joinEC(t, alice, alicePassword)
	text, err := d.request(t, d.upgrade(t, w.brokerToken(t, alice, func(a *sealed.Artefact) {
		a.AMR, a.MFATime = append(a.AMR, "otp", "mfa"), lab.Now().Unix()
		a.Used = []methods.Used{{Method: methods.Password, At: a.MFATime}, {Method: methods.SoftwareOATH, At: a.MFATime}}
	})))
	if err != nil {
		t.Fatal(err)
	}
	var first entrawire.PRTAnswer
	d.open(t, text, &first)
	use := func() error {
		_, err := d.redeem(t, d.usage(t, first.RefreshToken.Reveal(), office, graph+"/.default openid"))
		return err
	}
	if err := use(); err != nil {
		t.Fatal(err)
	}
	lab.Advance(9 * time.Hour)
	wantCode(t, use(), aadsts.MFAEnrolmentRequired)
}

// TestAttackAPairingThatWasBegunWithAPasswordAlone: it may bring the first method and
// never another, as with every other kind: whoever has a stolen password waits for
// nothing.
func TestAttackAPairingThatWasBegunWithAPasswordAlone(t *testing.T) {
	s := newSecurity(t, idp.Config{})
	weak := s.token(t, bob, nil)
	pair := func(code string) error {
		_, err := s.person.PairAuthenticator(context.Background(), &directoryv1.PairAuthenticatorRequest{UserPrincipalName: bob, ActivationCode: code, DeviceName: "Pixel"})
		return err
	}
	kinds := func() []string {
		var out []string
		for _, m := range s.methodsOf(t, bob) {
			out = append(out, m.GetKind())
		}
		return out
	}
	stolen := s.start(t, weak, "microsoftAuthenticatorPush")
	// Bob registers his first method.
	own := s.start(t, weak, "softwareOath")
	if _, err := s.finish(weak, own.GetRegistration(), s.appCode(t, own.GetOtpauthUri()), ""); err != nil {
		t.Fatal(err)
	}
	wantKind(t, pair(stolen.GetActivationCode()), prterr.NotFound)
	if got := kinds(); !slices.Equal(got, []string{"softwareOath"}) {
		t.Errorf("%v", got)
	}
	// With a second factor it is another thing.
	strong := s.strong(t, bob)
	if err := pair(s.start(t, strong, "microsoftAuthenticatorPush").GetActivationCode()); err != nil {
		t.Error(err)
	}
	// What was revoked in between begins no more, whoever began it.
	left := s.start(t, strong, "microsoftAuthenticatorPush")
	if _, err := s.admin.RevokeSessions(context.Background(), &directoryv1.RevokeSessionsRequest{UserPrincipalName: bob}); err != nil {
		t.Fatal(err)
	}
	wantKind(t, pair(left.GetActivationCode()), prterr.NotFound)
	fresh := s.start(t, s.strong(t, bob), "microsoftAuthenticatorPush")
	setPassword(t, s.world, bob, "another password for bob")
	wantKind(t, pair(fresh.GetActivationCode()), prterr.NotFound)
}

// TestAttackConsentToOneScopeIsNoConsentToAll: the token that a PRT is redeemed for says
// what somebody allowed the application, and not everything that there is.
func TestAttackConsentToOneScopeIsNoConsentToAll(t *testing.T) {
	w := newWorld(t, idp.Config{Tenants: withConsent("required", portal)})
	s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
	w.svc.Consent(t, alice, portal, graph, "User.Read")
	scp := func(scope string) string {
		t.Helper()
		c := s.redemption(t, portal, "")
		c.Scope = scope
		return w.accessToken(t, s.tokens(t, c).AccessToken).Scp
	}
	// A resource without a scope of it is the way around the list.
	for scope, want := range map[string]string{graph + "/User.Read openid": "User.Read", graph + "/ openid": "openid", graph + "/openid openid": "openid"} {
		if got := scp(scope); got != want {
			t.Errorf("%s gives %q", scope, got)
		}
	}
	c := s.redemption(t, portal, "")
	c.Scope = graph + "/.default openid"
	_, err := w.redeemPRT(s.sign(t, c))
	wantCode(t, err, aadsts.ConsentRequired)
}

// TestAttack32_AnExceptionIsForWhatItIsMeant: the PRT, the registration of devices and
// that of security information are let through where nobody could meet a policy. The
// address of a visit names the resource, so whoever has a password would otherwise
// choose one of them and be signed in to any web site by its ID token.
func TestAttack32_AnExceptionIsForWhatItIsMeant(t *testing.T) {
	p := newPages(t, idp.Config{})
	visit := func(resource string) *idpv1.NextAction {
		return p.password(t, p.page(t, &idpv1.AuthorizeRequest{
			ClientId: webApp, RedirectUri: webURI, ResponseType: "code id_token", Nonce: "n", Resource: resource, Protocol: v1,
		}, signInPage, 0), bob, bobPassword)
	}
	for resource, grant := range map[string]string{"urn:aad:tb:update:prt": "mfa", securityInfos: "mfa", drs: "compliant_device"} {
		p.rules(t, rule("grant: "+grant))
		if next := visit(resource); next.GetSignedIn() != nil {
			t.Errorf("with %s a policy on everything that demands %s is not asked", resource, grant)
		}
	}
	// It stays what it is meant for.
	p.rules(t, rule("grant: mfa"))
	own := &idpv1.AuthorizeRequest{ClientId: mySignIns, RedirectUri: securityURI, Resource: securityInfos}
	if next := p.password(t, p.page(t, own, signInPage, 0), bob, bobPassword); next.GetSignedIn() == nil {
		t.Errorf("he cannot register his first method: %v", next)
	}
	p.rules(t, rule("grant: compliant_device"))
	join := &idpv1.AuthorizeRequest{ClientId: brokerApp, RedirectUri: native + "DRS", Resource: drs}
	if next := p.password(t, p.page(t, join, signInPage, 0), bob, bobPassword); next.GetSignedIn() == nil {
		t.Errorf("he cannot register his device: %v", next)
	}
}

// TestAttack32_TheAddressDoesNotChooseWhichPolicyIsAsked: a policy on an application is
// asked whoever signs in to it, whatever the address of the visit names beside it.
func TestAttack32_TheAddressDoesNotChooseWhichPolicyIsAsked(t *testing.T) {
	p := newPages(t, idp.Config{})
	p.rules(t, rule("grant: block, include_resources: ["+webApp+"]"))
	for name, visit := range map[string]*idpv1.AuthorizeRequest{
		"the application itself": {ResponseType: "id_token", Nonce: "n", ResponseMode: "form_post", Protocol: v2, Scope: "openid"},
		"code of OpenID Connect": {Protocol: v2, Scope: "openid profile"},
		"another resource":       {Protocol: v2, Scope: "openid User.Read"},
		"another by its name":    {ResponseType: "code id_token", Nonce: "n", Resource: graph, Protocol: v1},
	} {
		visit.ClientId, visit.RedirectUri = webApp, webURI
		if next := p.password(t, p.page(t, visit, signInPage, 0), bob, bobPassword); next.GetSignedIn() != nil {
			t.Errorf("%s: the policy on the application was not asked", name)
		}
	}
	// And at the token endpoint, should it have come after the code.
	e := &endpoint{world: p.world, GrantServiceClient: p.grants, clock: clock.NewLab()}
	a := e.signedIn(t, bob, webApp)
	a.Scope, a.Issued, a.Expires = "openid User.Read", time.Now(), time.Now().Add(time.Minute)
	r := redemptionOf(v2, webApp, e.seal(t, a))
	r.Proof = secretProof(webSecret)
	_, err := e.ask(r)
	wantCode(t, err, aadsts.BlockedByPolicy)
}
