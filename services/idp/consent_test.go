package idp_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

const consentPage = idpv1.PageKind_PAGE_KIND_CONSENT

// withConsent is the default tenant file where applications need consent by a rule.
func withConsent(rule string, apps ...string) []byte {
	file := string(idp.DefaultTenants())
	for _, id := range apps {
		file = strings.Replace(file, "      - client_id: "+id+"\n", "      - client_id: "+id+"\n        consent: "+rule+"\n", 1)
	}
	return []byte(file)
}

func webVisit(scope string) *idpv1.AuthorizeRequest {
	return &idpv1.AuthorizeRequest{ClientId: webApp, RedirectUri: webURI, Protocol: v2, Scope: scope}
}

func (p *pages) answerConsent(t testing.TB, page *idpv1.SignInPage, accept, forAll bool) *idpv1.NextAction {
	t.Helper()
	a, err := p.forms.AnswerConsent(context.Background(), &idpv1.AnswerConsentRequest{
		FlowToken: page.GetFlowToken(), Canary: page.GetCanary(), Accept: accept, ForOrganization: forAll,
	})
	if err != nil {
		t.Fatal(err)
	}
	return a.GetNext()
}

// asked signs somebody in up to the page that asks for consent.
func (p *pages) asked(t testing.TB, r *idpv1.AuthorizeRequest, upn, password string) *idpv1.SignInPage {
	t.Helper()
	next := p.password(t, p.page(t, r, signInPage, 0), upn, password)
	return wantKindOfPage(t, next.GetPage(), consentPage, 0, next)
}

func TestConsentIsAskedOnceAtThePage(t *testing.T) {
	p := newPages(t, idp.Config{Tenants: withConsent("required", webApp)})
	page := p.asked(t, webVisit("openid offline_access User.Read"), alice, alicePassword)
	if w := page.GetPermissions(); len(w) != 1 || w[0].GetScope() != "User.Read" || w[0].GetResource() != "Microsoft Graph" || page.GetMayConsentForOrganization() || page.GetApplication() != "Contoso Web" {
		t.Errorf("%v", page)
	}
	next := p.answerConsent(t, page, false, false)
	if e := next.GetRedirectError(); aadsts.Code(e.GetCode()) != aadsts.AuthorizationDeclined {
		t.Errorf("%v", next)
	}
	next = p.answerConsent(t, page, true, false)
	p.code(t, next.GetSignedIn(), next)
	cookie := next.GetSignedIn().GetSessionCookie()
	if e := p.svc.SignIns(); !slices.ContainsFunc(e, func(e idp.Event) bool { return e.Flow == signinlog.Consented && e.User == alice && e.Client == webApp }) {
		t.Error("consent is not in the log")
	}
	again := webVisit("openid User.Read")
	again.SessionCookie = cookie
	p.silent(t, again)
	// More than that is asked for; so is everything once more when the application wants it.
	more := webVisit("Mail.Read User.Read")
	more.SessionCookie = cookie
	a := p.visit(t, more)
	if w := wantKindOfPage(t, a.GetSignInPage(), consentPage, 0, a).GetPermissions(); len(w) != 2 {
		t.Errorf("%v", w)
	}
	prompted := webVisit("User.Read")
	prompted.SessionCookie, prompted.Prompt = cookie, "consent"
	a = p.visit(t, prompted)
	next = p.answerConsent(t, wantKindOfPage(t, a.GetSignInPage(), consentPage, 0, a), true, false)
	p.code(t, next.GetSignedIn(), next)
	quiet := webVisit("Mail.Read")
	quiet.SessionCookie, quiet.Prompt = cookie, "none"
	p.refused(t, quiet, aadsts.ConsentRequired)
	// Another person is asked, and so is the first one at another application.
	p.asked(t, webVisit("User.Read"), bob, bobPassword)
}

func TestConsentForTheOrganisation(t *testing.T) {
	p := newPages(t, idp.Config{Tenants: withConsent("required", webApp)})
	page := p.asked(t, webVisit("User.Read"), bob, bobPassword)
	next := p.answerConsent(t, page, true, true)
	wantKindOfPage(t, next.GetPage(), errorPage, aadsts.AdminConsentRequired, next)
	p.asked(t, webVisit("User.Read"), bob, bobPassword) // nothing was granted

	page = p.asked(t, webVisit("User.Read"), admin, adminPassword)
	if !page.GetMayConsentForOrganization() {
		t.Errorf("%v", page)
	}
	next = p.answerConsent(t, page, true, true)
	p.code(t, next.GetSignedIn(), next)
	p.typed(t, webVisit("User.Read"), bob, bobPassword)
	p.asked(t, webVisit("Mail.Read"), bob, bobPassword)
}

