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
func (s *Service) BeginMethod(ctx context.Context, token secret.Text, method string) (Begun, error) {
	st, u, err := s.factorState(ctx, token)
	if err == nil && !slices.ContainsFunc(authorize.Methods(u), func(m authorize.Method) bool { return m.ID == method }) {
		err = prterr.AADSTS(aadsts.StrongAuthFailed, "the user has no such method: choose one of the page")
	}
	out := Begun{FlowToken: token}
	if err == nil {
		out.SessionID = st.ID
		if method == authorize.MethodPush {
			out.Entropy, err = s.push(ctx, st, u)
		}
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
	out.Code, out.Text = prterr.CodeOf(err), text(err)
	return out, nil
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
		if st.Method == authorize.MethodPush {
			out.Result, err = s.answered(ctx, st)
		} else {
			out.Result, err = s.oneTime(u, c.OneTimeCode)
		}
	}
	if fatal(err) {
		return Checked{}, err
	}
	switch out.Result {
	case resultPending, resultWrong:
		out.Retry = true
	case resultSuccess:
		s.proven(st)
		out.Success = true
		out.FlowToken, err = s.keep.Seal(st)
		return out, err
	default:
	}
	if err != nil {
		out.Code, out.Text = prterr.CodeOf(err), text(err)
		if st != nil {
			s.next.Log(ctx, st, signinlog.SecondFactor, u.UPN, err)
		}
	}
	return out, nil
}

// proven notes a second factor in the state: how, and when. What is demanded
// right now is a fresh one (ngcmfa), and so is this.
func (s *Service) proven(st *flowstate.State) {
	st.Proof.Prove(usedBy(st.Method), s.clock.Now())
	if st.Asked.FreshFactor && !slices.Contains(st.Proof.AMR, "ngcmfa") {
		st.Proof.AMR = append(st.Proof.AMR, "ngcmfa")
	}
	st.Method = ""
}

// usedBy is the method behind a name that clients know.
func usedBy(method string) methods.Method {
	if m, known := authorize.Proves(method); known {
		return m
	}
	return methods.Push // a person of a laboratory, who chose none
}

// CompleteMethod goes on after the second factor. Whether it was proven is in the
// state; without, the page comes again.
func (s *Service) CompleteMethod(ctx context.Context, f Form) (authorize.Outcome, error) {
	st, over := s.open(f, flowstate.Factor)
	if over != nil {
		return *over, nil
	}
	return s.next.Proceed(ctx, st)
}

// text is what was written for the user.
func text(err error) string { return authorize.Over(err).Page.Text }
