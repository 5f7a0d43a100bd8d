package idp_test

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/lockout"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

const (
	nora, noraPassword = "nora@contoso.test", "every method has its day"

	sms, voice, accessPass = "OneWaySMS", "TwoWayVoiceMobile", "AccessPass"
)

// noraFactor signs Nora in up to the second factor.
func (p *pages) noraFactor(t testing.TB) *idpv1.SignInPage {
	t.Helper()
	next := p.password(t, p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0), nora, noraPassword)
	return wantKindOfPage(t, next.GetPage(), factorPage, 0, next)
}

// messages are what a telephone got.
func (p *pages) messages(t testing.TB, upn string) []*directoryv1.Message {
	t.Helper()
	a, err := p.read.ListMessages(context.Background(), &directoryv1.ListMessagesRequest{UserPrincipalName: upn})
	if err != nil {
		t.Fatal(err)
	}
	return a.GetMessages()
}

// texted is the code of the newest text message.
func (p *pages) texted(t testing.TB, upn string) string {
	t.Helper()
	all := p.messages(t, upn)
	if len(all) == 0 {
		t.Fatal("no message was sent")
	}
	m := all[len(all)-1]
	code := regexp.MustCompile(`\b\d{6}\b`).FindString(m.GetText())
	if code == "" || m.GetChannel() != "sms" || m.GetPhoneNumber() == "" || m.GetUserPrincipalName() != upn {
		t.Fatalf("no code in %v", m)
	}
	return code
}

func (p *pages) answer(t testing.TB, upn string, approve bool, number int32) {
	t.Helper()
	_, err := p.person.AnswerChallenge(context.Background(), &directoryv1.AnswerChallengeRequest{UserPrincipalName: upn, Approve: approve, Number: number})
	if err != nil {
		t.Fatal(err)
	}
}

// wantLastRefused fails unless the newest row of the log is a refusal of that flow.
func wantLastRefused(t testing.TB, w *world, flow signinlog.Flow, user string, code aadsts.Code) {
	t.Helper()
	if e := lastEvent(w); e.Flow != flow || string(e.User) != user || e.Outcome != signinlog.Refused || e.Code != code {
		t.Errorf("the log says %+v, want %s of %s refused with %v", e, flow, user, code)
	}
}

// TestTextMessages: the code of this sign-in, once, for five minutes.
func TestTextMessages(t *testing.T) {
	lab := clock.NewLab()
	p := newPages(t, idp.Config{Clock: lab})
	page := p.noraFactor(t)
	var ids []string
	for _, m := range page.GetMethods() {
		ids = append(ids, m.GetMethodId())
		if strings.Contains(m.GetDisplay(), "70123") {
			t.Errorf("the page tells the number: %v", m)
		}
	}
	if !slices.Equal(ids, []string{push, otp, sms, voice}) || !page.GetMethods()[0].GetIsDefault() || page.GetMethods()[2].GetDisplay() != "Text +XX XXXXXXX67" {
		t.Fatalf("%v", page.GetMethods())
	}
	b := p.begin(t, page, sms)
	if !b.GetSuccess() || b.GetEntropy() != 0 {
		t.Fatalf("%v", b)
	}
	code := p.texted(t, nora)
	c := p.check(t, b.GetFlowToken(), sms, b.GetSessionId(), wrong(code))
	if c.GetSuccess() || !c.GetRetry() || c.GetResultValue() != "SMSAuthFailedWrongCodeEntered" {
		t.Fatalf("%v", c)
	}
	wantLastRefused(t, p.world, signinlog.SecondFactor, nora, aadsts.StrongAuthFailed)
	lab.Advance(4*time.Minute + 50*time.Second)
	c = p.check(t, b.GetFlowToken(), sms, b.GetSessionId(), code)
	if !c.GetSuccess() {
		t.Fatalf("%v", c)
	}
	if again := p.check(t, b.GetFlowToken(), sms, b.GetSessionId(), code); again.GetSuccess() {
		t.Error("a code was good twice")
	}
	next := p.complete(t, c.GetFlowToken(), page.GetCanary())
	got := p.code(t, next.GetSignedIn(), next)
	if !slices.Equal(got.AMR, []string{"pwd", "mfa", "sms"}) || got.Credential != sealed.Password || len(got.Used) != 2 || got.Used[1].Method != "sms" || got.MFATime == 0 {
		t.Errorf("%+v", got)
	}

	page = p.noraFactor(t)
	b = p.begin(t, page, sms)
	code = p.texted(t, nora)
	lab.Advance(5*time.Minute + time.Second)
	if c := p.check(t, b.GetFlowToken(), sms, "", code); c.GetSuccess() || c.GetResultValue() != "SMSAuthFailedNoResponseTimeout" {
		t.Errorf("an old code: %v", c)
	}
	b = p.begin(t, page, sms)
	newer := p.begin(t, page, sms)
	code = p.texted(t, nora)
	if c := p.check(t, newer.GetFlowToken(), sms, "", code); !c.GetSuccess() {
		t.Errorf("%v, %v", b, c)
	}
}

