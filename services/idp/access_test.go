package idp_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

const (
	edgeWindows = chromeWindows + " Edg/131.0.0.0"
	policyID    = "3b1f8a52-9c77-4d0e-8a26-6e2f4b9d0a99"
)

// rules puts policies in force in Contoso: the lines of one, and whatever else stands
// in the file. Two policies are two calls of rule.
func (w *world) rules(t testing.TB, policies ...string) {
	t.Helper()
	file := "locations:\n  - {name: Office, ranges: [203.0.113.0/24], trusted: true}\npolicies:\n"
	if len(policies) == 0 {
		file = "policies: []\n"
	}
	_, err := w.admin.ReplacePolicies(context.Background(), &directoryv1.ReplacePoliciesRequest{TenantId: contoso, Document: []byte(file + strings.Join(policies, ""))})
	if err != nil {
		t.Fatal(err)
	}
}

// rule is a policy on everybody and everything, with these members in YAML besides.
func rule(members string) string {
	return numbered(policyID, members)
}

func numbered(id, members string) string {
	if !strings.Contains(members, "include_resources") && !strings.Contains(members, "user_actions") && !strings.Contains(members, "auth_contexts") {
		members += ", include_resources: [All]"
	}
	return fmt.Sprintf("  - {id: %s, name: For a test, include_users: [All], %s}\n", id, members)
}

// last is the newest event of a flow.
func (w *world) last(t testing.TB, flow signinlog.Flow) idp.Event {
	t.Helper()
	for _, e := range slices.Backward(w.svc.SignIns()) {
		if e.Flow == flow {
			return e
		}
	}
	t.Fatalf("no event of %s", flow)
	return idp.Event{}
}

// wantPolicy is what the newest event of a flow must say of the first policy.
func (w *world) wantPolicy(t testing.TB, flow signinlog.Flow, result, because string) {
	t.Helper()
	e := w.last(t, flow)
	if len(e.Policies) == 0 || e.Policies[0].Result != result || e.Policies[0].Because != because {
		t.Errorf("%s logged %+v, want %s because of %q", flow, e.Policies, result, because)
	}
}

// from is a caller at the front.
func from(ip, agent string) *idpv1.Caller { return &idpv1.Caller{IpAddress: ip, UserAgent: agent} }

// A policy that blocks everything stops what is used, and neither the first PRT nor
// its renewal.
func TestISS18_REN11_CA01_PoliciesAreAskedAtUseOnly(t *testing.T) {
	for carrier, https := range map[string]bool{"gRPC": false, "HTTPS": true} {
		t.Run(carrier, func(t *testing.T) {
			p := newPages(t, idp.Config{})
			if https {
				overWire(t, p.world)
			}
			d := p.join(t, alice, alicePassword, 1, 2)
			p.rules(t, rule("grant: block"))
			s := d.first(t, alice, alicePassword)
			if e := p.last(t, signinlog.IssuePRT); e.Outcome != signinlog.Success || e.Policies != nil {
				t.Errorf("issued as %+v", e)
			}
			_, err := p.redeemPRT(s.sign(t, s.redemption(t, office, graph)))
			wantCode(t, err, aadsts.BlockedByPolicy)
			p.wantPolicy(t, signinlog.RedeemPRT, "failure", "")

			p.rules(t)
			s.tokens(t, s.redemption(t, office, graph))
			p.rules(t, rule("grant: block")) // in the middle of the life of the PRT
			renewed, _ := s.renew(t, s.renewal(t))
			if e := p.last(t, signinlog.RenewPRT); e.Outcome != signinlog.Success || e.Policies != nil {
				t.Errorf("renewed as %+v", e)
			}
			_, err = p.redeemPRT(renewed.sign(t, renewed.redemption(t, office, graph)))
			wantCode(t, err, aadsts.BlockedByPolicy)

			// In a browser the same: with the PRT, and with a password.
			n := p.nonce(t)
			a := p.visit(t, &idpv1.AuthorizeRequest{Resource: graph, SsoNonce: n, RefreshTokenCredential: renewed.sign(t, renewed.cookie(n))})
			wantKindOfPage(t, a.GetSignInPage(), errorPage, aadsts.BlockedByPolicy, a)
			next := p.password(t, p.page(t, &idpv1.AuthorizeRequest{Resource: graph}, signInPage, 0), alice, alicePassword)
			wantKindOfPage(t, next.GetPage(), errorPage, aadsts.BlockedByPolicy, next)
			n = p.nonce(t)
			_, err = p.sessions.Authorize(context.Background(), &idpv1.AuthorizeRequest{
				ClientId: portal, RedirectUri: portalURI, SsoNonce: n, RefreshTokenCredential: renewed.sign(t, renewed.cookie(n)),
			})
			wantCode(t, err, aadsts.BlockedByPolicy)
			p.wantPolicy(t, signinlog.WebSignIn, "failure", "")
		})
	}
}

