package idp_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/certificate/certificatetest"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/passkey/passkeytest"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

// withAuthorities is the default tenant file with authorities: those of single factor
// and of several for Contoso, one for Fabrikam.
func withAuthorities(single, multi, foreign *certificatetest.Authority) []byte {
	list := func(named map[string]*certificatetest.Authority) string {
		var b strings.Builder
		b.WriteString("    certificate_authorities:\n")
		for name, a := range named {
			fmt.Fprintf(&b, "      - {name: %s, multi_factor: %v, pem: %q}\n", name, name != "Single", a.PEM())
		}
		return b.String()
	}
	parts := strings.SplitAfter(string(idp.DefaultTenants()), "    profile: today\n")
	parts[0] += list(map[string]*certificatetest.Authority{"Single": single, "Multi": multi})
	parts[1] += list(map[string]*certificatetest.Authority{"Foreign": foreign})
	return []byte(strings.Join(parts, ""))
}

// certificate shows a certificate, and goes on at the login host with one that was good.
func (p *pages) certificate(t testing.TB, page *idpv1.SignInPage, chain ...[]byte) *idpv1.NextAction {
	t.Helper()
	a, err := p.forms.SubmitCertificate(context.Background(), &idpv1.SubmitCertificateRequest{FlowToken: page.GetFlowToken(), Chain: chain})
	if err != nil {
		t.Fatal(err)
	}
	over := a.GetNext().GetPage()
	if over.GetKind() != idpv1.PageKind_PAGE_KIND_HAND_OVER {
		return a.GetNext()
	}
	return p.handedOver(t, over.GetFlowToken(), over.GetCanary())
}

func (p *pages) handedOver(t testing.TB, flow, canary string) *idpv1.NextAction {
	t.Helper()
	b, err := p.forms.ResumeSignIn(context.Background(), &idpv1.ResumeSignInRequest{FlowToken: flow, Canary: canary})
	if err != nil {
		t.Fatal(err)
	}
	return b.GetNext()
}

// What a certificate proved is good with the canary of its form alone, and once.
func TestAttackAHandOverFromElsewhere(t *testing.T) {
	lab := clock.NewLab()
	single, multi, foreign := certificatetest.New(t, "S", lab.Now()), certificatetest.New(t, "M", lab.Now()), certificatetest.New(t, "F", lab.Now())
	p := newPages(t, idp.Config{Clock: lab, Tenants: withAuthorities(single, multi, foreign)})
	card, _ := multi.Issue(t, []string{mia})
	a, err := p.forms.SubmitCertificate(context.Background(), &idpv1.SubmitCertificateRequest{FlowToken: p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0).GetFlowToken(), Chain: [][]byte{card}})
	over := a.GetNext().GetPage()
	if err != nil || over.GetKind() != idpv1.PageKind_PAGE_KIND_HAND_OVER || a.GetNext().GetSignedIn() != nil {
		t.Fatal(a, err)
	}
	for _, canary := range []string{"", "another", p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0).GetCanary()} {
		next := p.handedOver(t, over.GetFlowToken(), canary)
		wantKindOfPage(t, next.GetPage(), errorPage, aadsts.FlowTokenExpired, next)
	}
	next := p.handedOver(t, over.GetFlowToken(), over.GetCanary())
	p.code(t, next.GetSignedIn(), next)
	next = p.handedOver(t, over.GetFlowToken(), over.GetCanary())
	wantKindOfPage(t, next.GetPage(), errorPage, aadsts.FlowTokenExpired, next)
}

// TestCA06_CertificatesByTheirAuthority: one factor is a beginning, more is a sign-in.
func TestCA06_CertificatesByTheirAuthority(t *testing.T) {
	lab := clock.NewLab()
	single, multi, foreign := certificatetest.New(t, "S", lab.Now()), certificatetest.New(t, "M", lab.Now()), certificatetest.New(t, "F", lab.Now())
	p := newPages(t, idp.Config{Clock: lab, Tenants: withAuthorities(single, multi, foreign)})
	visit := func() *idpv1.SignInPage { return p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0) }

	card, _ := multi.Issue(t, []string{mia})
	next := p.certificate(t, visit(), card)
	c := p.code(t, next.GetSignedIn(), next)
	if c.Credential != sealed.Certificate || !slices.Equal(methods.Names(c.Used), []methods.Method{methods.CertificateMulti}) || !slices.Contains(c.AMR, "mfa") || c.MFATime == 0 {
		t.Errorf("%+v", c)
	}
	soft, _ := single.Issue(t, []string{mia})
	next = p.certificate(t, visit(), soft)
	page := wantKindOfPage(t, next.GetPage(), factorPage, 0, next)
	if m := page.GetMethods(); m[len(m)-1].GetMethodId() != "CertificateKey" || m[len(m)-1].GetIsDefault() {
		t.Errorf("%v", m)
	}
	// The card of the same person finishes it; that of another does not.
	bobs, _ := multi.Issue(t, []string{bob})
	for name, der := range map[string][]byte{"another's": bobs, "one factor again": soft} {
		next = p.certificate(t, page, der)
		if next.GetPage().GetKind() != factorPage || aadsts.Code(next.GetPage().GetErrorCode()) != aadsts.CertificateRefused {
			t.Errorf("%s: %v", name, next)
		}
	}
	if e := lastEvent(p.world); e.Flow != signinlog.SecondFactor || e.Code != aadsts.CertificateRefused || e.Hidden == "" {
		t.Errorf("%+v", e)
	}
	next = p.certificate(t, page, card)
	c = p.code(t, next.GetSignedIn(), next)
	if !slices.Equal(methods.Names(c.Used), []methods.Method{methods.CertificateSingle, methods.CertificateMulti}) {
		t.Errorf("%+v", c)
	}
	// One factor is enough for who is asked for no more.
	plain, _ := single.Issue(t, []string{bob})
	next = p.certificate(t, visit(), plain)
	if c := p.code(t, next.GetSignedIn(), next); slices.Contains(c.AMR, "mfa") || c.MFATime != 0 || !slices.Contains(c.AMR, "x509") {
		t.Errorf("%+v", c)
	}
}

