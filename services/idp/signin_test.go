package idp_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/lockout"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

const signInPage = idpv1.PageKind_PAGE_KIND_SIGN_IN

// TestWire20_AfterThePasswordTheAnswer: no page asks whether to stay signed in.
func TestWire20_AfterThePasswordTheAnswer(t *testing.T) {
	p := newPages(t, idp.Config{})
	// The request of libhimmelblau's enrolment.
	r := &idpv1.AuthorizeRequest{
		Tenant: "common", ClientId: "29d9ed98-a469-4536-ade2-f981bc1d605e", RedirectUri: "msauth://Microsoft.AAD.BrokerPlugin", Prompt: "login",
		Scope: "openid profile offline_access", Resource: "0000000a-0000-0000-c000-000000000000", ResponseMode: "query", SsoReload: true,
	}
	page := p.page(t, r, signInPage, 0)
	if page.GetSessionId() == "" || page.GetCanary() == "" || page.GetFlowToken() == "" || page.GetApplication() != "Microsoft Authentication Broker" || page.GetSsoNonce() == "" {
		t.Errorf("%v", page)
	}
	next := p.password(t, page, alice, alicePassword)
	c := p.code(t, next.GetSignedIn(), next)
	if c.Resource != "https://api.manage.microsoft.com/" || len(c.AMR) != 1 || c.AMR[0] != "pwd" || next.GetSignedIn().GetPersistent() {
		t.Errorf("%+v", c)
	}
	if e := lastEvent(p.world); e.Flow != signinlog.WebSignIn || e.Outcome != signinlog.Success || e.User != alice || e.Correlation == "" {
		t.Errorf("%+v", e)
	}
	a, err := p.forms.SubmitPassword(context.Background(), &idpv1.SubmitPasswordRequest{
		FlowToken: page.GetFlowToken(), Canary: page.GetCanary(), UserPrincipalName: alice, Password: alicePassword, Stay: true,
	})
	if err != nil || !a.GetNext().GetSignedIn().GetPersistent() {
		t.Errorf("%v, %v", a, err)
	}
}

// TestAttack35_NothingTellsWhoExists: unknown user, unknown domain, wrong
// password and a locked name look alike but for the name that was typed.
func TestAttack35_NothingTellsWhoExists(t *testing.T) {
	lab := clock.NewLab()
	p := newPages(t, idp.Config{Clock: lab, Tenants: withProfile("strict")})
	names := []string{bob, "nobody@contoso.test", "nobody@nowhere.test"}
	shape := func(n *idpv1.NextAction) string {
		page := proto.CloneOf(n.GetPage())
		page.FlowToken, page.Canary, page.SessionId, page.SsoNonce, page.UserPrincipalName = "", "", "", "", ""
		return page.String()
	}
	for try := range lockout.Limit + 2 {
		var first string
		for i, name := range names {
			next := p.password(t, p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0), name, "wrong")
			want := aadsts.InvalidCredentials
			if try >= lockout.Limit {
				want = aadsts.AccountLocked
			}
			wantKindOfPage(t, next.GetPage(), signInPage, want, next)
			if i == 0 {
				first = shape(next)
			} else if got := shape(next); got != first {
				t.Errorf("%s: %s, not %s", name, got, first)
			}
		}
	}
	next := p.password(t, p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0), bob, bobPassword)
	wantKindOfPage(t, next.GetPage(), signInPage, aadsts.AccountLocked, next)
	lab.Advance(lockout.Pause + time.Second)
	p.typed(t, &idpv1.AuthorizeRequest{}, bob, bobPassword)

	var first *idpv1.DiscoverCredentialsResponse
	for _, name := range names[:2] {
		a, err := p.forms.DiscoverCredentials(context.Background(), &idpv1.DiscoverCredentialsRequest{UserPrincipalName: name})
		if err != nil || !a.GetExists() || !a.GetHasPassword() || !a.GetDomainKnown() {
			t.Fatalf("%v, %v", a, err)
		}
		a.UserPrincipalName = ""
		if first == nil {
			first = a
		} else if !proto.Equal(first, a) {
			t.Errorf("%v, not %v", a, first)
		}
	}
	a, err := p.forms.DiscoverCredentials(context.Background(), &idpv1.DiscoverCredentialsRequest{UserPrincipalName: names[2]})
	if err != nil || a.GetDomainKnown() || a.GetHasPassword() {
		t.Errorf("%v, %v", a, err)
	}
}