// TestCalls: a voice that asks for the key #.
func TestCalls(t *testing.T) {
	lab := clock.NewLab()
	p := newPages(t, idp.Config{Clock: lab})
	for name, f := range map[string]struct {
		answer func()
		result string
	}{
		"pressed #": {func() { p.answer(t, nora, true, 0) }, "Success"},
		"hung up":   {func() { p.answer(t, nora, false, 0) }, "UserVoiceAuthFailedPhoneHungUp"},
		"no answer": {func() { lab.Advance(61 * time.Second) }, "UserVoiceAuthFailedPhoneHungUp"},
	} {
		t.Run(name, func(t *testing.T) {
			page := p.noraFactor(t)
			b := p.begin(t, page, voice)
			calls := p.messages(t, nora)
			if m := calls[len(calls)-1]; !b.GetSuccess() || b.GetEntropy() != 0 || m.GetChannel() != "voice" || !strings.Contains(m.GetText(), "Press the # key") {
				t.Fatalf("%v, %v", b, m)
			}
			if c := p.check(t, b.GetFlowToken(), voice, "", ""); c.GetResultValue() != "AuthenticationPending" || !c.GetRetry() {
				t.Fatalf("%v", c)
			}
			f.answer()
			c := p.check(t, b.GetFlowToken(), voice, "", "")
			if c.GetResultValue() != f.result || c.GetSuccess() != (f.result == "Success") {
				t.Fatalf("%v", c)
			}
			if !c.GetSuccess() {
				wantLastRefused(t, p.world, signinlog.SecondFactor, nora, aadsts.StrongAuthFailed)
				return
			}
			next := p.complete(t, c.GetFlowToken(), page.GetCanary())
			if got := p.code(t, next.GetSignedIn(), next); !slices.Equal(got.AMR, []string{"pwd", "mfa", "tel"}) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// pass gives a user a Temporary Access Pass.
func (p *pages) pass(t testing.TB, upn string, life time.Duration, once bool) (string, time.Time) {
	t.Helper()
	a, err := p.admin.IssueAccessPass(context.Background(), &directoryv1.IssueAccessPassRequest{
		UserPrincipalName: upn, LifetimeSeconds: int64(life / time.Second), OneTime: once,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(a.GetAccessPass()) < 8 {
		t.Errorf("a pass of %d characters", len(a.GetAccessPass()))
	}
	return a.GetAccessPass(), a.GetExpiresAt().AsTime()
}

func (p *pages) submitPass(t testing.TB, page *idpv1.SignInPage, upn, pass string) *idpv1.NextAction {
	t.Helper()
	a, err := p.forms.SubmitAccessPass(context.Background(), &idpv1.SubmitAccessPassRequest{
		FlowToken: page.GetFlowToken(), Canary: page.GetCanary(), UserPrincipalName: upn, AccessPass: pass,
	})
	if err != nil {
		t.Fatal(err)
	}
	return a.GetNext()
}

// TestAccessPass: first factor and second at once, once or as often as its life
// allows; whatever is wrong is one error.
func TestAccessPass(t *testing.T) {
	lab := clock.NewLab()
	p := newPages(t, idp.Config{Clock: lab})
	sign := func(t *testing.T, upn, pass string) *idpv1.NextAction {
		t.Helper()
		return p.submitPass(t, p.page(t, &idpv1.AuthorizeRequest{AmrValues: "ngcmfa"}, signInPage, 0), upn, pass)
	}
	refused := func(t *testing.T, upn, pass string) {
		t.Helper()
		next := sign(t, upn, pass)
		wantKindOfPage(t, next.GetPage(), signInPage, aadsts.WrongAccessPass, next)
		wantLastRefused(t, p.world, signinlog.WebSignIn, upn, aadsts.WrongAccessPass)
	}
	t.Run("one time", func(t *testing.T) {
		pass, ends := p.pass(t, mia, 10*time.Minute, true)
		refused(t, mia, pass+"x")
		refused(t, bob, pass)
		refused(t, "nobody@contoso.test", pass)
		next := sign(t, mia, pass)
		got := p.code(t, next.GetSignedIn(), next)
		if got.Credential != sealed.Pass || !slices.Equal(got.AMR, []string{"mfa", "tap", "ngcmfa"}) || got.MFATime == 0 || got.PassEnds != ends.Unix() || got.Used[0].Method != "temporaryAccessPassOneTime" {
			t.Errorf("%+v", got)
		}
		refused(t, mia, pass)
	})
	t.Run("many times", func(t *testing.T) {
		pass, _ := p.pass(t, alice, 0, false)
		for range 2 {
			next := sign(t, alice, pass)
			if got := p.code(t, next.GetSignedIn(), next); got.Used[0].Method != "temporaryAccessPassMultiUse" {
				t.Errorf("%+v", got)
			}
		}
		lab.Advance(time.Hour + time.Second)
		refused(t, alice, pass)
	})
	t.Run("another one", func(t *testing.T) {
		old, _ := p.pass(t, bob, 0, false)
		pass, _ := p.pass(t, bob, 0, false)
		refused(t, bob, old)
		setUser(t, p.world, bob, false)
		next := sign(t, bob, pass)
		wantKindOfPage(t, next.GetPage(), signInPage, aadsts.UserDisabled, next)
	})
	t.Run("second step", func(t *testing.T) {
		pass, ends := p.pass(t, nora, 0, true)
		page := p.noraFactor(t)
		if m := page.GetMethods(); m[len(m)-1].GetMethodId() != accessPass {
			t.Fatalf("%v", m)
		}
		b := p.begin(t, page, accessPass)
		if c := p.check(t, b.GetFlowToken(), accessPass, "", pass); c.GetSuccess() {
			t.Error("a pass was taken as a code")
		}
		next := p.submitPass(t, page, mia, "wrong")
		wantKindOfPage(t, next.GetPage(), factorPage, aadsts.WrongAccessPass, next)
		next = p.submitPass(t, page, mia, pass) // the name of the state counts
		if got := p.code(t, next.GetSignedIn(), next); got.PassEnds != ends.Unix() || !slices.Equal(got.AMR, []string{"pwd", "mfa", "tap"}) || got.Credential != sealed.Password {
			t.Errorf("%+v", got)
		}
	})
	for _, seconds := range []int64{-1, 599, 2_592_001, 1 << 62} {
		_, err := p.admin.IssueAccessPass(context.Background(), &directoryv1.IssueAccessPassRequest{UserPrincipalName: alice, LifetimeSeconds: seconds})
		wantKind(t, err, prterr.Invalid)
	}
}

// TestAOneTimePassIsUsedOnceAtOnce: of many who type it in one moment, one signs in.
func TestAOneTimePassIsUsedOnceAtOnce(t *testing.T) {
	for name, dir := range map[string]string{"memory": "", "file": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			p := newPages(t, idp.Config{StateDir: dir})
			pass, _ := p.pass(t, alice, 0, true)
			var in atomic.Int32
			var wg sync.WaitGroup
			for range lockout.Limit {
				page := p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0)
				wg.Go(func() {
					a, err := p.forms.SubmitAccessPass(context.Background(), &idpv1.SubmitAccessPassRequest{
						FlowToken: page.GetFlowToken(), Canary: page.GetCanary(), UserPrincipalName: alice, AccessPass: pass,
					})
					if err == nil && a.GetNext().GetSignedIn() != nil {
						in.Add(1)
					}
				})
			}
			if wg.Wait(); in.Load() != 1 {
				t.Errorf("%d sign-ins with a pass for one", in.Load())
			}
		})
	}
}

// TestAccessPassesAreNotGuessed: wrong ones are counted by name, also of nobody.
func TestAccessPassesAreNotGuessed(t *testing.T) {
	p := newPages(t, idp.Config{})
	pass, _ := p.pass(t, alice, 0, false)
	for _, name := range []string{alice, "nobody@contoso.test"} {
		for range lockout.Limit {
			next := p.submitPass(t, p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0), name, "wrong")
			wantKindOfPage(t, next.GetPage(), signInPage, aadsts.WrongAccessPass, next)
		}
		next := p.submitPass(t, p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0), name, pass)
		wantKindOfPage(t, next.GetPage(), signInPage, aadsts.AccountLocked, next)
		wantLastRefused(t, p.world, signinlog.WebSignIn, name, aadsts.AccountLocked)
	}
}
