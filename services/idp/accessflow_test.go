package idp_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// offered are the ids of the second factors on a page.
func offered(page *idpv1.SignInPage) []string {
	var out []string
	for _, m := range page.GetMethods() {
		out = append(out, m.GetMethodId())
	}
	return out
}

// The first factor is free; the page offers only what satisfies the strength, and
// tells a user of Windows Hello how to use it, because a page cannot ask for it.
func TestCA05_CA06_CA08_CA12_StrengthsOnThePages(t *testing.T) {
	p := newPages(t, idp.Config{})
	after := func(upn, password string, policy string) *idpv1.SignInPage {
		t.Helper()
		p.rules(t, rule(policy))
		next := p.password(t, p.page(t, &idpv1.AuthorizeRequest{Resource: graph}, signInPage, 0), upn, password)
		return next.GetPage()
	}
	page := after(mia, miaPassword, "grants: {strength: Multifactor authentication}")
	if got := offered(wantKindOfPage(t, page, factorPage, 0, page)); !slices.Contains(got, otp) || !slices.Contains(got, push) {
		t.Errorf("for any second factor %v is offered", got)
	}
	// She has nothing without a password: she is sent to register it.
	page = after(mia, miaPassword, "grants: {strength: Passwordless MFA}")
	if wantKindOfPage(t, page, idpv1.PageKind_PAGE_KIND_REGISTER_METHOD, aadsts.MFAEnrolmentRequired, page); page.GetRegisterUrl() == "" || page.GetGuidance() != "" {
		t.Errorf("%v", page)
	}
	// Nora's telephone signs in without a password; codes and text messages are not offered.
	page = after(nora, noraPassword, "grants: {strength: Passwordless MFA}")
	if got := offered(wantKindOfPage(t, page, factorPage, 0, page)); len(got) != 1 || got[0] != "CompanionAppsNotification" {
		t.Errorf("for %s %v is offered", "Passwordless MFA", got)
	}
	page = after(nora, noraPassword, "grants: {strength: Phishing-resistant MFA}")
	wantKindOfPage(t, page, idpv1.PageKind_PAGE_KIND_REGISTER_METHOD, aadsts.MFAEnrolmentRequired, page)

	// With a Windows Hello key, in the middle of a session: guidance, no question.
	d := p.join(t, alice, alicePassword, 1, 2)
	d.provision(t, alice, 3, time.Now())
	page = after(alice, alicePassword, "grants: {strength: Phishing-resistant MFA}")
	wantKindOfPage(t, page, idpv1.PageKind_PAGE_KIND_REGISTER_METHOD, aadsts.MFARequired, page)
	if !strings.Contains(page.GetGuidance(), "Windows Hello") || !strings.Contains(page.GetGuidance(), "restart") || len(page.GetMethods()) != 0 {
		t.Errorf("%v", page)
	}
	s := d.first(t, alice, alicePassword)
	n := p.nonce(t)
	a := p.visit(t, &idpv1.AuthorizeRequest{Resource: graph, SsoNonce: n, RefreshTokenCredential: s.sign(t, s.cookie(n))})
	if page := wantKindOfPage(t, a.GetSignInPage(), idpv1.PageKind_PAGE_KIND_REGISTER_METHOD, aadsts.MFARequired, a); page.GetGuidance() == "" {
		t.Errorf("%v", page)
	}
	_, err := p.redeemPRT(s.sign(t, s.redemption(t, office, graph)))
	wantCode(t, err, aadsts.MFARequired)
}

// Nothing that the user has is enough, and what would be is nothing that people register
// by themselves: it ends.
func TestCA06_NothingCanBeRegistered(t *testing.T) {
	p := newPages(t, idp.Config{})
	p.rules(t, rule("grants: {strength: Cards}"), "strengths: [{name: Cards, combinations: [[x509CertificateMultiFactor]]}]\n")
	next := p.password(t, p.page(t, &idpv1.AuthorizeRequest{Resource: graph}, signInPage, 0), mia, miaPassword)
	page := wantKindOfPage(t, next.GetPage(), errorPage, aadsts.ProofUpBlocked, next)
	if page.GetRegisterUrl() != "" || len(page.GetMethods()) != 0 || page.GetFlowToken() != "" {
		t.Errorf("%v", page)
	}
	if e := lastEvent(p.world); e.Code != aadsts.ProofUpBlocked || e.User != mia {
		t.Errorf("%+v", e)
	}
}