// TestFormsOfOthersAreRefused: without the canary, changed, of another page, too
// old, or made up.
func TestFormsOfOthersAreRefused(t *testing.T) {
	lab := clock.NewLab()
	p := newPages(t, idp.Config{Clock: lab})
	page, other := p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0), p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0)
	submit := func(token, canary string) *idpv1.NextAction {
		return p.password(t, &idpv1.SignInPage{FlowToken: token, Canary: canary}, alice, alicePassword)
	}
	raw := []byte(page.GetFlowToken())
	raw[len(raw)-5] ^= 1
	_, signedIn := p.typed(t, &idpv1.AuthorizeRequest{}, bob, bobPassword)
	for name, f := range map[string][2]string{
		"no canary":      {page.GetFlowToken(), ""},
		"another canary": {page.GetFlowToken(), other.GetCanary()},
		"no token":       {"", page.GetCanary()},
		"changed":        {string(raw), page.GetCanary()},
		"a cookie":       {signedIn.GetSessionCookie(), page.GetCanary()},
		"a code":         {signedIn.GetCode(), page.GetCanary()},
	} {
		t.Run(name, func(t *testing.T) {
			next := submit(f[0], f[1])
			wantKindOfPage(t, next.GetPage(), idpv1.PageKind_PAGE_KIND_ERROR, aadsts.FlowTokenExpired, next)
		})
	}
	ctx, form := context.Background(), &idpv1.CompleteMethodRequest{FlowToken: page.GetFlowToken(), Canary: page.GetCanary()}
	if a, err := p.forms.CompleteMethod(ctx, form); err != nil || aadsts.Code(a.GetNext().GetPage().GetErrorCode()) != aadsts.FlowTokenExpired {
		t.Errorf("a password page passed for one of a second factor: %v, %v", a, err)
	}
	a, err := p.forms.ConfirmDevice(ctx, &idpv1.ConfirmDeviceRequest{FlowToken: page.GetFlowToken(), Canary: page.GetCanary(), Confirm: true})
	if err != nil || aadsts.Code(a.GetNext().GetPage().GetErrorCode()) != aadsts.FlowTokenExpired {
		t.Errorf("a password page passed for one of a device: %v, %v", a, err)
	}
	factor := p.factor(t, &idpv1.AuthorizeRequest{})
	r, err := p.forms.ResumeSignIn(ctx, &idpv1.ResumeSignInRequest{FlowToken: factor.GetFlowToken()})
	if err != nil || aadsts.Code(r.GetNext().GetPage().GetErrorCode()) != aadsts.FlowTokenExpired {
		t.Errorf("a page of a second factor was resumed: %v, %v", r, err)
	}
	lab.Advance(61 * time.Minute)
	next := submit(page.GetFlowToken(), page.GetCanary())
	wantKindOfPage(t, next.GetPage(), idpv1.PageKind_PAGE_KIND_ERROR, aadsts.FlowTokenExpired, next)
}

