package signin

import (
	"context"
	"slices"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/authorize"
	"github.com/lockstep-sso/lockstep/services/idp/internal/flowstate"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// Begun is the answer to a second factor that begins.
type Begun struct {
	Success   bool
	FlowToken secret.Text
	SessionID string
	// Entropy is the number to compare, 10 to 99, or 0.
	Entropy int
	Code    aadsts.Code
	Text    string
}

// BeginMethod begins a second factor that the user chose. The challenge has the
// id of the sign-in, so the page and the answers name one thing.
func (s *Service) BeginMethod(ctx context.Context, token secret.Text, method string, from Where) (Begun, error) {
	st, u, err := s.factorState(ctx, token)
	if err == nil && !slices.ContainsFunc(authorize.Methods(u, s.clock.Now()), func(m authorize.Method) bool { return m.ID == method }) {
		err = prterr.AADSTS(aadsts.StrongAuthFailed, "the user has no such method: choose one of the page")
	}
	if err == nil && method == methods.IDPasskey {
		err = prterr.AADSTS(aadsts.StrongAuthFailed, "a passkey answers a challenge of its own: use the page's button for it")
	}
	out := Begun{FlowToken: token}
	if err == nil {
		out.SessionID = st.ID
		out.Entropy, err = s.begin(ctx, st, u, method, from)
	}
	if err == nil {
		st.Method = method
		out.Success = true
		out.FlowToken, err = s.keep.Seal(st)
		return out, err
	}
	if fatal(err) {
		return Begun{}, err
	}
	out.Code, out.Text = prterr.CodeOf(err), said(err)
	if st != nil {
		s.next.Log(ctx, st, signinlog.SecondFactor, u.UPN, err)
	}
	return out, nil
}

// begin sends or asks what the method sends or asks. Codes of an app need nothing,
// and what has a form of its own begins there.
func (s *Service) begin(ctx context.Context, st *flowstate.State, u store.User, method string, from Where) (number int, err error) {
	switch method {
	case methods.IDPush, methods.IDPhoneSignIn, methods.IDVoice:
		return s.call(ctx, st, u, method, from)
	case methods.IDSMS:
		return 0, s.text(ctx, st, u)
	default:
		return 0, nil
	}
}

// factorState opens the state of a page that asks for a second factor, with the
// user who has proven the first.
func (s *Service) factorState(ctx context.Context, token secret.Text) (*flowstate.State, store.User, error) {
	st, err := s.keep.Open(token)
	if err == nil {
		err = st.At(flowstate.Factor)
	}
	if err != nil {
		return nil, store.User{}, err
	}
	u, err := s.directory.User(ctx, st.Proof.Tenant, st.Proof.User)
	return st, u, err
}

// Check is the answer to a second factor, or a question after it.
type Check struct {
	FlowToken secret.Text
	Method    string
	SessionID string
	// OneTimeCode typed; empty asks whether the telephone was answered.
	OneTimeCode secret.Text
}

// Checked says how the second factor stands.
type Checked struct {
	Success, Retry bool
	FlowToken      secret.Text
	SessionID      string
	Code           aadsts.Code
	Text           string
	// Result is the public service's word for the outcome.
	Result string
}

// The words for outcomes.
const (
	resultSuccess = "Success"
	resultPending = "AuthenticationPending"
	resultWrong   = "OathCodeIncorrect"
	resultDenied  = "PhoneAppDenied"
	resultSilent  = "PhoneAppNoResponse"
	resultOver    = "SessionExpired"
	resultLocked  = "UserAuthFailedDuplicateRequest"
	// Of text messages and calls.
	resultWrongText = "SMSAuthFailedWrongCodeEntered"
	resultTextOver  = "SMSAuthFailedNoResponseTimeout"
	resultHungUp    = "UserVoiceAuthFailedPhoneHungUp"
)

// CheckMethod checks a one-time code, or looks whether the telephone was
// answered. Only the flow token of a good answer goes on.
func (s *Service) CheckMethod(ctx context.Context, c Check) (Checked, error) {
	out := Checked{FlowToken: c.FlowToken, SessionID: c.SessionID, Result: resultOver}
	st, u, err := s.factorState(ctx, c.FlowToken)
	if err == nil && (st.Method == "" || c.Method != "" && c.Method != st.Method || c.SessionID != "" && c.SessionID != st.ID) {
		err = prterr.AADSTS(aadsts.FlowTokenExpired, "")
	}
	if err == nil {
		out.SessionID = st.ID
		out.Result, err = s.checkBegun(ctx, st, u, c.OneTimeCode)
	}
	if fatal(err) {
		return Checked{}, err
	}
	switch out.Result {
	case resultPending, resultWrong, resultWrongText:
		out.Retry = true
	case resultSuccess:
		m, _ := methods.ByID(st.Method)
		s.proven(st, m)
		out.Success = true
		out.FlowToken, err = s.keep.Seal(st)
		return out, err
	default:
	}
	if err != nil {
		out.Code, out.Text = prterr.CodeOf(err), said(err)
		if st != nil {
			s.next.Log(ctx, st, signinlog.SecondFactor, u.UPN, err)
		}
	}
	return out, nil
}

func (s *Service) checkBegun(ctx context.Context, st *flowstate.State, u store.User, code secret.Text) (string, error) {
	switch st.Method {
	case methods.IDPush, methods.IDPhoneSignIn, methods.IDVoice:
		return s.answered(ctx, st)
	case methods.IDCode:
		return s.oneTime(ctx, u, code)
	case methods.IDSMS:
		return s.textCode(ctx, st, u, code)
	default: // it has a form of its own
		return resultOver, prterr.AADSTS(aadsts.FlowTokenExpired, "")
	}
}

// proven notes a second factor in the state: how, and when.
func (s *Service) proven(st *flowstate.State, m methods.Method) {
	st.Proof.Prove(m, s.clock.Now())
	fresh(st)
	st.Method = ""
}

// CompleteMethod goes on after the second factor. Whether it was proven is in the
// state; without, the page comes again.
func (s *Service) CompleteMethod(ctx context.Context, f Form) (authorize.Outcome, error) {
	st, over := s.open(f, flowstate.Factor, flowstate.Register)
	if over != nil {
		return *over, nil
	}
	return s.next.Proceed(ctx, st)
}

// said is what was written for the user.
func said(err error) string { return authorize.Over(err).Page.Text }
