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
