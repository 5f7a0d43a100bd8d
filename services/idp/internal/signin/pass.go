package signin

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/authorize"
	"github.com/lockstep-sso/lockstep/services/idp/internal/directory"
	"github.com/lockstep-sso/lockstep/services/idp/internal/flowstate"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// Pass is the form that takes a Temporary Access Pass.
type Pass struct {
	Form
	// Name that was typed; it is not read where the state has a user already.
	Name string
	Pass secret.Text
	// Beside are the headers that came with the form. They tell the device and
	// never the user.
	Beside authorize.Credentials
}

// SubmitAccessPass checks a pass. It begins a sign-in, with more than one factor at
// once, or is the second step of one. What comes of it ends with the pass.
func (s *Service) SubmitAccessPass(ctx context.Context, f Pass) (authorize.Outcome, error) {
	st, over := s.open(f.Form, flowstate.SignIn, flowstate.Factor)
	if over != nil {
		return *over, nil
	}
	if st.Step == flowstate.Factor {
		return s.passAfter(ctx, st, f.Pass)
	}
	name, err := ids.ParseUPN(f.Name)
	if err != nil {
		return s.next.Ask(ctx, st, prterr.AADSTS(aadsts.WrongAccessPass, ""))
	}
	st.Asked.Hint = string(name)
	if err := s.next.Beside(ctx, st, f.Beside); err != nil {
		return authorize.Outcome{}, err
	}
	u, err := s.directory.TypedPass(ctx, name, f.Pass, s.clock.Now())
	if err != nil {
		return s.wrong(ctx, st, name, err)
	}
	s.begun(st, u, sealed.Pass, directory.PassMethod(u))
	st.Proof.PassEnds = u.AccessPass.Expires.Unix()
	return s.next.Proceed(ctx, st)
}

// passAfter is a pass after another proof, of the same user.
func (s *Service) passAfter(ctx context.Context, st *flowstate.State, pass secret.Text) (authorize.Outcome, error) {
	u, err := s.directory.User(ctx, st.Proof.Tenant, st.Proof.User)
	if err == nil {
		u, err = s.directory.TypedPass(ctx, u.UPN, pass, s.clock.Now())
	}
	if err != nil {
		return s.wrong(ctx, st, u.UPN, err)
	}
	s.proven(st, directory.PassMethod(u))
	st.Proof.PassEnds = earlier(st.Proof.PassEnds, u)
	return s.next.Proceed(ctx, st)
}

// earlier is the end of a sign-in that another pass took part in.
func earlier(ends int64, u store.User) int64 {
	mine := u.AccessPass.Expires.Unix()
	if ends == 0 {
		return mine
	}
	return min(ends, mine)
}