// Who signed in with Windows Hello passes without a word.
func TestCA05_CA12_MFA11_WindowsHelloPassesSilently(t *testing.T) {
	p := newPages(t, idp.Config{})
	d := p.join(t, alice, alicePassword, 1, 2)
	h := d.provision(t, alice, 3, time.Now())
	n := p.nonce(t)
	s := d.open(t, d.sign(t, h.request(t, n, h.assertion(t, time.Now(), n, nil))))
	for _, strength := range []string{"grant: mfa", "grants: {strength: Passwordless MFA}", "grants: {strength: Phishing-resistant MFA}"} {
		p.rules(t, rule(strength))
		s.tokens(t, s.redemption(t, office, graph))
		n := p.nonce(t)
		a := p.visit(t, &idpv1.AuthorizeRequest{Resource: graph, SsoNonce: n, RefreshTokenCredential: s.sign(t, s.cookie(n))})
		p.code(t, a.GetSignedIn(), a)
	}
}

// A strength and the control mfa exclude each other in the contract too, and a file
// that is wrong changes nothing.
func TestCA07_ThePolicyContractIsStrict(t *testing.T) {
	w := newWorld(t, idp.Config{})
	w.rules(t, rule("grant: device"))
	put := func(change func(*directoryv1.Policy)) error {
		p := &directoryv1.Policy{Name: "P", IncludeUsers: []string{"All"}, IncludeResources: []string{"All"}, AuthenticationStrength: "Passwordless MFA"}
		change(p)
		_, err := w.admin.PutPolicy(context.Background(), &directoryv1.PutPolicyRequest{TenantId: contoso, Policy: p})
		return err
	}
	for field, change := range map[string]func(*directoryv1.Policy){
		"policy.authentication_strength does not go with": func(p *directoryv1.Policy) { p.GrantControls = []string{"mfa"} },
		"policy.grant does not go with":                   func(p *directoryv1.Policy) { p.Grant = "mfa" },
		"policy.authentication_strength names no":         func(p *directoryv1.Policy) { p.AuthenticationStrength = "Mine" },
		"policy.grant_controls has block":                 func(p *directoryv1.Policy) { p.GrantControls = []string{"block"} },
		"policy.device_filter_rule":                       func(p *directoryv1.Policy) { p.DeviceFilterMode, p.DeviceFilterRule = "include", "device.model -eq 1" },
		"policy.include_locations names no":               func(p *directoryv1.Policy) { p.IncludeLocations = []string{"Home"} },
	} {
		if err := put(change); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("got %v, want %s", err, field)
		}
	}
	_, err := w.admin.ReplacePolicies(context.Background(), &directoryv1.ReplacePoliciesRequest{TenantId: contoso, Document: []byte("policies: [{id: x}]")})
	if err == nil || !strings.Contains(err.Error(), "line 1: policies[0].id") {
		t.Errorf("a wrong file: %v", err)
	}
	if err := put(func(p *directoryv1.Policy) {
		p.SignInRisks, p.AuthContexts, p.IncludeResources = []string{"high"}, []string{"c7"}, nil
	}); err != nil {
		t.Fatal(err)
	}
	a, err := w.read.ListPolicies(context.Background(), &directoryv1.ListPoliciesRequest{TenantId: contoso})
	if err != nil || len(a.GetPolicies()) != 2 {
		t.Fatalf("%v, %v", a, err)
	}
	if got := a.GetPolicies()[1]; got.GetAuthenticationStrength() != "Passwordless MFA" || got.GetAuthContexts()[0] != "c7" || got.GetSignInRisks()[0] != "high" {
		t.Errorf("%v", got)
	}
}

// phished is what somebody has who showed a victim a device code of the broker.
type phished struct {
	p       *pages
	victim  string
	refresh string
	access  string
}

// phish has the victim answer a device code for the registration service. It is
// refused where the code is typed, or gives tokens.
func phish(t testing.TB, p *pages, victim, password string) (phished, aadsts.Code) {
	t.Helper()
	f, err := p.grants.StartDeviceFlow(context.Background(), &idpv1.StartDeviceFlowRequest{
		Tenant: "common", Protocol: v1, ClientId: brokerApp, Resource: drs, Caller: from("198.51.100.66", "python-requests/2.32.3"),
	})
	if err != nil {
		t.Fatal(err)
	}
	next := p.password(t, p.typeCode(t, &idpv1.SubmitUserCodeRequest{UserCode: f.GetUserCode()}).GetPage(), victim, password)
	if next.GetPage().GetKind() == confirmPage {
		next = p.confirm(t, next.GetPage(), true)
	}
	code := aadsts.Code(next.GetPage().GetErrorCode())
	a, err := p.grants.RequestTokens(context.Background(), &idpv1.RequestTokensRequest{
		Tenant: "common", Protocol: v1, ClientId: brokerApp, Caller: from("198.51.100.66", "python-requests/2.32.3"),
		Grant: &idpv1.RequestTokensRequest_DeviceCode{DeviceCode: &idpv1.DeviceCodeGrant{DeviceCode: f.GetDeviceCode()}},
	})
	if (err == nil) != (code == 0) {
		t.Fatalf("the page said %v, the poll %v", code, err)
	}
	return phished{p, victim, a.GetTokens().GetRefreshToken(), a.GetTokens().GetAccessToken()}, code
}

