package signin

import (
	"context"
	"slices"

	"github.com/google/uuid"

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

// Password is the form of the sign-in page.
type Password struct {
	Form
	Name     string
	Password secret.Text
	// Beside are the headers that came with the form. They tell the device and
	// never the user.
	Beside authorize.Credentials
	Stay   bool
}

// SubmitPassword checks a name and a password. A wrong password, an unknown user
// and an unknown domain give the same page after the same time.
func (s *Service) SubmitPassword(ctx context.Context, f Password) (authorize.Outcome, error) {
	st, over := s.open(f.Form, flowstate.SignIn)
	if over != nil {
		return *over, nil
	}
	name, err := ids.ParseUPN(f.Name)
	if err != nil {
		return s.next.Ask(ctx, st, prterr.AADSTS(aadsts.InvalidCredentials, ""))
	}
	st.Asked.Hint = string(name)
	if to, ok, err := s.next.Away(st, string(name)); ok || err != nil {
		return authorize.Outcome{Elsewhere: to}, err
	}
	if err := s.next.Beside(ctx, st, f.Beside); err != nil {
		return authorize.Outcome{}, err
	}
	u, err := s.directory.TypedPassword(ctx, name, f.Password)
	if err != nil {
		return s.wrong(ctx, st, name, err)
	}
	s.begun(st, u, sealed.Password, methods.Password)
	st.Proof.Persistent = f.Stay
	return s.next.Proceed(ctx, st)
}

// wrong shows what is wrong with a proof, on the page that it was given at.
func (s *Service) wrong(ctx context.Context, st *flowstate.State, about ids.UPN, err error) (authorize.Outcome, error) {
	switch {
	case fatal(err):
		return authorize.Outcome{}, err
	case st.Step == flowstate.Factor:
		s.next.Log(ctx, st, signinlog.SecondFactor, about, err)
		return s.next.AskFactor(ctx, st, err)
	default:
		s.next.Log(ctx, st, signinlog.WebSignIn, about, err)
		return s.next.Ask(ctx, st, err)
	}
}

// right notes a good proof: a further one of the sign-in under way, or the first.
func (s *Service) right(st *flowstate.State, u store.User, c sealed.Credential, m methods.Method) {
	if st.Step == flowstate.Factor {
		s.proven(st, m)
		return
	}
	st.Asked.Hint = string(u.UPN)
	s.begun(st, u, c, m)
}

// begun notes a first proof in the state, in place of whatever was there.
func (s *Service) begun(st *flowstate.State, u store.User, c sealed.Credential, m methods.Method) {
	st.Proof, st.Carried, st.Method = s.proof(u, c, m), false, ""
	fresh(st)
}

// fresh adds ngcmfa to a proof of just now that is more than one factor, where that
// is what is demanded.
func fresh(st *flowstate.State) {
	many := methods.MultiFactor(methods.Names(st.Proof.Used))
	if many && st.Asked.FreshFactor && !slices.Contains(st.Proof.AMR, "ngcmfa") {
		st.Proof.AMR = append(st.Proof.AMR, "ngcmfa")
	}
}

// proof is what a user has proven just now.
func (s *Service) proof(u store.User, c sealed.Credential, m methods.Method) flowstate.Proof {
	now := s.clock.Now()
	p := flowstate.Proof{
		Tenant: u.Tenant, User: u.ID, Credential: c, AuthTime: now.Unix(),
		PasswordEpoch: u.PasswordEpoch, SessionEpoch: u.SessionEpoch, SessionID: uuid.NewString(),
	}
	p.Prove(m, now)
	return p
}