func TestAttackCertificatesOfOtherTenants(t *testing.T) {
	lab := clock.NewLab()
	single, multi, foreign := certificatetest.New(t, "S", lab.Now()), certificatetest.New(t, "M", lab.Now()), certificatetest.New(t, "F", lab.Now())
	p := newPages(t, idp.Config{Clock: lab, Tenants: withAuthorities(single, multi, foreign)})
	issue := func(a *certificatetest.Authority, upn string) []byte {
		der, _ := a.Issue(t, []string{upn})
		return der
	}
	for name, c := range map[string]struct {
		der    []byte
		tenant string
		want   aadsts.Code
	}{
		"an authority speaks for another tenant's user": {issue(foreign, mia), "", aadsts.CertificateRefused},
		"nobody of the name":                            {issue(multi, "nobody@contoso.test"), "", aadsts.CertificateRefused},
		"another tenant was asked for":                  {issue(multi, mia), fabrikam, aadsts.UserNotInTenant},
	} {
		t.Run(name, func(t *testing.T) {
			next := p.certificate(t, p.page(t, &idpv1.AuthorizeRequest{Tenant: c.tenant}, signInPage, 0), c.der)
			wantKindOfPage(t, next.GetPage(), signInPage, c.want, next)
		})
	}
	next := p.certificate(t, &idpv1.SignInPage{FlowToken: "1.x.y"}, issue(multi, mia))
	wantKindOfPage(t, next.GetPage(), errorPage, aadsts.FlowTokenExpired, next)
	next = p.certificate(t, p.page(t, &idpv1.AuthorizeRequest{Tenant: fabrikam}, signInPage, 0), issue(foreign, frank))
	p.code(t, next.GetSignedIn(), next)
}

// TestCA06_AStrengthThatResistsPhishing: what is enough beside a password, and what is
// not. Who has nothing that would do registers a passkey.
func TestCA06_AStrengthThatResistsPhishing(t *testing.T) {
	lab := clock.NewLab()
	single, multi, foreign := certificatetest.New(t, "S", lab.Now()), certificatetest.New(t, "M", lab.Now()), certificatetest.New(t, "F", lab.Now())
	file := strings.Replace(string(withAuthorities(single, multi, foreign)), "    policies:\n", "    policies:\n      - id: 3b1f8a52-9c77-4d0e-8a26-6e2f4b9d0a98\n        name: Resists\n"+
		"        state: enabled\n        include_users: [All]\n        include_resources: [All]\n        grants: {strength: Phishing-resistant MFA}\n", 1)
	p := newPages(t, idp.Config{Clock: lab, Tenants: []byte(file)})
	auth := &passkeytest.Authenticator{}
	p.withPasskey(t, lab, mia, auth)
	card, _ := multi.Issue(t, []string{mia})
	soft, _ := single.Issue(t, []string{mia})
	visit := func() *idpv1.SignInPage { return p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0) }

	for name, next := range map[string]*idpv1.NextAction{
		"passkey":     p.touched(t, visit(), "", auth),
		"certificate": p.certificate(t, visit(), card),
	} {
		if next.GetSignedIn().GetCode() == "" {
			t.Errorf("%s: %v", name, next)
		}
	}
	for name, next := range map[string]*idpv1.NextAction{
		"password":                     p.password(t, visit(), mia, miaPassword),
		"certificate of single factor": p.certificate(t, visit(), soft),
	} {
		page := wantKindOfPage(t, next.GetPage(), factorPage, 0, next)
		var offered []string
		for _, m := range page.GetMethods() {
			offered = append(offered, m.GetMethodId())
		}
		if !slices.Equal(offered, []string{"FidoKey", "CertificateKey"}) {
			t.Errorf("%s: %v are offered", name, offered)
		}
		next := p.touched(t, page, "", auth)
		p.code(t, next.GetSignedIn(), next)
	}
	next := p.password(t, visit(), bob, bobPassword)
	page := wantKindOfPage(t, next.GetPage(), idpv1.PageKind_PAGE_KIND_REGISTER_METHOD, aadsts.MFAEnrolmentRequired, next)
	if page.GetRegisterUrl() != "/security-info" {
		t.Errorf("%v", page)
	}
}
