package idp_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

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
	phonePending  = idpv1.PhoneSignInState_PHONE_SIGN_IN_STATE_PENDING
	phoneDenied   = idpv1.PhoneSignInState_PHONE_SIGN_IN_STATE_DENIED
	phoneApproved = idpv1.PhoneSignInState_PHONE_SIGN_IN_STATE_APPROVED
)

func (p *pages) beginPhone(t testing.TB, page *idpv1.SignInPage, upn string) *idpv1.BeginPhoneSignInResponse {
	t.Helper()
	a, err := p.forms.BeginPhoneSignIn(context.Background(), &idpv1.BeginPhoneSignInRequest{
		Caller: &idpv1.Caller{IpAddress: "203.0.113.9", UserAgent: firefoxLinux}, FlowToken: page.GetFlowToken(), UserPrincipalName: upn,
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (p *pages) phoneState(t testing.TB, session string) idpv1.PhoneSignInState {
	t.Helper()
	a, err := p.forms.CheckPhoneSignIn(context.Background(), &idpv1.CheckPhoneSignInRequest{SessionId: session})
	if err != nil {
		t.Fatal(err)
	}
	return a.GetState()
}

func (p *pages) submitPhone(t testing.TB, token, canary, session string) *idpv1.NextAction {
	t.Helper()
	a, err := p.forms.SubmitPhoneSignIn(context.Background(), &idpv1.SubmitPhoneSignInRequest{FlowToken: token, Canary: canary, SessionId: session})
	if err != nil {
		t.Fatal(err)
	}
	return a.GetNext()
}

// TestPhoneSignIn: the number on the page, the approval on the telephone, and no
// password: first factor and second at once.
func TestPhoneSignIn(t *testing.T) {
	p := newPages(t, idp.Config{})
	page := p.page(t, &idpv1.AuthorizeRequest{AmrValues: "ngcmfa"}, signInPage, 0)
	b := p.beginPhone(t, page, nora)
	if b.GetEntropy() < 10 || b.GetEntropy() > 99 || b.GetSessionId() == "" || b.GetErrorCode() != 0 || p.phoneState(t, b.GetSessionId()) != phonePending {
		t.Fatalf("%v", b)
	}
	next := p.submitPhone(t, b.GetFlowToken(), page.GetCanary(), b.GetSessionId())
	wantKindOfPage(t, next.GetPage(), signInPage, aadsts.StrongAuthFailed, next)
	list, err := p.read.ListChallenges(context.Background(), &directoryv1.ListChallengesRequest{UserPrincipalName: nora})
	if err != nil || len(list.GetChallenges()) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	if c := list.GetChallenges()[0]; !c.GetPhoneSignIn() || c.GetNumber() != b.GetEntropy() || c.GetIpAddress() != "203.0.113.9" || c.GetUserAgent() == "" || c.GetApplication() != "Microsoft Office" {
		t.Errorf("the telephone shows %v", c)
	}
	// Without the number nothing is approved, and the question waits on.
	_, err = p.person.AnswerChallenge(context.Background(), &directoryv1.AnswerChallengeRequest{UserPrincipalName: nora, Approve: true})
	wantKind(t, err, prterr.Invalid)
	p.answer(t, nora, true, b.GetEntropy())
	if got := p.phoneState(t, b.GetSessionId()); got != phoneApproved {
		t.Fatalf("%v", got)
	}
	next = p.submitPhone(t, b.GetFlowToken(), page.GetCanary(), b.GetSessionId())
	got := p.code(t, next.GetSignedIn(), next)
	if got.Credential != sealed.Phone || !slices.Equal(got.AMR, []string{"mfa", "rsa", "ngcmfa"}) || got.MFATime == 0 || got.Used[0].Method != "deviceBasedPush" {
		t.Errorf("%+v", got)
	}
	next = p.submitPhone(t, b.GetFlowToken(), page.GetCanary(), b.GetSessionId())
	wantKindOfPage(t, next.GetPage(), signInPage, aadsts.StrongAuthFailed, next)

	for name, number := range map[string]int32{"another number": 1, "denied": 0} {
		t.Run(name, func(t *testing.T) {
			page := p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0)
			b := p.beginPhone(t, page, nora)
			p.answer(t, nora, number != 0, b.GetEntropy()+number)
			if got := p.phoneState(t, b.GetSessionId()); got != phoneDenied {
				t.Errorf("%v", got)
			}
			next := p.submitPhone(t, b.GetFlowToken(), page.GetCanary(), b.GetSessionId())
			wantKindOfPage(t, next.GetPage(), signInPage, aadsts.StrongAuthFailed, next)
			wantLastRefused(t, p.world, signinlog.WebSignIn, nora, aadsts.StrongAuthFailed)
		})
	}
}

// TestAttack35_PhoneSignInTellsNoName: a user without an authenticator that signs in,
// a disabled one and nobody look like one who does not look at the telephone.
func TestAttack35_PhoneSignInTellsNoName(t *testing.T) {
	for _, profile := range []string{"today", "strict"} {
		t.Run(profile, func(t *testing.T) {
			lab := clock.NewLab()
			p := newPages(t, idp.Config{Clock: lab, Tenants: withProfile(profile)})
			setUser(t, p.world, bob, false)
			shape := func(upn string) string {
				page := p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0)
				b := p.beginPhone(t, page, upn)
				if b.GetEntropy() < 10 || b.GetSessionId() != page.GetSessionId() {
					t.Errorf("%s: %v", upn, b)
				}
				states := []idpv1.PhoneSignInState{p.phoneState(t, b.GetSessionId())}
				lab.Advance(61 * time.Second)
				states = append(states, p.phoneState(t, b.GetSessionId()))
				if !slices.Equal(states, []idpv1.PhoneSignInState{phonePending, phoneDenied}) {
					t.Errorf("%s: %v", upn, states)
				}
				next := p.submitPhone(t, b.GetFlowToken(), page.GetCanary(), b.GetSessionId())
				out := proto.CloneOf(wantKindOfPage(t, next.GetPage(), signInPage, aadsts.StrongAuthFailed, next))
				out.FlowToken, out.Canary, out.SessionId, out.SsoNonce, out.UserPrincipalName = "", "", "", "", ""
				return out.String()
			}
			want := shape(nora)
			for _, upn := range []string{mia, alice, bob, "nobody@contoso.test", "nobody@nowhere.test"} {
				if got := shape(upn); got != want {
					t.Errorf("%s: %s, not %s", upn, got, want)
				}
			}
			_, err := p.person.AnswerChallenge(context.Background(), &directoryv1.AnswerChallengeRequest{UserPrincipalName: "nobody@contoso.test", Approve: true, Number: 10})
			wantKind(t, err, prterr.NotFound)
		})
	}
}

// TestTelephonesAreNotAskedWithoutEnd: questions that nobody approves are counted by
// user and method, those without a password by name; an approval begins anew.
func TestTelephonesAreNotAskedWithoutEnd(t *testing.T) {
	p := newPages(t, idp.Config{})
	for _, upn := range []string{nora, "nobody@contoso.test"} {
		for range lockout.Limit {
			if b := p.beginPhone(t, p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0), upn); b.GetErrorCode() != 0 {
				t.Fatalf("%v", b)
			}
		}
		b := p.beginPhone(t, p.page(t, &idpv1.AuthorizeRequest{}, signInPage, 0), upn)
		if aadsts.Code(b.GetErrorCode()) != aadsts.AccountLocked || b.GetEntropy() != 0 {
			t.Errorf("%s: %v", upn, b)
		}
		wantLastRefused(t, p.world, signinlog.WebSignIn, upn, aadsts.AccountLocked)
	}
	page := p.noraFactor(t)
	for _, method := range []string{push, sms, voice} {
		sent := len(p.messages(t, nora))
		for range lockout.Limit {
			if b := p.begin(t, page, method); !b.GetSuccess() {
				t.Fatalf("%s: %v", method, b)
			}
		}
		if b := p.begin(t, page, method); b.GetSuccess() || aadsts.Code(b.GetErrorCode()) != aadsts.AccountLocked {
			t.Errorf("%s: %v", method, b)
		}
		wantLastRefused(t, p.world, signinlog.SecondFactor, nora, aadsts.AccountLocked)
		if n := len(p.messages(t, nora)) - sent; method != push && n != lockout.Limit {
			t.Errorf("%s: %d messages", method, n)
		}
	}
	// The way with a code of the app is open still, and so is Mia's telephone.
	if b := p.begin(t, page, otp); !b.GetSuccess() {
		t.Errorf("%v", b)
	}
	if b := p.begin(t, p.factor(t, &idpv1.AuthorizeRequest{}), push); !b.GetSuccess() {
		t.Errorf("%v", b)
	}
}