// TestBRO12_BRO13_BRO17_Attack21_TheDeviceOfOneAccount: it counts for the other accounts of the same tenant, and
// the log names both. Nothing of it crosses to another tenant (attack 21).
func TestBRO12_BRO13_BRO17_Attack21_TheDeviceOfOneAccount(t *testing.T) {
	p := newPages(t, idp.Config{})
	d := p.join(t, alice, alicePassword, 1, 2)
	s := d.first(t, alice, alicePassword)
	// roadtx browserprtinject: sent back for a nonce even with prompt=login.
	login := func() *idpv1.SignInPage {
		n := p.visit(t, &idpv1.AuthorizeRequest{Prompt: "login", RefreshTokenCredential: s.dated(t, time.Now())}).GetNonceChallenge().GetSsoNonce()
		return p.page(t, &idpv1.AuthorizeRequest{Prompt: "login", SsoNonce: n, RefreshTokenCredential: s.sign(t, s.cookie(n))}, signInPage, 0)
	}
	t.Run("BRO17", func(t *testing.T) {
		for _, prompt := range []string{"login", "select_account", "create"} {
			n := p.nonce(t)
			page := p.page(t, &idpv1.AuthorizeRequest{Prompt: prompt, SsoNonce: n, RefreshTokenCredential: s.sign(t, s.cookie(n))}, signInPage, 0)
			n = page.GetSsoNonce()
			a, err := p.forms.ResumeSignIn(context.Background(), &idpv1.ResumeSignInRequest{
				FlowToken: page.GetFlowToken(), SsoNonce: n, RefreshTokenCredential: s.sign(t, s.cookie(n)),
			})
			if err != nil || a.GetNext().GetPage().GetKind() != signInPage {
				t.Errorf("%s: resumed to %v, %v", prompt, a, err)
			}
		}
		n := p.nonce(t)
		p.silent(t, &idpv1.AuthorizeRequest{Prompt: "consent", SsoNonce: n, RefreshTokenCredential: s.sign(t, s.cookie(n))})
	})
	t.Run("BRO12", func(t *testing.T) {
		next := p.password(t, login(), bob, bobPassword)
		c := p.code(t, next.GetSignedIn(), next)
		if string(c.Device) != d.id || !c.SessionKey.Empty() || len(c.AMR) != 1 {
			t.Errorf("%+v", c)
		}
		if e := lastEvent(p.world); e.User != bob || string(e.Device) != d.id || e.Reason != "the device was authenticated by the account of "+alice {
			t.Errorf("%+v", e)
		}
		// The cookie of that session can be copied, so it says nothing of a device.
		cookie, err := p.svc.Authority().Open(sealed.Cookie, secret.NewText(next.GetSignedIn().GetSessionCookie()))
		if err != nil || cookie.Device != "" || cookie.Certificate != [32]byte{} || !cookie.SessionKey.Empty() || cookie.Scope != "" {
			t.Errorf("%+v, %v", cookie, err)
		}
		c, _ = p.silent(t, &idpv1.AuthorizeRequest{SessionCookie: next.GetSignedIn().GetSessionCookie()})
		if c.Device != "" {
			t.Errorf("a cookie alone carries device %s", c.Device)
		}
	})
	t.Run("BRO12 beside the form", func(t *testing.T) {
		page := p.page(t, &idpv1.AuthorizeRequest{Prompt: "login"}, signInPage, 0)
		a, err := p.forms.SubmitPassword(context.Background(), &idpv1.SubmitPasswordRequest{
			FlowToken: page.GetFlowToken(), Canary: page.GetCanary(), UserPrincipalName: bob, Password: bobPassword,
			RefreshTokenCredential: s.sign(t, s.cookie(p.nonce(t))),
		})
		if err != nil {
			t.Fatal(err)
		}
		if c := p.code(t, a.GetNext().GetSignedIn(), a); string(c.Device) != d.id || string(c.User) == "" {
			t.Errorf("%+v", c)
		}
	})
	t.Run("BRO13", func(t *testing.T) {
		next := p.password(t, login(), frank, frankPassword)
		if c := p.code(t, next.GetSignedIn(), next); c.Device != "" || string(c.Tenant) != fabrikam {
			t.Errorf("%+v", c)
		}
		if e := lastEvent(p.world); e.Device != "" || e.Reason != "" {
			t.Errorf("%+v", e)
		}
	})
	t.Run("a device that is disabled meanwhile", func(t *testing.T) {
		page := login()
		setDevice(t, p.world, d.id, false)
		next := p.password(t, page, bob, bobPassword)
		if c := p.code(t, next.GetSignedIn(), next); c.Device != "" {
			t.Errorf("%+v", c)
		}
	})
}

