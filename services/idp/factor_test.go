package idp_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/lockout"
)

const (
	factorPage = idpv1.PageKind_PAGE_KIND_SECOND_FACTOR
	errorPage  = idpv1.PageKind_PAGE_KIND_ERROR

	otp, push = "PhoneAppOTP", "PhoneAppNotification"
)

// factor signs Mia in up to the second factor.
func (p *pages) factor(t testing.TB, r *idpv1.AuthorizeRequest) *idpv1.SignInPage {
	t.Helper()
	next := p.password(t, p.page(t, r, signInPage, 0), mia, miaPassword)
	return wantKindOfPage(t, next.GetPage(), factorPage, 0, next)
}

func (p *pages) begin(t testing.TB, page *idpv1.SignInPage, method string) *idpv1.BeginMethodResponse {
	t.Helper()
	b, err := p.forms.BeginMethod(context.Background(), &idpv1.BeginMethodRequest{FlowToken: page.GetFlowToken(), MethodId: method})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (p *pages) check(t testing.TB, token, method, session, code string) *idpv1.CheckMethodResponse {
	t.Helper()
	c, err := p.forms.CheckMethod(context.Background(), &idpv1.CheckMethodRequest{FlowToken: token, MethodId: method, SessionId: session, OneTimeCode: code})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (p *pages) complete(t testing.TB, token, canary string) *idpv1.NextAction {
	t.Helper()
	a, err := p.forms.CompleteMethod(context.Background(), &idpv1.CompleteMethodRequest{FlowToken: token, Canary: canary})
	if err != nil {
		t.Fatal(err)
	}
	return a.GetNext()
}

// shown is the one-time code that Mia's app shows.
func (p *pages) shown(t testing.TB) string {
	t.Helper()
	a, err := p.person.ReadOneTimeCode(context.Background(), &directoryv1.ReadOneTimeCodeRequest{UserPrincipalName: mia})
	if err != nil {
		t.Fatal(err)
	}
	return a.GetOneTimeCode()
}

// wrong is another code than the one of now and its neighbours.
func wrong(code string) string {
	b := []byte(code)
	for i := range b {
		b[i] = '0' + (b[i]-'0'+5)%10
	}
	return string(b)
}

// TestWire21_Wire22_OneTimeCodes: what the page and the answers must hold, and the
// code is good once.
func TestWire21_Wire22_OneTimeCodes(t *testing.T) {
	lab := clock.NewLab()
	lab.Advance(lab.Now().Truncate(30 * time.Second).Add(31 * time.Second).Sub(lab.Now())) // well inside a step
	p := newPages(t, idp.Config{Clock: lab})
	page := p.factor(t, &idpv1.AuthorizeRequest{})
	if m := page.GetMethods(); len(m) != 2 || m[0].GetMethodId() != push || !m[0].GetIsDefault() || m[1].GetMethodId() != otp || m[1].GetIsDefault() || page.GetUserPrincipalName() != mia {
		t.Fatalf("%v", page)
	}
	if b := p.begin(t, page, "OneWaySMS"); b.GetSuccess() || b.GetErrorCode() == 0 || b.GetFlowToken() == "" {
		t.Errorf("a method that she has not: %v", b)
	}
	b := p.begin(t, page, otp)
	if !b.GetSuccess() || b.GetSessionId() != page.GetSessionId() || b.GetFlowToken() == "" || b.GetEntropy() != 0 {
		t.Fatalf("%v", b)
	}
	c := p.check(t, b.GetFlowToken(), otp, b.GetSessionId(), wrong(p.shown(t)))
	if c.GetSuccess() || !c.GetRetry() || c.GetErrorCode() == 0 || c.GetMessage() == "" || c.GetFlowToken() == "" {
		t.Fatalf("%v", c)
	}
	if next := p.complete(t, c.GetFlowToken(), page.GetCanary()); next.GetPage().GetKind() != factorPage {
		t.Fatalf("went on without a second factor: %v", next)
	}
	code := p.shown(t)
	lab.Advance(30 * time.Second) // the code of a step ago is good still
	before := lab.Now().Unix()
	c = p.check(t, b.GetFlowToken(), otp, "", code[:3]+" "+code[3:])
	after := lab.Now().Unix()
	if !c.GetSuccess() || c.GetResultValue() != "Success" {
		t.Fatalf("%v", c)
	}
	next := p.complete(t, c.GetFlowToken(), page.GetCanary())
	got := p.code(t, next.GetSignedIn(), next)
	if !slices.Equal(got.AMR, []string{"pwd", "mfa", "otp"}) || got.MFATime < before || got.MFATime > after {
		t.Errorf("%+v", got)
	}
	// The same code, the same end of the sign-in, and another's session id.
	if c := p.check(t, b.GetFlowToken(), otp, "", code); c.GetSuccess() {
		t.Error("a one-time code was good twice")
	}
	again := p.complete(t, c.GetFlowToken(), page.GetCanary())
	wantKindOfPage(t, again.GetPage(), errorPage, aadsts.FlowTokenExpired, again)
	if c := p.check(t, b.GetFlowToken(), otp, "another", p.shown(t)); c.GetSuccess() {
		t.Error("taken for another session")
	}
	lab.Advance(2 * time.Minute)
	if c := p.check(t, b.GetFlowToken(), otp, "", code); c.GetSuccess() {
		t.Error("an old code was taken")
	}
	// The session remembers the second factor.
	if c, _ := p.silent(t, &idpv1.AuthorizeRequest{SessionCookie: next.GetSignedIn().GetSessionCookie(), Prompt: "none"}); c.MFATime != got.MFATime {
		t.Errorf("%+v", c)
	}
}

// TestOneTimeCodesAreNotGuessed: wrong ones are counted over all sign-ins.
func TestOneTimeCodesAreNotGuessed(t *testing.T) {
	p := newPages(t, idp.Config{})
	for range lockout.Limit {
		b := p.begin(t, p.factor(t, &idpv1.AuthorizeRequest{}), otp)
		p.check(t, b.GetFlowToken(), otp, "", wrong(p.shown(t)))
	}
	b := p.begin(t, p.factor(t, &idpv1.AuthorizeRequest{}), otp)
	if c := p.check(t, b.GetFlowToken(), otp, "", p.shown(t)); c.GetSuccess() || aadsts.Code(c.GetErrorCode()) != aadsts.AccountLocked {
		t.Errorf("%v", c)
	}
}

// TestTelephone: what is tapped there, with the number of the page.
func TestTelephone(t *testing.T) {
	lab := clock.NewLab()
	p := newPages(t, idp.Config{Clock: lab})
	answer := func(a *directoryv1.AnswerChallengeRequest) error {
		a.UserPrincipalName = mia
		_, err := p.person.AnswerChallenge(context.Background(), a)
		return err
	}
	wantKind(t, answer(&directoryv1.AnswerChallengeRequest{Approve: true}), prterr.NotFound)
	for name, f := range map[string]struct {
		answer func(number int32) *directoryv1.AnswerChallengeRequest
		result string
	}{
		"approved": {func(n int32) *directoryv1.AnswerChallengeRequest {
			return &directoryv1.AnswerChallengeRequest{Approve: true, Number: n}
		}, "Success"},
		"no number": {func(int32) *directoryv1.AnswerChallengeRequest {
			return &directoryv1.AnswerChallengeRequest{Approve: true}
		}, "Success"},
		"wrong number": {func(n int32) *directoryv1.AnswerChallengeRequest {
			return &directoryv1.AnswerChallengeRequest{Approve: true, Number: n - 1}
		}, "PhoneAppDenied"},
		"denied": {func(n int32) *directoryv1.AnswerChallengeRequest {
			return &directoryv1.AnswerChallengeRequest{Number: n}
		}, "PhoneAppDenied"},
	} {
		t.Run(name, func(t *testing.T) {
			page := p.factor(t, &idpv1.AuthorizeRequest{})
			b := p.begin(t, page, push)
			if n := b.GetEntropy(); !b.GetSuccess() || n < 10 || n > 99 {
				t.Fatalf("%v", b)
			}
			if c := p.check(t, b.GetFlowToken(), push, b.GetSessionId(), ""); c.GetSuccess() || !c.GetRetry() || c.GetResultValue() != "AuthenticationPending" {
				t.Fatalf("%v", c)
			}
			list, err := p.read.ListChallenges(context.Background(), &directoryv1.ListChallengesRequest{UserPrincipalName: mia})
			if err != nil || len(list.GetChallenges()) != 1 || list.GetChallenges()[0].GetChallengeId() != b.GetSessionId() {
				t.Errorf("waiting: %v, %v", list, err)
			}
			if err := answer(f.answer(b.GetEntropy())); err != nil {
				t.Fatal(err)
			}
			wantKind(t, answer(&directoryv1.AnswerChallengeRequest{Approve: true}), prterr.NotFound)
			c := p.check(t, b.GetFlowToken(), push, b.GetSessionId(), "")
			if c.GetResultValue() != f.result || c.GetRetry() || c.GetSuccess() != (f.result == "Success") {
				t.Fatalf("%v", c)
			}
			if c := p.check(t, b.GetFlowToken(), push, b.GetSessionId(), ""); c.GetSuccess() {
				t.Error("one answer was good twice")
			}
			next := p.complete(t, c.GetFlowToken(), page.GetCanary())
			if !c.GetSuccess() {
				wantKindOfPage(t, next.GetPage(), factorPage, 0, next)
				return
			}
			if got := p.code(t, next.GetSignedIn(), next); !slices.Equal(got.AMR, []string{"pwd", "mfa"}) {
				t.Errorf("%+v", got)
			}
		})
	}
	t.Run("nobody answers", func(t *testing.T) {
		b := p.begin(t, p.factor(t, &idpv1.AuthorizeRequest{}), push)
		lab.Advance(61 * time.Second)
		if c := p.check(t, b.GetFlowToken(), push, "", ""); c.GetRetry() || c.GetSuccess() || aadsts.Code(c.GetErrorCode()) != aadsts.StrongAuthFailed {
			t.Errorf("%v", c)
		}
	})
	t.Run("a new one takes the place of the old", func(t *testing.T) {
		page := p.factor(t, &idpv1.AuthorizeRequest{})
		p.begin(t, page, push)
		b := p.begin(t, page, push)
		if err := answer(&directoryv1.AnswerChallengeRequest{Approve: true, Number: b.GetEntropy()}); err != nil {
			t.Fatal(err)
		}
		if c := p.check(t, b.GetFlowToken(), push, "", ""); !c.GetSuccess() {
			t.Errorf("%v", c)
		}
	})
}

// TestPersonsArePlayedInALaboratoryOnly.
func TestPersonsArePlayedInALaboratoryOnly(t *testing.T) {
	w := newWorld(t, idp.Config{})
	person, ctx := directoryv1.NewPersonServiceClient(connect(t, w.svc, "operator")), context.Background()
	_, err := person.ReadOneTimeCode(ctx, &directoryv1.ReadOneTimeCodeRequest{UserPrincipalName: mia})
	wantKind(t, err, prterr.Denied)
	_, err = person.AnswerChallenge(ctx, &directoryv1.AnswerChallengeRequest{UserPrincipalName: mia, Approve: true})
	wantKind(t, err, prterr.Denied)
	_, err = person.ApproveDeviceCode(ctx, &directoryv1.ApproveDeviceCodeRequest{UserPrincipalName: mia, UserCode: "ABCDEFGHJ"})
	wantKind(t, err, prterr.Denied)
}

// TestAttack32_ParametersOnlyRaiseWhatIsDemanded: and what the application
// demands by itself is demanded.
func TestAttack32_ParametersOnlyRaiseWhatIsDemanded(t *testing.T) {
	lab := clock.NewLab()
	p := newPages(t, idp.Config{Clock: lab})
	for _, r := range []*idpv1.AuthorizeRequest{
		{Claims: `{"access_token":{"amr":{"values":["pwd"]},"capolids":{"essential":false,"values":[]}}}`},
		{AmrValues: "pwd"}, {Prompt: "consent"}, {Caller: &idpv1.Caller{UserAgent: "Dsreg/10.0 (Windows 10.0.19044)"}},
		{Claims: `{"access_token":{"acrs":{"essential":true,"value":"c0"},"amr":null}}`}, {Resource: graph}, {Protocol: idpv1.Protocol_PROTOCOL_V2, Scope: "openid"},
	} {
		p.factor(t, r)
	}
	// Mia has no session with a second factor, Alice needs none but can be asked.
	_, plain := p.typed(t, &idpv1.AuthorizeRequest{}, alice, alicePassword)
	for _, r := range []*idpv1.AuthorizeRequest{
		{AmrValues: "ngcmfa"}, {AmrValues: "mfa"}, {Claims: `{"access_token":{"amr":{"essential":true,"values":["mfa"]}}}`},
		{Claims: `{"access_token":{"amr":{"value":"ngcmfa"}}}`},
	} {
		r.SessionCookie = plain.GetSessionCookie()
		p.page(t, r, idpv1.PageKind_PAGE_KIND_REGISTER_METHOD, aadsts.MFAEnrolmentRequired)
		r.Prompt = "none"
		if e := p.refused(t, r, aadsts.MFARequired); e.GetClaims() == "" {
			t.Errorf("no claims challenge: %v", e)
		}
	}
	p.refused(t, &idpv1.AuthorizeRequest{SessionCookie: plain.GetSessionCookie(), Prompt: "none", Claims: `{"access_token":{"deviceid":{"essential":true}}}`}, aadsts.DeviceAuthenticationRequired)
	// Fresh means ten minutes.
	ngc := func(cookie string) *idpv1.AuthorizeRequest {
		return &idpv1.AuthorizeRequest{AmrValues: "ngcmfa", SessionCookie: cookie, Prompt: "none"}
	}
	page := p.factor(t, &idpv1.AuthorizeRequest{AmrValues: "ngcmfa"})
	b := p.begin(t, page, otp)
	next := p.complete(t, p.check(t, b.GetFlowToken(), otp, "", p.shown(t)).GetFlowToken(), page.GetCanary())
	if c := p.code(t, next.GetSignedIn(), next); !slices.Contains(c.AMR, "ngcmfa") {
		t.Errorf("%+v", c)
	}
	cookie := next.GetSignedIn().GetSessionCookie()
	lab.Advance(9 * time.Minute)
	p.silent(t, ngc(cookie))
	lab.Advance(2 * time.Minute)
	p.refused(t, ngc(cookie), aadsts.MFARequired)
	p.page(t, &idpv1.AuthorizeRequest{AmrValues: "ngcmfa", SessionCookie: cookie}, factorPage, 0)
}

// TestPolicyAtTheAuthorizationEndpoint: what each demand looks like to a person
// and to an application that wants no page.
func TestPolicyAtTheAuthorizationEndpoint(t *testing.T) {
	users, resources := "include_users: [alice@contoso.test]", "include_resources: [https://graph.microsoft.com]"
	for name, f := range map[string]struct {
		lines []string
		code  aadsts.Code
	}{
		"block":     {[]string{"grant: block"}, aadsts.BlockedByPolicy},
		"device":    {[]string{"grant: device"}, aadsts.DeviceAuthenticationRequired},
		"compliant": {[]string{"grant: compliant_device"}, aadsts.DeviceAuthenticationRequired},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPages(t, idp.Config{Tenants: withPolicy(append(f.lines, users, resources)...)})
			next := p.password(t, p.page(t, &idpv1.AuthorizeRequest{Resource: graph}, signInPage, 0), alice, alicePassword)
			wantKindOfPage(t, next.GetPage(), errorPage, f.code, next)
			_, s := p.typed(t, &idpv1.AuthorizeRequest{}, alice, alicePassword)
			p.refused(t, &idpv1.AuthorizeRequest{Resource: graph, SessionCookie: s.GetSessionCookie(), Prompt: "none"}, f.code)
			p.page(t, &idpv1.AuthorizeRequest{Protocol: idpv1.Protocol_PROTOCOL_V2, Scope: "User.Read", SessionCookie: s.GetSessionCookie()}, errorPage, f.code)
			// Her device satisfies the one, and not the others.
			prt := p.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
			n := p.nonce(t)
			a := p.visit(t, &idpv1.AuthorizeRequest{Resource: graph, SsoNonce: n, RefreshTokenCredential: prt.sign(t, prt.cookie(n))})
			if signedIn := a.GetSignedIn() != nil; signedIn != (name == "device") {
				t.Errorf("with a device: %v", a)
			}
		})
	}
	t.Run("sign-in frequency", func(t *testing.T) {
		lab := clock.NewLab()
		p := newPages(t, idp.Config{Clock: lab, Tenants: withPolicy("sign_in_frequency: 1h", users, resources)})
		_, s := p.typed(t, &idpv1.AuthorizeRequest{Resource: graph}, alice, alicePassword)
		lab.Advance(59 * time.Minute)
		p.silent(t, &idpv1.AuthorizeRequest{Resource: graph, SessionCookie: s.GetSessionCookie()})
		lab.Advance(2 * time.Minute)
		page := p.page(t, &idpv1.AuthorizeRequest{Resource: graph, SessionCookie: s.GetSessionCookie()}, signInPage, aadsts.SessionTooOld)
		p.refused(t, &idpv1.AuthorizeRequest{Resource: graph, SessionCookie: s.GetSessionCookie(), Prompt: "none"}, aadsts.SessionTooOld)
		next := p.password(t, page, alice, alicePassword)
		p.code(t, next.GetSignedIn(), next)
	})
}

