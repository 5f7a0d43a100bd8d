package idp_test

import (
	"context"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/lockout"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

// TestTextCodesAreNotGuessed: wrong ones are counted by user over all sign-ins, also
// with a new message for every try.
func TestTextCodesAreNotGuessed(t *testing.T) {
	p := newPages(t, idp.Config{})
	b := p.begin(t, p.noraFactor(t), sms)
	code := p.texted(t, nora)
	for range lockout.Limit {
		if c := p.check(t, b.GetFlowToken(), sms, "", wrong(code)); !c.GetRetry() {
			t.Fatalf("%v", c)
		}
	}
	c := p.check(t, b.GetFlowToken(), sms, "", code)
	if c.GetSuccess() || c.GetRetry() || aadsts.Code(c.GetErrorCode()) != aadsts.AccountLocked {
		t.Errorf("%v", c)
	}
	wantLastRefused(t, p.world, signinlog.SecondFactor, nora, aadsts.AccountLocked)
	b = p.begin(t, p.noraFactor(t), sms)
	if c := p.check(t, b.GetFlowToken(), sms, "", p.texted(t, nora)); c.GetSuccess() {
		t.Error("another sign-in takes more guesses")
	}
}

// TestAnswersBelongToTheirSignIn: what was sent, shown or asked in one sign-in is
// nothing in another, of the same user or of somebody else.
func TestAnswersBelongToTheirSignIn(t *testing.T) {
	p := newPages(t, idp.Config{})
	one, other := p.noraFactor(t), p.noraFactor(t)
	t.Run("text message", func(t *testing.T) {
		b := p.begin(t, other, sms)
		a := p.begin(t, one, sms)
		code := p.texted(t, nora) // of one
		for name, session := range map[string]string{"": "", "with the other's id": a.GetSessionId()} {
			if c := p.check(t, b.GetFlowToken(), sms, session, code); c.GetSuccess() {
				t.Errorf("%s: the code of another sign-in was taken", name)
			}
			wantLastRefused(t, p.world, signinlog.SecondFactor, nora, map[bool]aadsts.Code{true: aadsts.StrongAuthFailed, false: aadsts.FlowTokenExpired}[session == ""])
		}
	})
	t.Run("push", func(t *testing.T) {
		a, b := p.begin(t, one, push), p.begin(t, other, push)
		answer(t, p, nora, a.GetSessionId(), a.GetEntropy())
		if c := p.check(t, b.GetFlowToken(), push, "", ""); c.GetSuccess() || c.GetResultValue() != "AuthenticationPending" {
			t.Errorf("the answer to another sign-in was taken: %v", c)
		}
		// As another method than the one that was asked: the token knows which it was.
		if c := p.check(t, a.GetFlowToken(), voice, "", ""); c.GetSuccess() {
			t.Errorf("%v", c)
		}
	})
	t.Run("another user's challenge", func(t *testing.T) {
		p.begin(t, one, push)
		mias := p.begin(t, p.factor(t, &idpv1.AuthorizeRequest{}), push)
		_, err := p.person.AnswerChallenge(context.Background(), &directoryv1.AnswerChallengeRequest{
			UserPrincipalName: nora, ChallengeId: mias.GetSessionId(), Approve: true, Number: mias.GetEntropy(),
		})
		wantKind(t, err, prterr.NotFound)
		if c := p.check(t, mias.GetFlowToken(), push, "", ""); c.GetSuccess() || c.GetResultValue() != "AuthenticationPending" {
			t.Errorf("%v", c)
		}
	})
	t.Run("second factor and phone sign-in", func(t *testing.T) {
		page := p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0)
		phone := p.beginPhone(t, page, nora)
		a := p.begin(t, one, push)
		answer(t, p, nora, a.GetSessionId(), a.GetEntropy())
		for _, session := range []string{a.GetSessionId(), phone.GetSessionId(), ""} {
			next := p.submitPhone(t, phone.GetFlowToken(), page.GetCanary(), session)
			wantKindOfPage(t, next.GetPage(), signInPage, aadsts.StrongAuthFailed, next)
		}
		if got := p.phoneState(t, a.GetSessionId()); got != phoneDenied {
			t.Errorf("a second factor passes for a phone sign-in: %v", got)
		}
		// The other way round: the approval of a sign-in is no second factor of another.
		again := p.beginPhone(t, page, nora)
		answer(t, p, nora, again.GetSessionId(), again.GetEntropy())
		next := p.submitPhone(t, p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0).GetFlowToken(), page.GetCanary(), again.GetSessionId())
		wantKindOfPage(t, next.GetPage(), errorPage, aadsts.FlowTokenExpired, next)
		foreign := p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0)
		next = p.submitPhone(t, foreign.GetFlowToken(), foreign.GetCanary(), again.GetSessionId())
		wantKindOfPage(t, next.GetPage(), signInPage, aadsts.StrongAuthFailed, next)
	})
}

func answer(t testing.TB, p *pages, upn, id string, number int32) {
	t.Helper()
	_, err := p.person.AnswerChallenge(context.Background(), &directoryv1.AnswerChallengeRequest{UserPrincipalName: upn, ChallengeId: id, Approve: true, Number: number})
	if err != nil {
		t.Fatal(err)
	}
}

// TestAStolenFlowTokenIsNotEnough: it travels in addresses of some clients. Without
// the canary of the page no form goes on from it, and it begins nothing for a user
// whose first factor it does not hold.
func TestAStolenFlowTokenIsNotEnough(t *testing.T) {
	p := newPages(t, idp.Config{})
	page := p.noraFactor(t)
	b := p.begin(t, page, push)
	p.answer(t, nora, true, b.GetEntropy())
	c := p.check(t, b.GetFlowToken(), push, "", "")
	if !c.GetSuccess() {
		t.Fatalf("%v", c)
	}
	for name, canary := range map[string]string{"none": "", "of the thief's own page": p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0).GetCanary()} {
		next := p.complete(t, c.GetFlowToken(), canary)
		wantKindOfPage(t, next.GetPage(), errorPage, aadsts.FlowTokenExpired, next)
		pass, _ := p.pass(t, nora, 0, false)
		next = p.submitPass(t, &idpv1.SignInPage{FlowToken: page.GetFlowToken(), Canary: canary}, nora, pass)
		wantKindOfPage(t, next.GetPage(), errorPage, aadsts.FlowTokenExpired, next)
		next = p.submitPhone(t, b.GetFlowToken(), canary, b.GetSessionId())
		wantKindOfPage(t, next.GetPage(), errorPage, aadsts.FlowTokenExpired, next)
		if t.Failed() {
			t.Fatal(name)
		}
	}
	first := p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0)
	if b := p.begin(t, first, sms); b.GetSuccess() || len(p.messages(t, nora)) != 0 {
		t.Errorf("a second factor began before the first: %v", b)
	}
	if b := p.beginPhone(t, page, nora); b.GetErrorCode() == 0 {
		t.Errorf("a phone sign-in began on the page of a second factor: %v", b)
	}
	next := p.complete(t, c.GetFlowToken(), page.GetCanary())
	p.code(t, next.GetSignedIn(), next)
	again := p.complete(t, c.GetFlowToken(), page.GetCanary())
	wantKindOfPage(t, again.GetPage(), errorPage, aadsts.FlowTokenExpired, again)
}