// device registers a device of the attacker with the token.
func (v phished) device(t testing.TB, dk, tk int) *device {
	t.Helper()
	d := v.p.newDevice(dk, tk)
	r := d.enrolment(t, alice, alicePassword)
	r.AccessToken = v.access
	a, err := v.p.register(r)
	if err != nil {
		t.Fatal(err)
	}
	d.adopt(t, a.GetCertificate())
	return d
}

// Device-code phishing with the broker, a device of one's own, and a PRT: a policy
// stops it at the first step; without one it works, and the log says what it was.
func TestA14_CA14_DeviceCodePhishing(t *testing.T) {
	p := newPages(t, idp.Config{})
	p.rules(t, rule("grant: block, flows: [device_code, authentication_transfer]"))
	if _, code := phish(t, p, bob, bobPassword); code != aadsts.BlockedByPolicy {
		t.Errorf("blocked as %v", code)
	}
	p.wantPolicy(t, signinlog.WebSignIn, "failure", "")
	p.typed(t, &idpv1.AuthorizeRequest{Resource: graph}, bob, bobPassword) // nothing else is
	p.wantPolicy(t, signinlog.WebSignIn, "notApplied", "flows")

	p.rules(t)
	v, code := phish(t, p, bob, bobPassword)
	if code != 0 {
		t.Fatalf("without a policy: %v", code)
	}
	d := v.device(t, 1, 2)
	d.open(t, d.sign(t, p.roadtxUpgrade(t, v.refresh)))
	if e := p.last(t, signinlog.DeviceCode).Entra(); e.AppID != brokerApp || e.Protocol != "deviceCode" || e.UserPrincipalName != bob {
		t.Errorf("%+v", e)
	}
	// What came of the code is still known as such, so a policy stops it later too.
	p.rules(t, rule("grant: block, flows: [device_code]"))
	_, err := p.grants.RequestTokens(context.Background(), refreshOf(v2, brokerApp, v.refresh, graph+"/.default"))
	wantCode(t, err, aadsts.BlockedByPolicy)
}

// What comes of a transfer between devices carries its condition in the same way.
func TestCA14_AuthenticationTransfer(t *testing.T) {
	p := newPages(t, idp.Config{})
	p.rules(t, rule("grant: block, flows: [authentication_transfer]"))
	for origin, refused := range map[string]bool{"": false, tenant.FlowDeviceCode: false, tenant.FlowTransfer: true} {
		token := p.brokerToken(t, alice, func(a *sealed.Artefact) { a.Origin = origin })
		_, err := p.grants.RequestTokens(context.Background(), refreshOf(v2, brokerApp, token, graph+"/.default"))
		if (err != nil) != refused {
			t.Errorf("origin %q: %v", origin, err)
		}
	}
}