// TestBRO19_SignOutEndsTheSession: no copy of its cookie does anything, and going
// back in the browser does not bring it back.
func TestBRO19_SignOutEndsTheSession(t *testing.T) {
	lab := clock.NewLab()
	p := newPages(t, idp.Config{Clock: lab})
	ctx := context.Background()
	out := func(r *idpv1.SignOutRequest) string {
		t.Helper()
		a, err := p.forms.SignOut(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		return a.GetRedirectUri()
	}
	c, s := p.typed(t, &idpv1.AuthorizeRequest{}, alice, alicePassword)
	again, kept := p.silent(t, &idpv1.AuthorizeRequest{SessionCookie: s.GetSessionCookie()})
	if again.SessionID != c.SessionID || kept.GetSessionState() != s.GetSessionState() || !again.AuthTime.Equal(c.AuthTime) {
		t.Errorf("the session did not go on: %+v", again)
	}
	portalOut := "https://portal.contoso.test/"
	if got := out(&idpv1.SignOutRequest{SessionCookie: s.GetSessionCookie(), PostLogoutRedirectUri: portalOut}); got != portalOut {
		t.Errorf("to %q", got)
	}
	for _, cookie := range []string{s.GetSessionCookie(), kept.GetSessionCookie()} {
		p.page(t, &idpv1.AuthorizeRequest{SessionCookie: cookie}, signInPage, 0)
		p.refused(t, &idpv1.AuthorizeRequest{SessionCookie: cookie, Prompt: "none"}, aadsts.UserInformationMissing)
	}
	for name, r := range map[string]*idpv1.SignOutRequest{
		"foreign":               {PostLogoutRedirectUri: "https://evil.test/"},
		"registered elsewise":   {PostLogoutRedirectUri: portalURI},
		"another application's": {PostLogoutRedirectUri: portalOut, ClientId: cli},
		"nowhere":               {SessionCookie: "garbage", IdTokenHint: "garbage"},
	} {
		if got := out(r); got != "" {
			t.Errorf("%s: sent to %q", name, got)
		}
	}
	if got := out(&idpv1.SignOutRequest{PostLogoutRedirectUri: portalOut, ClientId: portal}); got != portalOut {
		t.Errorf("to %q", got)
	}
	t.Run("of a device", func(t *testing.T) {
		d := p.join(t, alice, alicePassword, 1, 2)
		prt := d.first(t, alice, alicePassword)
		visit := func(cookie string) *idpv1.AuthorizeRequest {
			n := p.nonce(t)
			return &idpv1.AuthorizeRequest{SsoNonce: n, SessionCookie: cookie, RefreshTokenCredential: prt.sign(t, prt.cookie(n))}
		}
		one, s := p.silent(t, visit(""))
		two, _ := p.silent(t, visit(s.GetSessionCookie()))
		p.page(t, &idpv1.AuthorizeRequest{SessionCookie: s.GetSessionCookie()}, signInPage, 0)
		out(&idpv1.SignOutRequest{SessionCookie: s.GetSessionCookie()})
		three, s := p.silent(t, visit(s.GetSessionCookie()))
		if one.SessionID != two.SessionID || one.SessionID == three.SessionID {
			t.Errorf("sessions %s, %s, after signing out %s", one.SessionID, two.SessionID, three.SessionID)
		}
		// Another session key of the same user on the same device: another session.
		prt = d.first(t, alice, alicePassword)
		if four, _ := p.silent(t, visit(s.GetSessionCookie())); four.SessionID == three.SessionID {
			t.Error("a session went on under another session key")
		}
		// The device's own browser too.
		session := func(cookie string) string {
			a, err := p.svc.Authority().Open(sealed.Cookie, secret.NewText(cookie))
			if err != nil {
				t.Fatal(err)
			}
			return a.SessionID
		}
		a := p.signedIn(t, prt, "").GetSessionCookie()
		b := p.signedIn(t, prt, a).GetSessionCookie()
		out(&idpv1.SignOutRequest{SessionCookie: a})
		if c := p.signedIn(t, prt, b).GetSessionCookie(); session(a) != session(b) || session(a) == session(c) {
			t.Error("the session of the device's own browser did not end")
		}
	})
	t.Run("between two pages", func(t *testing.T) {
		page := p.factor(t, &idpv1.AuthorizeRequest{})
		b := p.begin(t, page, otp)
		in := p.complete(t, p.check(t, b.GetFlowToken(), otp, "", p.shown(t)).GetFlowToken(), page.GetCanary()).GetSignedIn()
		lab.Advance(11 * time.Minute)
		page = p.page(t, &idpv1.AuthorizeRequest{AmrValues: "ngcmfa", SessionCookie: in.GetSessionCookie()}, factorPage, 0)
		b = p.begin(t, page, otp)
		checked := p.check(t, b.GetFlowToken(), otp, "", p.shown(t))
		out(&idpv1.SignOutRequest{SessionCookie: in.GetSessionCookie()})
		next := p.complete(t, checked.GetFlowToken(), page.GetCanary())
		wantKindOfPage(t, next.GetPage(), errorPage, aadsts.FlowTokenExpired, next)
	})
}

// TestSessionsDieWithWhatTheyRestOn: user, password, revocation, time.
func TestSessionsDieWithWhatTheyRestOn(t *testing.T) {
	lab := clock.NewLab()
	p := newPages(t, idp.Config{Clock: lab})
	_, s := p.typed(t, &idpv1.AuthorizeRequest{}, alice, alicePassword)
	change := func(f func(*store.User)) {
		t.Helper()
		err := p.svc.Store().UpdateUser(context.Background(), contoso, "1f6b0a5c-8f0d-4a53-9d3c-2f6f2c1d7a01", func(u *store.User) error {
			f(u)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	dead := func() { p.page(t, &idpv1.AuthorizeRequest{SessionCookie: s.GetSessionCookie()}, signInPage, 0) }
	p.silent(t, &idpv1.AuthorizeRequest{SessionCookie: s.GetSessionCookie()})
	change(func(u *store.User) { u.PasswordEpoch++ })
	dead()
	change(func(u *store.User) { u.PasswordEpoch--; u.SessionEpoch++ })
	dead()
	change(func(u *store.User) { u.SessionEpoch--; u.Enabled = false })
	dead()
	next := p.password(t, p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0), alice, alicePassword)
	wantKindOfPage(t, next.GetPage(), signInPage, aadsts.UserDisabled, next)
	change(func(u *store.User) { u.Enabled = true })
	p.silent(t, &idpv1.AuthorizeRequest{SessionCookie: s.GetSessionCookie()})
	lab.Advance(25 * time.Hour)
	dead()
}

// TestPasswordThatMustBeChanged: the new one is good, the old one is not.
func TestPasswordThatMustBeChanged(t *testing.T) {
	p := newPages(t, idp.Config{Tenants: withUser("password: the first password", "must_change_password: true")})
	const eve, first, second = "eve@contoso.test", "the first password", "the second password"
	ctx := context.Background()
	began := p.userOf(t, eve).PasswordEpoch
	page := p.password(t, p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0), eve, first).GetPage()
	wantKindOfPage(t, page, idpv1.PageKind_PAGE_KIND_CHANGE_PASSWORD, 0, page)
	change := func(old, next string) *idpv1.NextAction {
		t.Helper()
		a, err := p.forms.ChangePassword(ctx, &idpv1.ChangePasswordRequest{FlowToken: page.GetFlowToken(), Password: old, NewPassword: next})
		if err != nil {
			t.Fatal(err)
		}
		return a.GetNext()
	}
	for _, bad := range [][2]string{{"wrong", second}, {first, "short"}, {first, first}} {
		if got := change(bad[0], bad[1]).GetPage(); got.GetKind() != idpv1.PageKind_PAGE_KIND_CHANGE_PASSWORD || got.GetErrorCode() == 0 {
			t.Errorf("%v: %v", bad, got)
		}
	}
	resume := func() *idpv1.NextAction {
		t.Helper()
		a, err := p.forms.ResumeSignIn(ctx, &idpv1.ResumeSignInRequest{FlowToken: page.GetFlowToken()})
		if err != nil {
			t.Fatal(err)
		}
		return a.GetNext()
	}
	early := resume()
	wantKindOfPage(t, early.GetPage(), idpv1.PageKind_PAGE_KIND_CHANGE_PASSWORD, aadsts.PasswordExpired, early)
	next := change(first, second)
	c := p.code(t, next.GetSignedIn(), next)
	// libhimmelblau changes it beside the page and then posts the page's form.
	resumed := resume()
	if again := p.code(t, resumed.GetSignedIn(), resumed); again.PasswordEpoch != began+1 || again.SessionID != c.SessionID {
		t.Errorf("%+v", again)
	}
	late := resume()
	wantKindOfPage(t, late.GetPage(), idpv1.PageKind_PAGE_KIND_CHANGE_PASSWORD, aadsts.PasswordExpired, late)
	if c.PasswordEpoch != began+1 {
		t.Errorf("%+v", c)
	}
	p.typed(t, &idpv1.AuthorizeRequest{}, eve, second)
	old := p.password(t, p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0), eve, first)
	wantKindOfPage(t, old.GetPage(), signInPage, aadsts.InvalidCredentials, old)
}

// TestFederatedUsersSignInElsewhere, and come back with an assertion.
func TestFederatedUsersSignInElsewhere(t *testing.T) {
	p := newPages(t, idp.Config{Tenants: federated(t), Assertions: oneAssertion{idp.Subject{ImmutableID: "zK4iG3pNEkWyVd0kX8a2jQ==", UPN: carol}}})
	ctx := context.Background()
	for name, url := range map[string]string{
		"login_hint":  p.visit(t, &idpv1.AuthorizeRequest{LoginHint: carol}).GetElsewhere().GetUrl(),
		"domain_hint": p.visit(t, &idpv1.AuthorizeRequest{DomainHint: "Adatum.test", Tenant: fabrikam}).GetElsewhere().GetUrl(),
		"typed":       p.password(t, p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0), carol, "never sent anywhere").GetElsewhere().GetUrl(),
	} {
		t.Run(name, func(t *testing.T) {
			wctx := passive(t, url)
			submit := func(xml, wctx string) *idpv1.NextAction {
				a, err := p.forms.SubmitAssertion(ctx, &idpv1.SubmitAssertionRequest{SamlAssertion: xml, Context: wctx})
				if err != nil {
					t.Fatal(err)
				}
				return a.GetNext()
			}
			for _, bad := range []*idpv1.NextAction{submit("<bad/>", wctx), submit("<good/>", ""), submit("<good/>", p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0).GetFlowToken())} {
				if bad.GetPage().GetKind() != idpv1.PageKind_PAGE_KIND_ERROR {
					t.Errorf("%v", bad)
				}
			}
			next := submit("<good/>", wctx)
			if c := p.code(t, next.GetSignedIn(), next); string(c.Tenant) != fabrikam || c.AMR[0] != "fed" || c.Credential != "saml" {
				t.Errorf("%+v", c)
			}
		})
	}
	a, err := p.forms.DiscoverCredentials(ctx, &idpv1.DiscoverCredentialsRequest{UserPrincipalName: carol})
	if err != nil || a.GetHasPassword() || a.GetFederationUrl() == "" {
		t.Errorf("%v, %v", a, err)
	}
	p.page(t, &idpv1.AuthorizeRequest{DomainHint: "adatum.test", Tenant: contoso}, signInPage, 0)
	p.refused(t, &idpv1.AuthorizeRequest{LoginHint: carol, Prompt: "none"}, aadsts.UserInformationMissing)
}

// TestLockoutCountsAttemptsAtOnce: many at a time are not more than the limit.
func TestLockoutCountsAttemptsAtOnce(t *testing.T) {
	lab := clock.NewLab()
	c := lockout.New(lab)
	for i := range lockout.Limit + 3 {
		if err := c.Try(t.Context(), "a"); (err != nil) != (i >= lockout.Limit) || err != nil && prterr.CodeOf(err) != aadsts.AccountLocked {
			t.Errorf("attempt %d: %v", i, err)
		}
	}
	if c.Try(t.Context(), "b") != nil {
		t.Error("another name is locked too")
	}
	lab.Advance(lockout.Pause)
	if c.Try(t.Context(), "a") != nil || c.Try(t.Context(), "a") == nil {
		t.Error("after the pause one attempt is taken, and then none")
	}
	lab.Advance(lockout.Pause)
	if c.Try(t.Context(), "a") != nil {
		t.Error("locked for longer than the pause")
	}
	c.Right(t.Context(), "a")
	if c.Try(t.Context(), "a") != nil {
		t.Error("locked after a good one")
	}
}