// The device that authenticated decides, and tokens name it exactly then.
func TestAPP15_CA02_CA03_DevicesAtUse(t *testing.T) {
	p := newPages(t, idp.Config{})
	d := p.join(t, alice, alicePassword, 1, 2)
	s := d.first(t, alice, alicePassword)
	password := func() (*idpv1.TokenSet, error) {
		a, err := p.grants.RequestTokens(context.Background(), passwordOf(v2, alice, alicePassword))
		return a.GetTokens(), err
	}
	p.rules(t)
	if c := p.accessToken(t, s.tokens(t, s.redemption(t, office, graph)).AccessToken); c.DeviceID != d.id {
		t.Errorf("a token of the device says %q", c.DeviceID)
	}
	bare, err := password()
	if err != nil {
		t.Fatal(err)
	}
	if c := p.accessToken(t, secretText(bare.GetAccessToken())); c.DeviceID != "" {
		t.Errorf("a token without a device says %q", c.DeviceID)
	}

	p.rules(t, rule("grant: compliant_device"))
	_, err = p.redeemPRT(s.sign(t, s.redemption(t, office, graph)))
	wantCode(t, err, aadsts.DeviceNotCompliant)
	_, err = password()
	wantCode(t, err, aadsts.DeviceAuthenticationRequired)
	compliant(t, p.world, d, true)
	s.tokens(t, s.redemption(t, office, graph)) // silent
	p.wantPolicy(t, signinlog.RedeemPRT, "success", "")

	p.rules(t, rule("grant: hybrid_joined_device"))
	_, err = p.redeemPRT(s.sign(t, s.redemption(t, office, graph)))
	wantCode(t, err, aadsts.DeviceNotDomainJoined)
	p.rules(t, rule("grants: {operator: or, controls: [hybrid_joined_device, compliant_device]}"))
	s.tokens(t, s.redemption(t, office, graph))
}

