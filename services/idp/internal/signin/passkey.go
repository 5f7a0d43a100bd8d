package signin

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/authorize"
	"github.com/lockstep-sso/lockstep/services/idp/internal/flowstate"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/passkey"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// PasskeyBegun is a challenge for an authenticator.
type PasskeyBegun struct {
	FlowToken secret.Text
	// Options is JSON, PublicKeyCredentialRequestOptionsJSON of Web Authentication.
	Options string
}

// BeginPasskey makes a challenge: on the sign-in page for whoever has a passkey, on
// the page of the second factor for the user who has proven the first. A typed name
// does not change the options, so they tell nothing of it; the answer must be of it.
func (s *Service) BeginPasskey(ctx context.Context, token secret.Text, name, host string) (PasskeyBegun, error) {
	st, err := s.keep.Open(token)
	if err == nil {
		err = st.At(flowstate.SignIn, flowstate.Factor)
	}
	if err != nil {
		return PasskeyBegun{}, err
	}
	st.PasskeyName = ""
	var of *store.User
	if st.Step == flowstate.Factor {
		u, err := s.directory.User(ctx, st.Proof.Tenant, st.Proof.User)
		if err != nil {
			return PasskeyBegun{}, err
		}
		of = &u
	} else if name != "" {
		if st.PasskeyName, err = ids.ParseUPN(name); err != nil {
			return PasskeyBegun{}, prterr.AADSTS(aadsts.InvalidCredentials, "")
		}
	}
	var out PasskeyBegun
	if out.Options, st.Passkey, err = s.passkeys.Begin(host, of); err != nil {
		return PasskeyBegun{}, err
	}
	out.FlowToken, err = s.keep.Seal(st)
	return out, err
}

// Passkey is the answer of an authenticator.
type Passkey struct {
	Form
	// Credential is the JSON of the PublicKeyCredential.
	Credential secret.Text
	// Beside are the headers that came with the form. They tell the device and never
	// the user.
	Beside authorize.Credentials
}

// SubmitPasskey checks the answer of an authenticator. It signs in, or is the second
// factor of the sign-in under way. A challenge belongs to one sign-in and is good for
// one answer, right or wrong; wrong ones are counted for the user they are about. What
// is wrong stands in the log and nowhere else.
func (s *Service) SubmitPasskey(ctx context.Context, f Passkey) (authorize.Outcome, error) {
	st, over := s.open(f.Form, flowstate.SignIn, flowstate.Factor)
	if over != nil {
		return *over, nil
	}
	if err := s.next.Beside(ctx, st, f.Beside); err != nil {
		return authorize.Outcome{}, err
	}
	u, err := s.passkey(ctx, st, []byte(f.Credential.Reveal()))
	st.Passkey = passkey.Challenge{}
	if err != nil {
		return s.wrong(ctx, st, u.UPN, err)
	}
	s.right(st, u, sealed.FIDO, methods.FIDO2)
	return s.next.Proceed(ctx, st)
}

// passkey uses the challenge up and finds whose passkey answered it. The user is of
// the answer's say, for the log, when there is an error.
func (s *Service) passkey(ctx context.Context, st *flowstate.State, credential []byte) (store.User, error) {
	c := st.Passkey
	first, err := s.replays.UseOnce(ctx, c.Digest(), time.Unix(c.Made, 0), c.Ends())
	switch {
	case err != nil:
		return store.User{}, err
	case c.Value == "" || !first:
		return store.User{}, wrongPasskey("the challenge was answered before, or there was none")
	}
	answer, err := passkey.Read(credential)
	if err != nil {
		return store.User{}, notGood(err)
	}
	u, key, err := s.owner(ctx, st, answer)
	if fatal(err) {
		return u, err
	}
	disabled := err
	used, err := s.passkeys.Verify(c, u, answer)
	if err != nil {
		// Nobody guesses a signature. Wrong answers are counted to be seen and to be slow,
		// and a right one is taken all the same: the id of a user is no secret, and whoever
		// knows it would lock them out for ever.
		if s.attempts.Try(ctx, key) != nil && errors.Is(err, passkey.ErrAnswer) {
			return u, signinlog.WithHidden(prterr.AADSTS(aadsts.AccountLocked, ""), err.Error())
		}
		return u, notGood(err)
	}
	switch {
	case disabled != nil: // told to who has the key
		return u, disabled
	case st.PasskeyName != "" && st.PasskeyName != u.UPN:
		return u, wrongPasskey("it is of another user than the name that was typed")
	}
	if err := s.directory.UsePasskey(ctx, u.Tenant, u.ID, used); err != nil {
		return u, err
	}
	s.attempts.Right(ctx, key)
	return u, nil
}

// owner finds the user whom an answer must be of, and the name that wrong answers are
// counted under. An unknown one has no passkeys, and so no answer is right for them.
func (s *Service) owner(ctx context.Context, st *flowstate.State, a passkey.Answer) (store.User, string, error) {
	if st.Step == flowstate.Factor {
		u, err := s.directory.User(ctx, st.Proof.Tenant, st.Proof.User)
		return u, "passkey|" + string(u.ID), err
	}
	t, id, ok := passkey.Owner(a.Handle())
	if !ok {
		return store.User{}, "passkey|" + st.ID, nil
	}
	u, err := s.directory.User(ctx, t, id)
	if prterr.CodeOf(err) == aadsts.UserAccountNotFound {
		return store.User{}, "passkey|" + hex.EncodeToString(a.Handle()), nil
	}
	return u, "passkey|" + string(u.ID), err
}

// wrongPasskey is the one error for an answer that is not good; why is for the log.
func wrongPasskey(why string) error {
	return signinlog.WithHidden(prterr.AADSTS(aadsts.KeyNotFound, "The passkey could not be verified: try again, or sign in another way."), why)
}

// notGood turns the verdict of the passkey room into what a page shows.
func notGood(err error) error {
	if errors.Is(err, passkey.ErrAnswer) {
		return wrongPasskey(err.Error())
	}
	return err
}
