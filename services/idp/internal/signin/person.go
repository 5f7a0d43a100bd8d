package signin

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/authorize"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// Lab refuses to play a person outside of a laboratory: whoever may do that can
// sign in as everybody.
func (s *Service) Lab() error {
	if !s.persons {
		return prterr.New(prterr.Denied, "persons can be played in a laboratory only: start the identity provider as one")
	}
	return nil
}

// Answer is what a person taps on the telephone.
type Answer struct {
	User ids.UPN
	// ID of the challenge; empty is the newest of the user.
	ID      string
	Approve bool
	// Number that the person compares; 0 does not compare.
	Number int
}

// AnswerChallenge answers a second factor that waits. A number that is not the
// one of the page denies it: that is what the number is for.
func (s *Service) AnswerChallenge(ctx context.Context, a Answer) error {
	if err := s.Lab(); err != nil {
		return err
	}
	all, err := s.Challenges(ctx, a.User)
	if err != nil {
		return err
	}
	var which Challenge
	for _, c := range all { // the newest one is the last
		if c.User == a.User && (a.ID == "" || a.ID == c.ID) {
			which = c
		}
	}
	none := prterr.New(prterr.NotFound, "no second factor of the user waits: begin one at the sign-in page")
	switch {
	case which.ID == "":
		return none
	case (which.PhoneSignIn || which.Method == methods.IDPhoneSignIn) && a.Approve && a.Number == 0:
		// Nothing else stands between a stranger who knows the name and the account, and
		// no strength takes one for more than a push that was not compared.
		return prterr.New(prterr.Invalid, "number is missing: a sign-in without a password is approved with the number that the page shows")
	}
	err = s.waiting.UpdatePending(ctx, which.kind, which.ID, s.clock.Now(), func(p *store.Pending) error {
		var c challenge
		if err := json.Unmarshal(p.Data, &c); err != nil {
			return err
		}
		if c.Answer != "" {
			return store.ErrNotFound
		}
		if c.Answer = denied; a.Approve && (a.Number == 0 || c.Number == 0 || a.Number == c.Number) {
			c.Answer = approved
		}
		p.Data, err = json.Marshal(c)
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return none
	case err != nil:
		return prterr.Wrap(prterr.Internal, err, "the challenge cannot be answered")
	}
	return nil
}

// ReadOneTimeCode reads the code that the user's app shows now.
func (s *Service) ReadOneTimeCode(ctx context.Context, name ids.UPN) (secret.Text, error) {
	if err := s.Lab(); err != nil {
		return secret.Text{}, err
	}
	u, err := s.directory.UserByName(ctx, name)
	if err != nil {
		return secret.Text{}, err
	}
	return s.showing(u)
}

// Approval is a person at the page for the code of a device.
type Approval struct {
	UserCode string
	User     ids.UPN
	// WithMFA proves a second factor as well.
	WithMFA, Decline bool
}

// ApproveDevice signs a device in as a user, with the demands of policy as at the
// page: what is missing is the error.
func (s *Service) ApproveDevice(ctx context.Context, a Approval) error {
	if err := s.Lab(); err != nil {
		return err
	}
	u, err := s.directory.UserByName(ctx, a.User)
	if err != nil {
		return err
	}
	if u, err = s.directory.User(ctx, u.Tenant, u.ID); err != nil {
		return err
	}
	asked, err := s.next.WaitingDevice(ctx, a.UserCode)
	if err != nil {
		return err
	}
	st := s.keep.Begin(asked, "")
	if a.Decline {
		_, err := s.next.Decline(ctx, st)
		return err
	}
	st.Confirmed, st.Proof = true, s.proof(u, sealed.Password, methods.Password)
	if home, known := s.tenants.Home(u.UPN.Domain()); known && home.Domain.Federated != nil {
		st.Proof = s.proof(u, sealed.SAML, methods.FederatedSingle)
	}
	if a.WithMFA {
		s.proven(st, methods.Push)
	}
	o, err := s.next.Proceed(ctx, st)
	return refusal(o, err)
}

// refusal is the error of an outcome that did not sign the device in.
func refusal(o authorize.Outcome, err error) error {
	switch {
	case err != nil:
		return err
	case o.Page == nil:
		return prterr.New(prterr.Internal, "a device code ended without a page")
	case o.Page.Kind == authorize.PageDeviceDone:
		return nil
	case o.Page.Kind == authorize.PageFactor:
		return prterr.AADSTS(aadsts.MFARequired, "")
	case o.Page.Kind == authorize.PageChange:
		return prterr.AADSTS(aadsts.PasswordExpired, "")
	case o.Page.Code != 0:
		return prterr.AADSTS(o.Page.Code, "%s", o.Page.Text)
	default:
		return prterr.New(prterr.Conflict, "%s", o.Page.Text)
	}
}
