package signin

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/authorize"
	"github.com/lockstep-sso/lockstep/services/idp/internal/flowstate"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// Change is the form that sets a new password.
type Change struct {
	FlowToken secret.Text
	Old, New  secret.Text
}

const (
	// minPassword is the shortest new password, in bytes.
	minPassword = 8

	changeKind = "changed_password"
	// changeLife is how long a client may take from the change to the page's form.
	changeLife = 10 * time.Minute
)

// ChangePassword sets a new password for a user who must change it, and goes on.
// Its flow token is the proof that the old one was right a page ago; it is asked
// for once more, because a page can stand open for an hour.
func (s *Service) ChangePassword(ctx context.Context, f Change) (authorize.Outcome, error) {
	st, err := s.keep.Open(f.FlowToken)
	if err == nil {
		err = st.At(flowstate.Change)
	}
	if err != nil {
		return authorize.Over(err), nil
	}
	u, err := s.directory.User(ctx, st.Proof.Tenant, st.Proof.User)
	if err == nil {
		u, err = s.replace(ctx, u, f)
	}
	switch {
	case fatal(err):
		return authorize.Outcome{}, err
	case err != nil:
		s.next.Log(ctx, st, signinlog.WebSignIn, u.UPN, err)
		return s.next.AskChange(ctx, st, err)
	}
	keep := st.Proof
	s.begun(st, u, sealed.Password, methods.Password)
	st.Proof.Persistent = keep.Persistent
	if err := s.noteChange(ctx, st); err != nil {
		return authorize.Outcome{}, err
	}
	return s.next.Proceed(ctx, st)
}

func (s *Service) replace(ctx context.Context, u store.User, f Change) (store.User, error) {
	if _, err := s.directory.TypedPassword(ctx, u.UPN, f.Old); err != nil {
		return u, err
	}
	switch n := len(f.New.Reveal()); {
	case n < minPassword:
		return u, prterr.AADSTS(aadsts.PasswordExpired, "the new password is shorter than %d characters: choose a longer one", minPassword)
	case f.New.Equal(f.Old):
		return u, prterr.AADSTS(aadsts.PasswordExpired, "the new password is the old one: choose another")
	}
	if err := s.directory.ChangePassword(ctx, u.UPN, f.New); err != nil {
		return u, err
	}
	return s.directory.User(ctx, u.Tenant, u.ID)
}

// noteChange remembers a change for a client that makes it beside the page and
// comes back with the page's form afterwards: its flow token knows nothing of it.
func (s *Service) noteChange(ctx context.Context, st *flowstate.State) error {
	data, err := json.Marshal(st.Proof)
	if err == nil {
		err = s.waiting.AddPending(ctx, store.Pending{
			Kind: changeKind, Key: st.ID, User: st.Proof.User, Expires: s.clock.Now().Add(changeLife), Data: data,
		})
	}
	if err != nil && !errors.Is(err, store.ErrExists) {
		return prterr.Wrap(prterr.Internal, err, "the change cannot be kept")
	}
	return nil
}

// changed goes on after a change that was made beside the page, once.
func (s *Service) changed(ctx context.Context, st *flowstate.State) (authorize.Outcome, error) {
	p, err := s.waiting.Pending(ctx, changeKind, st.ID, s.clock.Now())
	if err == nil {
		err = s.waiting.DeletePending(ctx, changeKind, st.ID)
	}
	var proof flowstate.Proof
	switch {
	case errors.Is(err, store.ErrNotFound):
		return s.next.AskChange(ctx, st, prterr.AADSTS(aadsts.PasswordExpired, ""))
	case err == nil:
		err = json.Unmarshal(p.Data, &proof)
	}
	if err != nil {
		return authorize.Outcome{}, prterr.Wrap(prterr.Internal, err, "the change cannot be read")
	}
	st.Proof = proof
	return s.next.Proceed(ctx, st)
}