// In strict a refresh token of the broker becomes a PRT on the device that its own
// sign-in registered, within the hour; elsewhere the token must be bound to the device.
func TestA15_AttackUpgradesInStrict(t *testing.T) {
	setup := func(a *sealed.Artefact) { a.Resource = drs }
	for profile, loose := range map[string]bool{"today": true, "strict": false} {
		t.Run(profile, func(t *testing.T) {
			lab := clock.NewLab()
			w := newWorld(t, idp.Config{Tenants: withProfile(profile), Clock: lab})
			began := lab.Now()
			at := func(changes ...func(*sealed.Artefact)) string {
				return w.brokerToken(t, alice, func(a *sealed.Artefact) {
					a.AuthTime, a.Issued, a.Expires = began, began, began.Add(24*time.Hour)
					for _, c := range changes {
						c(a)
					}
				})
			}
			before := w.join(t, alice, alicePassword, 3, 4)
			lab.Advance(time.Minute)
			d := w.join(t, alice, alicePassword, 1, 2)
			upgrade := func(d *device, token string, taken bool) {
				t.Helper()
				a, err := w.requestPRT(d.sign(t, w.roadtxUpgrade(t, token)))
				if (err == nil) != taken {
					t.Errorf("got %v, %v", a != nil, err)
				}
				if err != nil {
					wantCode(t, err, aadsts.InvalidGrant)
				}
			}
			upgrade(d, at(setup), true)
			upgrade(d, at(func(a *sealed.Artefact) { a.Scope = "openid " + drs + "/.default" }), true)
			upgrade(d, at(), loose)                                                // not for setup
			upgrade(d, at(func(a *sealed.Artefact) { a.Resource = graph }), loose) // for something else
			upgrade(before, at(setup, func(a *sealed.Artefact) { a.AuthTime = began.Add(30 * time.Second) }), loose)
			others := w.join(t, bob, bobPassword, 5, 5)
			upgrade(others, at(setup), loose) // another user's device
			upgrade(d, at(bound(d)), true)    // of a sign-in on the device
			lab.Advance(58 * time.Minute)
			upgrade(d, at(setup), true)
			lab.Advance(2 * time.Minute)
			upgrade(d, at(setup), loose) // the hour is over
			upgrade(d, at(bound(d)), true)
		})
	}
}

// Who may register how they prove who they are, and from where.
func TestCA19_SecurityInfoFromAnAllowedPlace(t *testing.T) {
	p := newPages(t, idp.Config{})
	home, _ := p.svc.TenantOf(contoso)
	if _, known := home.Resource(tenant.SecurityInfoResource); !known {
		_, err := p.admin.PutApplication(context.Background(), &directoryv1.PutApplicationRequest{TenantId: contoso, Application: &directoryv1.Application{
			ClientId: string(ids.ClientID("5a5b0d2e-7c1c-4f39-8d0f-0d7a3b7c1eff")), Name: "My Sign-Ins", IdentifierUri: tenant.SecurityInfoResource,
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	ask := func(ip, resource string) error {
		r := passwordOf(v1, alice, alicePassword)
		r.Resource, r.Caller = resource, from(ip, firefoxLinux)
		_, err := p.grants.RequestTokens(context.Background(), r)
		return err
	}
	p.rules(t, rule("user_actions: [register_security_info], grant: block, include_locations: [All], exclude_locations: [Trusted]"))
	wantCode(t, ask("192.0.2.1", tenant.SecurityInfoResource), aadsts.ProofUpBlockedByPolicy)
	if err := ask("203.0.113.5", tenant.SecurityInfoResource); err != nil {
		t.Errorf("from the office: %v", err)
	}
	if err := ask("192.0.2.1", graph); err != nil {
		t.Errorf("another resource: %v", err)
	}
	next := p.password(t, p.page(t, &idpv1.AuthorizeRequest{Resource: tenant.SecurityInfoResource, Caller: from("192.0.2.1", firefoxLinux)}, signInPage, 0), alice, alicePassword)
	wantKindOfPage(t, next.GetPage(), errorPage, aadsts.ProofUpBlockedByPolicy, next)

	// Registering a device is an action as well, on every way to the token for it.
	p.rules(t, rule("user_actions: [register_device], grant: mfa"))
	_, err := p.devices.RequestRegistrationToken(context.Background(), &idpv1.RequestRegistrationTokenRequest{UserPrincipalName: mia, Password: miaPassword})
	wantCode(t, err, aadsts.MFARequired)
	wantCode(t, ask("192.0.2.1", drs), aadsts.MFAEnrolmentRequired)
	p.wantPolicy(t, signinlog.RegistrationToken, "failure", "")
}

// A session that a policy keeps or ends with its window.
func TestPersistentBrowserSessions(t *testing.T) {
	p := newPages(t, idp.Config{})
	for _, c := range []struct {
		policy     string
		stay, want bool
	}{{"persistent_browser: always", false, true}, {"persistent_browser: never", true, false}} {
		p.rules(t, rule(c.policy))
		page := p.page(t, &idpv1.AuthorizeRequest{Resource: graph}, signInPage, 0)
		a, err := p.forms.SubmitPassword(context.Background(), &idpv1.SubmitPasswordRequest{
			FlowToken: page.GetFlowToken(), Canary: page.GetCanary(), UserPrincipalName: alice, Password: alicePassword, Stay: c.stay,
		})
		if err != nil || a.GetNext().GetSignedIn() == nil || a.GetNext().GetSignedIn().GetPersistent() != c.want {
			t.Errorf("%s: %v, %v", c.policy, a, err)
		}
	}
}
