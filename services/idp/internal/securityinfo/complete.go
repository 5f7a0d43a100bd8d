package securityinfo

import (
	"context"
	"errors"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/directory"
	"github.com/lockstep-sso/lockstep/services/idp/internal/grants"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/passkey"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// Proof is what shows that a person has what they register.
type Proof struct {
	Registration secret.Text
	// Code that was shown, sent or spoken.
	Code secret.Text
	// Credential is the JSON of a new PublicKeyCredential.
	Credential secret.Text
}

// Complete registers a method and names it. The name is empty while an authenticator
// has not taken its activation code. Wrong codes are counted, AADSTS50053.
func (s *Service) Complete(ctx context.Context, c Call, proof Proof) (string, error) {
	p, err := s.who(ctx, c)
	var r *registration
	if err == nil {
		r, err = s.open(p, proof.Registration)
	}
	if err == nil && r.Kind != methods.Push { // an authenticator is registered when it takes its code: this only asks
		err = s.allowed(p, p.User)
	}
	if err != nil {
		s.refused(ctx, p, err)
		return "", err
	}
	if r.Kind == methods.Push { // who added it told of it already
		return s.cfg.Pairing.Paired(ctx, r.Tenant, r.User, secret.NewText(r.Code))
	}
	after, id, err := s.register(ctx, p, r, proof)
	if err != nil {
		s.refused(ctx, p, err)
		return "", err
	}
	s.done(ctx, p, "added "+string(r.Kind), nil)
	s.tell(after, "%s was added to your account.", display(r.Kind))
	return id, nil
}

func (s *Service) register(ctx context.Context, p person, r *registration, proof Proof) (store.User, string, error) {
	if r.Kind == methods.FIDO2 {
		return s.addPasskey(ctx, p, r, proof.Credential)
	}
	if err := s.typed(ctx, p, r, proof.Code); err != nil {
		return store.User{}, "", err
	}
	if err := s.once(ctx, r); err != nil {
		return store.User{}, "", err
	}
	now := s.cfg.Clock.Now().UTC()
	after, err := s.change(ctx, p, func(u *store.User) error {
		if problem := addable(*u, r.Kind); problem != "" {
			return prterr.New(prterr.Conflict, "%s", problem)
		}
		if r.Kind == methods.SoftwareOATH {
			u.TOTPSecret, u.TOTPAdded = secret.NewText(r.Secret), now
		} else {
			u.Phone, u.PhoneAdded = r.Phone, now
			if r.Kind == methods.Voice && u.DefaultMethod == "" && len(grants.Registered(*u)) == telephone {
				u.DefaultMethod = r.Kind.ID() // whoever wants calls, and has nothing else, is called
			}
		}
		return nil
	})
	if err != nil {
		return store.User{}, "", err
	}
	kind := r.Kind
	if kind == methods.Voice {
		kind = methods.SMS // a telephone is one method, however it is used
	}
	for _, m := range directory.MethodsOf(after) {
		if m.Kind == kind {
			return after, m.ID, nil
		}
	}
	return after, "", prterr.New(prterr.Internal, "a method was registered and is not there")
}

// telephone is how many methods one telephone is: text messages and calls.
const telephone = 2

// typed checks a code, and counts it when it is wrong.
func (s *Service) typed(ctx context.Context, p person, r *registration, code secret.Text) error {
	key := "security-info|" + string(p.User.ID)
	if err := s.cfg.Attempts.Try(ctx, key); err != nil {
		return err
	}
	var good bool
	if r.Kind == methods.SoftwareOATH {
		opts := totp.ValidateOpts{Period: 30, Skew: 1, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1}
		ok, err := totp.ValidateCustom(code.Reveal(), r.Secret, s.cfg.Clock.Now(), opts)
		good = ok && err == nil
	} else {
		good = r.Code != "" && secret.NewText(r.Code).Equal(code)
	}
	if !good {
		return prterr.AADSTS(aadsts.StrongAuthFailed, "the code is wrong: try the newest one")
	}
	s.cfg.Attempts.Right(ctx, key)
	return nil
}

func (s *Service) addPasskey(ctx context.Context, p person, r *registration, credential secret.Text) (store.User, string, error) {
	first, err := s.cfg.Replays.UseOnce(ctx, r.Passkey.Digest(), time.Unix(r.Passkey.Made, 0), r.Passkey.Ends())
	switch {
	case err != nil:
		return store.User{}, "", err
	case !first:
		return store.User{}, "", prterr.New(prterr.Conflict, "registration was used already: begin again")
	}
	name := r.Name
	if name == "" {
		name = "Passkey"
	}
	k, err := s.cfg.Passkeys.Register(r.Passkey, p.User, name, []byte(credential.Reveal()))
	if errors.Is(err, passkey.ErrAnswer) {
		wrong := prterr.AADSTS(aadsts.StrongAuthFailed, "the passkey could not be registered: begin again, or use another authenticator")
		return store.User{}, "", signinlog.WithHidden(wrong, err.Error())
	}
	if err == nil {
		err = s.cfg.Directory.AddPasskey(ctx, p.User.Tenant, p.User.ID, k, func(u store.User) error {
			if problem := addable(u, methods.FIDO2); problem != "" {
				return prterr.New(prterr.Conflict, "%s", problem)
			}
			return s.allowed(p, u)
		})
	}
	return p.User, passkey.KeyID(k), err
}