// The platform is the device object's when one authenticated, else the agent's word.
func TestCA04_Platform(t *testing.T) {
	p := newPages(t, idp.Config{})
	d := p.join(t, alice, alicePassword, 1, 2)
	s := d.first(t, alice, alicePassword)
	p.rules(t, rule("grant: block, platforms: [windows]"))
	at := func(agent string) *idpv1.AuthorizeRequest {
		return &idpv1.AuthorizeRequest{Resource: graph, SsoReload: true, Caller: from("192.0.2.1", agent)}
	}
	signIn := func(r *idpv1.AuthorizeRequest) *idpv1.NextAction {
		page := p.page(t, r, signInPage, 0)
		a, err := p.forms.SubmitPassword(context.Background(), &idpv1.SubmitPasswordRequest{
			FlowToken: page.GetFlowToken(), Canary: page.GetCanary(), UserPrincipalName: alice, Password: alicePassword, Caller: r.GetCaller(),
		})
		if err != nil {
			t.Fatal(err)
		}
		return a.GetNext()
	}
	next := signIn(at(edgeWindows))
	wantKindOfPage(t, next.GetPage(), errorPage, aadsts.BlockedByPolicy, next)
	next = signIn(at(firefoxLinux))
	p.code(t, next.GetSignedIn(), next)
	p.wantPolicy(t, signinlog.WebSignIn, "notApplied", "platforms")

	withPRT := func(agent string) *idpv1.AuthorizeResponse {
		r, n := at(agent), p.nonce(t)
		r.SsoNonce, r.RefreshTokenCredential = n, s.sign(t, s.cookie(n))
		return p.visit(t, r)
	}
	s.tokens(t, s.redemption(t, office, graph)) // its device is a Linux one
	a := withPRT(edgeWindows)                   // whatever its browser says
	p.code(t, a.GetSignedIn(), a)
	err := p.svc.Store().UpdateDevice(context.Background(), ids.DeviceID(d.id), func(dev *store.Device) error {
		dev.Type = "Windows"
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.redeemPRT(s.sign(t, s.redemption(t, office, graph)))
	wantCode(t, err, aadsts.BlockedByPolicy)
	a = withPRT(firefoxLinux)
	wantKindOfPage(t, a.GetSignInPage(), errorPage, aadsts.BlockedByPolicy, a)
}

func TestCA15_DeviceFilterAtUse(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 2)
	s := d.first(t, alice, alicePassword)
	blocks := func(filter string) bool {
		t.Helper()
		w.rules(t, rule("grant: block, device_filter: "+filter))
		_, err := w.redeemPRT(s.sign(t, s.redemption(t, office, graph)))
		if err != nil {
			wantCode(t, err, aadsts.BlockedByPolicy)
		}
		return err != nil
	}
	if !blocks(`{mode: include, rule: 'device.trustType -eq "AzureAD"'}`) || blocks(`{mode: exclude, rule: 'device.trustType -eq "AzureAD"'}`) {
		t.Error("the trust of the device does not count")
	}
	w.wantPolicy(t, signinlog.RedeemPRT, "notApplied", "device_filter")
	if blocks(`{mode: include, rule: device.isCompliant -eq True}`) || !blocks(`{mode: exclude, rule: device.isCompliant -eq True}`) {
		t.Error("a device that is not compliant passes for one that is")
	}
	compliant(t, w, d, true)
	if !blocks(`{mode: include, rule: device.isCompliant -eq True}`) || blocks(`{mode: exclude, rule: device.isCompliant -eq True}`) {
		t.Error("a compliant device does not count")
	}
}

// A named location and a risk that an operator set decide, at the token endpoint and
// on the pages; what a component says of its own address does not.
func TestCA16_LocationAndRisk(t *testing.T) {
	p := newPages(t, idp.Config{})
	ask := func(ip string) error {
		r := passwordOf(v2, alice, alicePassword)
		r.Caller = from(ip, firefoxLinux)
		_, err := p.grants.RequestTokens(context.Background(), r)
		return err
	}
	p.rules(t, rule("grant: block, include_locations: [All], exclude_locations: [Trusted]"))
	wantCode(t, ask("192.0.2.1"), aadsts.BlockedByPolicy)
	wantCode(t, ask(""), aadsts.BlockedByPolicy)
	if err := ask("203.0.113.20"); err != nil {
		t.Errorf("from the office: %v", err)
	}
	p.wantPolicy(t, signinlog.Password, "notApplied", "exclude_locations")
	if e := p.last(t, signinlog.Password); e.IPAddress != "203.0.113.20" || e.UserAgent != firefoxLinux {
		t.Errorf("logged as from %s with %s", e.IPAddress, e.UserAgent)
	}
	// The form of a page is asked from where it is posted, not from where it was fetched.
	page := p.page(t, &idpv1.AuthorizeRequest{Resource: graph, Caller: from("203.0.113.20", firefoxLinux)}, signInPage, 0)
	a, err := p.forms.SubmitPassword(context.Background(), &idpv1.SubmitPasswordRequest{
		FlowToken: page.GetFlowToken(), Canary: page.GetCanary(), UserPrincipalName: alice, Password: alicePassword, Caller: from("192.0.2.1", firefoxLinux),
	})
	if err != nil {
		t.Fatal(err)
	}
	wantKindOfPage(t, a.GetNext().GetPage(), errorPage, aadsts.BlockedByPolicy, a)
	d := p.join(t, alice, alicePassword, 1, 2)
	s := d.first(t, alice, alicePassword)
	_, err = p.tokens.RedeemPRT(context.Background(), &idpv1.RedeemPRTRequest{
		Request: s.sign(t, s.redemption(t, office, graph)), Caller: from("203.0.113.20", ""),
	})
	wantCode(t, err, aadsts.BlockedByPolicy) // the broker is no front

	p.rules(t, rule("grant: block, sign_in_risks: [high, medium]"))
	for risk, blocked := range map[string]bool{"none": false, "low": false, "medium": true, "high": true} {
		if _, err := p.admin.SetUserRisk(context.Background(), &directoryv1.SetUserRiskRequest{UserPrincipalName: alice, Risk: risk}); err != nil {
			t.Fatal(err)
		}
		if err := ask("192.0.2.1"); (err != nil) != blocked {
			t.Errorf("risk %q: %v", risk, err)
		}
	}
}

// The table of the sign-in log: one event, every policy, each with its result.
func TestCA18_CA17_EveryTokenEventListsEveryPolicy(t *testing.T) {
	p := newPages(t, idp.Config{})
	d := p.join(t, alice, alicePassword, 1, 2)
	s := d.first(t, alice, alicePassword)
	id := func(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }
	p.rules(t,
		numbered(id(1), "grant: device"), numbered(id(2), "grant: block, flows: [device_code]"), numbered(id(3), "grant: block, state: disabled"),
		numbered(id(4), "grant: block, state: report"), numbered(id(5), "grant: mfa, state: report"), numbered(id(6), "grant: mfa, state: report, platforms: [android]"),
		numbered(id(7), "grant: device, state: report"))
	want := []string{"success", "notApplied", "notEnabled", "reportOnlyFailure", "reportOnlyInterrupted", "reportOnlyNotApplied", "reportOnlySuccess"}
	rt := s.tokens(t, s.redemption(t, office, graph)).RefreshToken
	s.prt = rt.Reveal()
	if _, err := p.redeemRT(s.sign(t, s.redemption(t, office, graph))); err != nil {
		t.Fatal(err)
	}
	for _, flow := range []signinlog.Flow{signinlog.RedeemPRT, signinlog.RedeemToken} {
		e := p.last(t, flow)
		for i, result := range want {
			if len(e.Policies) != len(want) || e.Policies[i].Result != result || e.Policies[i].ID != id(i+1) {
				t.Fatalf("%s: %+v, want %v", flow, e.Policies, want)
			}
		}
		if e.AccessStatus() != "success" || e.TokenID == "" || e.ID == "" || e.DeviceDetail == nil {
			t.Errorf("%+v", e)
		}
	}
	_, err := p.grants.RequestTokens(context.Background(), passwordOf(v2, alice, alicePassword))
	wantCode(t, err, aadsts.DeviceAuthenticationRequired)
	if e := p.last(t, signinlog.Password); len(e.Policies) != len(want) || e.Policies[0].Result != "failure" || e.AccessStatus() != "failure" || e.TokenID != "" {
		t.Errorf("%+v", e)
	}
	a, err := p.read.ListSignIns(context.Background(), &directoryv1.ListSignInsRequest{TenantId: contoso, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	got := a.GetSignIns()[0]
	if len(got.GetPolicies()) != len(want) || got.GetConditionalAccessStatus() != "failure" || got.GetSignInId() == "" || got.GetPolicies()[1].GetNotAppliedBecause() != "flows" {
		t.Errorf("%v", got)
	}
}

// What-if says what the executed sign-in says, and report-only changes neither.
func TestCA17_WhatIfIsTheExecutedAnswer(t *testing.T) {
	p := newPages(t, idp.Config{})
	d := p.join(t, alice, alicePassword, 1, 2)
	s := d.first(t, alice, alicePassword)
	for _, policy := range []string{
		"grant: block", "grant: mfa", "grant: device", "grant: compliant_device", "grant: hybrid_joined_device", "grants: {strength: Passwordless MFA}",
		"grant: block, platforms: [windows]", "grant: block, platforms: [linux]", "grant: block, client_apps: [browser]", "token_protection: true",
		"grant: block, state: report", "grant: mfa, state: report", "grant: block, include_locations: [Office]", "sign_in_frequency: 1h",
	} {
		p.rules(t, rule(policy))
		_, err := p.redeemPRT(s.sign(t, s.redemption(t, office, graph)))
		e := p.last(t, signinlog.RedeemPRT)
		if (err == nil) != (e.Code == 0) {
			t.Fatalf("%s: %v with %+v", policy, err, e)
		}
		whatIf, err := p.read.EvaluatePolicies(context.Background(), &directoryv1.EvaluatePoliciesRequest{
			TenantId: contoso, UserPrincipalName: alice, ClientId: office, Resource: graph, DeviceId: d.id, Methods: []string{"password"}, Bound: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		if aadsts.Code(whatIf.GetErrorCode()) != e.Code || len(whatIf.GetPolicies()) != 1 || whatIf.GetPolicies()[0].GetResult() != e.Policies[0].Result {
			t.Errorf("%s: what-if says %v, executed was %v with %+v", policy, whatIf, e.Code, e.Policies)
		}
	}
}

func TestINV15_SignInFrequencyAtUse(t *testing.T) {
	for carrier, https := range map[string]bool{"gRPC": false, "HTTPS": true} {
		t.Run(carrier, func(t *testing.T) {
			lab := clock.NewLab()
			p := newPages(t, idp.Config{Clock: lab})
			if https {
				overWire(t, p.world)
			}
			d := p.join(t, alice, alicePassword, 1, 2)
			p.rules(t, rule("sign_in_frequency: 8h"))
			s := d.first(t, alice, alicePassword)
			rt := s.tokens(t, s.redemption(t, office, graph)).RefreshToken.Reveal()
			set, err := p.grants.RequestTokens(context.Background(), passwordOf(v2, alice, alicePassword))
			if err != nil {
				t.Fatal(err)
			}
			plain := refreshOf(v2, cli, set.GetTokens().GetRefreshToken(), graph+"/.default")
			lab.Advance(8*time.Hour - 2*time.Second)
			if _, err := p.grants.RequestTokens(context.Background(), plain); err != nil {
				t.Fatal(err)
			}
			s.tokens(t, s.redemption(t, office, graph))
			lab.Advance(4 * time.Second)
			_, err = p.grants.RequestTokens(context.Background(), plain)
			wantCode(t, err, aadsts.SignInFrequency)
			_, err = p.redeemPRT(s.sign(t, s.redemption(t, office, graph)))
			wantCode(t, err, aadsts.SignInFrequency)
			old := *s
			old.prt = rt
			_, err = p.redeemRT(old.sign(t, old.redemption(t, office, graph)))
			wantCode(t, err, aadsts.SignInFrequency)
			// A renewal of the PRT is not a sign-in.
			renewed, _ := s.renew(t, s.renewal(t))
			_, err = p.redeemPRT(renewed.sign(t, renewed.redemption(t, office, graph)))
			wantCode(t, err, aadsts.SignInFrequency)
			fresh := d.first(t, alice, alicePassword)
			fresh.tokens(t, fresh.redemption(t, office, graph))
		})
	}
}

// A token that is bound to nothing is refused, whichever way it came.
func TestTokenProtectionAtUse(t *testing.T) {
	p := newPages(t, idp.Config{})
	d := p.join(t, alice, alicePassword, 1, 2)
	s := d.first(t, alice, alicePassword)
	p.rules(t, rule("token_protection: true"))
	s.tokens(t, s.redemption(t, office, graph))
	_, err := p.grants.RequestTokens(context.Background(), passwordOf(v2, alice, alicePassword))
	wantCode(t, err, aadsts.BlockedByPolicy)
	plain := p.brokerToken(t, alice, func(a *sealed.Artefact) {
		s := p.artefact(t, sealed.PRT, s.prt)
		a.Device, a.Certificate, a.SessionKey, a.KDFMin, a.Plain = s.Device, s.Certificate, s.SessionKey, 2, true
	})
	_, err = p.grants.RequestTokens(context.Background(), refreshOf(v2, brokerApp, plain, graph+"/.default"))
	wantCode(t, err, aadsts.BlockedByPolicy)
	if e := p.last(t, signinlog.RefreshToken); !strings.Contains(e.Reason, "bound to the device") {
		t.Errorf("the reason is %q", e.Reason)
	}
}

// The challenge for an authentication context, the sign-in with it, and the claim in
// the token of the code.
func TestMFA15_AuthenticationContext(t *testing.T) {
	p := newPages(t, idp.Config{})
	p.rules(t, rule("auth_contexts: [c1], grant: mfa"))
	const c1 = `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`
	_, s := p.typed(t, &idpv1.AuthorizeRequest{Protocol: v2, Scope: "offline_access " + graph + "/.default"}, mia, miaPassword)
	r := p.redeemCode(t, s, office, func(r *idpv1.RequestTokensRequest, _ *idpv1.AuthorizationCodeGrant) {
		r.Protocol, r.Resource, r.Scope = v2, "", ""
	}).GetTokens()
	if acrs := p.acrs(t, r.GetAccessToken()); acrs != nil {
		t.Errorf("a plain token says %v", acrs)
	}
	again := refreshOf(v2, office, r.GetRefreshToken(), graph+"/.default")
	again.Claims = c1
	_, err := p.grants.RequestTokens(context.Background(), again)
	wantCode(t, err, aadsts.MFARequired)
	challenge := claimsIn(err)
	if !strings.Contains(challenge, `"acrs":{"essential":true,"values":["c1"]}`) || !strings.Contains(challenge, policyID) {
		t.Fatalf("the challenge is %s", challenge)
	}
	page := p.factor(t, &idpv1.AuthorizeRequest{Protocol: v2, Scope: "offline_access " + graph + "/.default", Claims: challenge})
	b := p.begin(t, page, otp)
	next := p.complete(t, p.check(t, b.GetFlowToken(), otp, "", p.shown(t)).GetFlowToken(), page.GetCanary())
	p.wantPolicy(t, signinlog.WebSignIn, "success", "")
	r = p.redeemCode(t, next.GetSignedIn(), office, func(r *idpv1.RequestTokensRequest, _ *idpv1.AuthorizationCodeGrant) {
		r.Protocol, r.Resource, r.Scope = v2, "", ""
	}).GetTokens()
	if acrs := p.acrs(t, r.GetAccessToken()); !slices.Equal(acrs, []string{"c1"}) {
		t.Errorf("the token of the code says %v", acrs)
	}
	again = refreshOf(v2, office, r.GetRefreshToken(), graph+"/.default")
	set, err := p.grants.RequestTokens(context.Background(), again)
	if err != nil || p.acrs(t, set.GetTokens().GetAccessToken()) != nil {
		t.Errorf("nobody asked for the context again: %v", err)
	}
	again.Claims = c1
	if set, err = p.grants.RequestTokens(context.Background(), again); err != nil || !slices.Equal(p.acrs(t, set.GetTokens().GetAccessToken()), []string{"c1"}) {
		t.Errorf("the context was not granted again: %v", err)
	}
}

// acrs are the authentication contexts of an access token.
func (w *world) acrs(t testing.TB, token string) []string {
	t.Helper()
	parsed, err := jose.Parse(token)
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		ACRS []string `json:"acrs"`
	}
	if err := parsed.Claims(&c); err != nil {
		t.Fatal(err)
	}
	return c.ACRS
}

// claimsIn is the claims challenge of an error.
func claimsIn(err error) string {
	var e *prterr.Error
	if errors.As(err, &e) {
		return e.Claims
	}
	return ""
}
