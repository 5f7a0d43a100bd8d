package signin

import (
	"context"
	"errors"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/authorize"
	"github.com/lockstep-sso/lockstep/services/idp/internal/flowstate"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// BeginPhoneSignIn asks the user's authenticator to sign in without a password. A
// name that has none, or is nobody's, gets a number as well and nobody will ever
// approve it: the answer tells nothing about the name.
func (s *Service) BeginPhoneSignIn(ctx context.Context, token secret.Text, name string, from Where) (Begun, error) {
	out := Begun{FlowToken: token}
	st, err := s.keep.Open(token)
	if err == nil {
		err = st.At(flowstate.SignIn)
	}
	var upn ids.UPN
	if err == nil {
		if name == "" {
			name = st.Asked.Hint // a client that only has the flow token of GetCredentialType
		}
		if upn, err = ids.ParseUPN(name); err != nil {
			err = prterr.AADSTS(aadsts.InvalidCredentials, "")
		}
	}
	if err == nil {
		out.SessionID = st.ID
		out.Entropy, err = s.askPhone(ctx, st, upn, from)
	}
	if err == nil {
		st.Asked.Hint, out.Success = string(upn), true
		out.FlowToken, err = s.keep.Seal(st)
		return out, err
	}
	if fatal(err) {
		return Begun{}, err
	}
	if upn != "" {
		s.next.Log(ctx, st, signinlog.WebSignIn, upn, err)
	}
	out.Code, out.Text = prterr.CodeOf(err), said(err)
	return out, nil
}

// phoneAsked names the counter of questions without a password. It counts by name,
// whether or not it exists.
func phoneAsked(upn ids.UPN) string { return "asked|phone|" + string(upn) }

func (s *Service) askPhone(ctx context.Context, st *flowstate.State, upn ids.UPN, from Where) (int, error) {
	if err := s.attempts.Try(ctx, phoneAsked(upn)); err != nil {
		return 0, err
	}
	u, err := s.directory.UserByName(ctx, upn)
	if fatal(err) {
		return 0, err
	}
	if err != nil || !u.Enabled || !u.SignsInByPhone() {
		u = store.User{} // it waits for nobody
	}
	c := s.challenge(st, u.Tenant, methods.IDPush, from)
	if c.Number, err = drawNumber(); err != nil {
		return 0, err
	}
	return c.Number, s.wait(ctx, phoneKind, st.ID, u.ID, c)
}

// PhoneState is how a sign-in without a password stands.
type PhoneState int

// The states.
const (
	PhonePending PhoneState = iota + 1
	PhoneDenied
	PhoneApproved
)

// CheckPhoneSignIn says how the question stands. One that is over was denied.
func (s *Service) CheckPhoneSignIn(ctx context.Context, session string) (PhoneState, error) {
	_, c, err := s.waitingFor(ctx, phoneKind, session)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return PhoneDenied, nil
	case err != nil:
		return 0, err
	case c.Answer == "":
		return PhonePending, nil
	case c.Answer == approved:
		return PhoneApproved, nil
	}
	return PhoneDenied, nil
}

// Phone is the form that goes on with an approved question.
type Phone struct {
	Form
	SessionID string
	// Beside are the headers that came with the form. They tell the device and
	// never the user.
	Beside authorize.Credentials
}

// SubmitPhoneSignIn goes on once the authenticator approved: possession of the
// telephone and what unlocks it, which is more than one factor.
func (s *Service) SubmitPhoneSignIn(ctx context.Context, f Phone) (authorize.Outcome, error) {
	st, over := s.open(f.Form, flowstate.SignIn)
	if over != nil {
		return *over, nil
	}
	if err := s.next.Beside(ctx, st, f.Beside); err != nil {
		return authorize.Outcome{}, err
	}
	u, err := s.phoneUser(ctx, st, f.SessionID)
	if err != nil {
		// The name that was typed: the answer is about it even if it is nobody's.
		typed, _ := ids.ParseUPN(st.Asked.Hint)
		return s.wrong(ctx, st, typed, err)
	}
	s.right(st, u, sealed.Phone, methods.PhoneSignIn)
	return s.next.Proceed(ctx, st)
}

// phoneUser is who approved the question of this very sign-in. An answer is used up.
func (s *Service) phoneUser(ctx context.Context, st *flowstate.State, session string) (store.User, error) {
	no := prterr.AADSTS(aadsts.StrongAuthFailed, "it was not approved on the telephone: try again, or sign in another way")
	if session != st.ID {
		return store.User{}, no
	}
	p, c, err := s.waitingFor(ctx, phoneKind, st.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.User{}, no
	case err != nil:
		return store.User{}, err
	case c.Answer == "":
		return store.User{}, no
	}
	if err := s.waiting.DeletePending(ctx, phoneKind, st.ID); err != nil || c.Answer != approved || p.User == "" {
		return store.User{}, no
	}
	u, err := s.directory.User(ctx, c.Tenant, p.User)
	if err == nil {
		s.attempts.Right(ctx, phoneAsked(u.UPN))
	}
	return u, err
}
