package idp_test

import (
	"slices"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/certificate/certificatetest"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/passkey/passkeytest"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
)

// TestISS17_PasskeysAndCertificatesBecomeAPRT: from the page of the broker to a PRT
// that knows what it came from.
func TestISS17_PasskeysAndCertificatesBecomeAPRT(t *testing.T) {
	lab := clock.NewLab()
	single, multi, foreign := certificatetest.New(t, "S", lab.Now()), certificatetest.New(t, "M", lab.Now()), certificatetest.New(t, "F", lab.Now())
	p := newPages(t, idp.Config{Clock: lab, Tenants: withAuthorities(single, multi, foreign)})
	auth := &passkeytest.Authenticator{}
	p.withPasskey(t, lab, bob, auth)
	card, _ := multi.Issue(t, []string{bob})
	soft, _ := single.Issue(t, []string{bob})
	d := p.join(t, bob, bobPassword, 1, 2)
	e := &endpoint{world: p.world, GrantServiceClient: p.grants, clock: lab}
	const uri = "ms-appx-web://Microsoft.AAD.BrokerPlugin/DRS"
	for name, c := range map[string]struct {
		sign       func(*idpv1.SignInPage) *idpv1.NextAction
		credential sealed.Credential
		method     methods.Method
	}{
		"passkey":             {func(g *idpv1.SignInPage) *idpv1.NextAction { return p.touched(t, g, "", auth) }, sealed.FIDO, methods.FIDO2},
		"smart card":          {func(g *idpv1.SignInPage) *idpv1.NextAction { return p.certificate(t, g, card) }, sealed.Certificate, methods.CertificateMulti},
		"certificate in soft": {func(g *idpv1.SignInPage) *idpv1.NextAction { return p.certificate(t, g, soft) }, sealed.Certificate, methods.CertificateSingle},
	} {
		t.Run(name, func(t *testing.T) {
			next := c.sign(p.page(t, &idpv1.AuthorizeRequest{ClientId: brokerApp, RedirectUri: uri}, signInPage, 0))
			p.code(t, next.GetSignedIn(), next)
			r := redemptionOf(v1, brokerApp, next.GetSignedIn().GetCode())
			r.GetAuthorizationCode().RedirectUri = uri
			s := d.open(t, d.sign(t, p.roadtxUpgrade(t, e.must(t, r).GetRefreshToken())))
			a := s.artefact(t)
			fact, _ := methods.Of(c.method)
			if a.Credential != c.credential || !slices.Equal(methods.Names(a.Used), []methods.Method{c.method}) || slices.Contains(a.AMR, "mfa") != (fact.Kind == methods.Multi) {
				t.Errorf("%+v", a)
			}
			s.answer(t, s.roadtxToken(t, office, graph))
			// A password that changes meanwhile was none of it.
			setPassword(t, p.world, bob, "another password for bob "+name)
			s.answer(t, s.roadtxToken(t, office, graph))
		})
	}
}