func TestConsentOfAnAdministratorAlone(t *testing.T) {
	p := newPages(t, idp.Config{Tenants: withConsent("administrator", webApp)})
	next := p.password(t, p.page(t, webVisit("User.Read"), signInPage, 0), alice, alicePassword)
	wantKindOfPage(t, next.GetPage(), errorPage, aadsts.AdminConsentRequired, next)
	next = p.answerConsent(t, p.asked(t, webVisit("User.Read"), admin, adminPassword), true, false) // is for everybody
	p.code(t, next.GetSignedIn(), next)
	p.typed(t, webVisit("User.Read"), alice, alicePassword)
}

// Forms of another step, or of another page, are no answers.
func TestAttackConsentOfAnotherPage(t *testing.T) {
	p := newPages(t, idp.Config{Tenants: withConsent("required", webApp)})
	signIn := p.page(t, webVisit("User.Read"), signInPage, 0)
	page := p.asked(t, webVisit("User.Read"), alice, alicePassword)
	for name, forged := range map[string]*idpv1.SignInPage{
		"a sign-in page":     signIn,
		"another canary":     {FlowToken: page.GetFlowToken(), Canary: signIn.GetCanary()},
		"another flow token": {FlowToken: signIn.GetFlowToken(), Canary: page.GetCanary()},
	} {
		next := p.answerConsent(t, forged, true, false)
		if aadsts.Code(next.GetPage().GetErrorCode()) != aadsts.FlowTokenExpired {
			t.Errorf("%s: %v", name, next)
		}
	}
	next := p.password(t, page, alice, alicePassword)
	wantKindOfPage(t, next.GetPage(), errorPage, aadsts.FlowTokenExpired, next)
	next = p.answerConsent(t, page, true, false)
	p.code(t, next.GetSignedIn(), next)
	next = p.answerConsent(t, page, true, false) // going back in the browser signs nobody in again
	wantKindOfPage(t, next.GetPage(), errorPage, aadsts.FlowTokenExpired, next)
}