// TestPRTEnrichment adds a second factor to what the PRT proves: the code is for
// the session key of that PRT.
func TestPRTEnrichment(t *testing.T) {
	p := newPages(t, idp.Config{})
	s := p.join(t, mia, miaPassword, 1, 2).first(t, mia, miaPassword)
	n := p.nonce(t)
	page := p.page(t, &idpv1.AuthorizeRequest{
		ClientId: "29d9ed98-a469-4536-ade2-f981bc1d605e", RedirectUri: native + "DRS", Resource: "urn:aad:tb:update:prt", ResponseMode: "form_post",
		AmrValues: "ngcmfa", WindowsApiVersion: "2.0", SsoNonce: n, RefreshTokenCredential: s.sign(t, s.cookie(n)),
	}, factorPage, 0)
	b := p.begin(t, page, otp)
	next := p.complete(t, p.check(t, b.GetFlowToken(), otp, b.GetSessionId(), p.shown(t)).GetFlowToken(), page.GetCanary())
	c := p.code(t, next.GetSignedIn(), next)
	if !c.SessionKey.Equal(s.key) || !c.Encrypted || string(c.Device) != s.d.id || !slices.Equal(c.AMR, []string{"pwd", "rsa", "mfa", "otp", "ngcmfa"}) || next.GetSignedIn().GetResponseMode() != "form_post" {
		t.Errorf("%+v", c)
	}
	// Its device is disabled between the pages: nothing comes of it.
	n = p.nonce(t)
	page = p.page(t, &idpv1.AuthorizeRequest{SsoNonce: n, RefreshTokenCredential: s.sign(t, s.cookie(n))}, factorPage, 0)
	b = p.begin(t, page, push)
	_, err := p.person.AnswerChallenge(context.Background(), &directoryv1.AnswerChallengeRequest{UserPrincipalName: mia, Approve: true, Number: b.GetEntropy()})
	if err != nil {
		t.Fatal(err)
	}
	checked := p.check(t, b.GetFlowToken(), push, "", "")
	setDevice(t, p.world, s.d.id, false)
	next = p.complete(t, checked.GetFlowToken(), page.GetCanary())
	wantKindOfPage(t, next.GetPage(), signInPage, aadsts.DeviceAuthenticationFailed, next)
}