// TestConsentInTheSilentPaths: code, refresh token, on behalf of, password and PRT.
func TestConsentInTheSilentPaths(t *testing.T) {
	e := newEndpoint(t, withConsent("required", webApp, apiApp, portal))
	web := func(r *idpv1.RequestTokensRequest) *idpv1.RequestTokensRequest {
		r.ClientId, r.Proof = webApp, secretProof(webSecret)
		return r
	}
	code := func(scope string) string {
		a := e.signedIn(t, alice, webApp)
		a.Scope = scope
		return e.seal(t, a)
	}
	refused := func(name string, err error, oauth string) {
		t.Helper()
		row, _ := aadsts.Lookup(prterr.CodeOf(err))
		if prterr.CodeOf(err) != aadsts.ConsentRequired || row.OAuthError != oauth {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := e.ask(web(redemptionOf(v2, webApp, code("User.Read"))))
	refused("code", err, "invalid_grant")
	pw := web(passwordOf(v2, alice, alicePassword))
	_, err = e.ask(pw)
	refused("password", err, "invalid_grant")
	behalf := &idpv1.RequestTokensRequest{
		Tenant: contoso, Protocol: v2, ClientId: apiApp, Proof: secretProof(apiSecret), Scope: "User.Read",
		Grant: &idpv1.RequestTokensRequest_OnBehalfOf{OnBehalfOf: &idpv1.OnBehalfOfGrant{
			Assertion: e.must(t, redemptionOf(v2, cli, e.codeFor(t, alice, func(a *sealed.Artefact) { a.Scope = "api://contoso-api/access_as_user" }))).GetAccessToken(),
		}},
	}
	_, err = e.ask(behalf)
	refused("on behalf of", err, "invalid_grant")

	s := e.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
	prt := func(resource string) error {
		_, err := e.tokens.RedeemPRT(context.Background(), &idpv1.RedeemPRTRequest{Request: s.sign(t, s.redemption(t, portal, resource))})
		return err
	}
	refused("PRT", prt(graph), "invalid_grant")

	grant := func(app ids.ClientID, scopes ...string) {
		t.Helper()
		e.svc.Consent(t, alice, app, graph, scopes...)
	}
	grant(webApp, "User.Read")
	grant(apiApp, "User.Read")
	tokens := e.must(t, web(redemptionOf(v2, webApp, code("User.Read offline_access"))))
	e.must(t, web(refreshOf(v2, webApp, tokens.GetRefreshToken(), "User.Read")))
	_, err = e.ask(web(refreshOf(v2, webApp, tokens.GetRefreshToken(), "Mail.Read")))
	refused("refresh token for more", err, "invalid_grant")
	all := web(refreshOf(v1, webApp, tokens.GetRefreshToken(), ""))
	all.Resource = graph
	_, err = e.ask(all)
	refused("refresh token for all of the resource", err, "invalid_grant")
	e.must(t, behalf)
	grant(portal)
	if err := prt(graph); err != nil {
		t.Errorf("PRT: %v", err)
	}
	// An application that acts for itself does so in nobody's name.
	own := ownNameOf(v2, contoso, secretProof(webSecret))
	e.must(t, own)
}

// TestConsentOutlivesARestart: the rule that an operator set, and what was granted.
func TestConsentOutlivesARestart(t *testing.T) {
	cfg := idp.Config{StateDir: t.TempDir()}
	p := newPages(t, cfg)
	_, err := p.admin.PutApplication(context.Background(), &directoryv1.PutApplicationRequest{TenantId: contoso, Application: &directoryv1.Application{
		ClientId: webApp, Name: "Contoso Web", RedirectUris: []string{webURI}, Consent: "required",
	}})
	if err != nil {
		t.Fatal(err)
	}
	p.answerConsent(t, p.asked(t, webVisit("User.Read"), alice, alicePassword), true, false)
	if err := p.svc.Close(); err != nil {
		t.Fatal(err)
	}
	p = newPages(t, cfg)
	p.typed(t, webVisit("User.Read"), alice, alicePassword)
	p.asked(t, webVisit("User.Read"), bob, bobPassword)
}

// TestOperatorSeesAndRevokesConsent: per user, then everybody's; a deleted
// application's is gone.
func TestOperatorSeesAndRevokesConsent(t *testing.T) {
	ctx := context.Background()
	p := newPages(t, idp.Config{Tenants: withConsent("required", webApp)})
	for upn, password := range map[string]string{alice: alicePassword, bob: bobPassword} {
		p.answerConsent(t, p.asked(t, webVisit("User.Read"), upn, password), true, false)
	}
	list := func() []*directoryv1.Consent {
		t.Helper()
		a, err := p.read.ListConsents(ctx, &directoryv1.ListConsentsRequest{TenantId: contoso})
		if err != nil {
			t.Fatal(err)
		}
		return a.GetConsents()
	}
	if l := list(); len(l) != 2 || l[0].GetClientId() != webApp || l[0].GetResource() != graph || l[0].GetScopes()[0] != "User.Read" || l[0].GetUserPrincipalName() == "" {
		t.Errorf("%v", l)
	}
	if _, err := p.admin.RevokeConsent(ctx, &directoryv1.RevokeConsentRequest{TenantId: contoso, ClientId: webApp, UserPrincipalName: alice}); err != nil {
		t.Fatal(err)
	}
	p.asked(t, webVisit("User.Read"), alice, alicePassword)
	p.typed(t, webVisit("User.Read"), bob, bobPassword)
	for name, r := range map[string]*directoryv1.RevokeConsentRequest{
		"nothing there": {TenantId: contoso, ClientId: webApp, UserPrincipalName: alice}, "no application": {TenantId: contoso, ClientId: "x"}, "no tenant": {ClientId: webApp},
	} {
		if _, err := p.admin.RevokeConsent(ctx, r); prterr.KindOf(err) != prterr.NotFound && prterr.KindOf(err) != prterr.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	app := &directoryv1.Application{ClientId: webApp, Name: "Contoso Web", RedirectUris: []string{webURI}, Confidential: true}
	if _, err := p.admin.PutApplication(ctx, &directoryv1.PutApplicationRequest{TenantId: contoso, Application: app}); err != nil {
		t.Fatal(err)
	}
	p.asked(t, webVisit("User.Read"), alice, alicePassword) // who does not say leaves the rule
	app.Consent = "maybe"
	if _, err := p.admin.PutApplication(ctx, &directoryv1.PutApplicationRequest{TenantId: contoso, Application: app}); prterr.KindOf(err) != prterr.Invalid {
		t.Errorf("%v", err)
	}
	if _, err := p.admin.DeleteApplication(ctx, &directoryv1.DeleteApplicationRequest{TenantId: contoso, ClientId: webApp}); err != nil {
		t.Fatal(err)
	}
	app.Consent, app.Confidential = "required", false
	if _, err := p.admin.PutApplication(ctx, &directoryv1.PutApplicationRequest{TenantId: contoso, Application: app}); err != nil {
		t.Fatal(err)
	}
	if l := list(); len(l) != 0 {
		t.Errorf("%v", l)
	}
	p.asked(t, webVisit("User.Read"), bob, bobPassword)
	app.Consent = "none"
	if _, err := p.admin.PutApplication(ctx, &directoryv1.PutApplicationRequest{TenantId: contoso, Application: app}); err != nil {
		t.Fatal(err)
	}
	p.typed(t, webVisit("User.Read"), bob, bobPassword)
}
