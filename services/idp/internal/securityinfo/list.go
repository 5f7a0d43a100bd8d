package securityinfo

import (
	"context"
	"fmt"
	"slices"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/authorize"
	"github.com/lockstep-sso/lockstep/services/idp/internal/directory"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/passkey"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// passwordID names the password among a person's methods.
const passwordID = "password"

// Listed is a person with their methods.
type Listed struct {
	User store.User
	// Methods in the order in which they were added; a telephone is shown by its last
	// digits.
	Methods []Method
	// Addable are the kinds that the person can add.
	Addable []methods.Method
}

// Method is one of a person's.
type Method struct {
	directory.Method
	// Removable is false for what only an administrator removes.
	Removable bool
}

// List lists a person's methods.
func (s *Service) List(ctx context.Context, c Call) (Listed, error) {
	p, err := s.who(ctx, c)
	if err != nil {
		return Listed{}, err
	}
	out := Listed{User: p.User}
	managed := func(d tenant.Domain) bool { return d.Name == p.User.UPN.Domain() && d.Federated == nil }
	if slices.ContainsFunc(p.Tenant.Domains, managed) {
		out.Methods = append(out.Methods, Method{Method: directory.Method{ID: passwordID, Kind: methods.Password, Display: "Password"}})
	}
	for _, m := range directory.MethodsOf(p.User) {
		if m.Kind == methods.SMS {
			m.Display = authorize.MaskedPhone(m.Display)
		}
		out.Methods = append(out.Methods, Method{Method: m, Removable: removable(m.Kind)})
	}
	for _, kind := range []methods.Method{methods.Push, methods.SoftwareOATH, methods.SMS, methods.Voice, methods.FIDO2} {
		if addable(p.User, kind) == "" {
			out.Addable = append(out.Addable, kind)
		}
	}
	return out, nil
}

// removable says whether people remove a method by themselves: a pass was given by an
// administrator, and a Windows Hello key belongs to a device.
func removable(m methods.Method) bool {
	return slices.Contains([]methods.Method{methods.SoftwareOATH, methods.SMS, methods.Push, methods.PhoneSignIn, methods.FIDO2}, m)
}

// addable is why a person cannot add a kind now; empty when they can.
func addable(u store.User, kind methods.Method) string {
	switch {
	case kind == methods.SoftwareOATH && !u.TOTPSecret.Empty():
		return "you have codes of an authenticator app already: remove them first"
	case (kind == methods.SMS || kind == methods.Voice) && u.Phone != "":
		return "you have a telephone already: remove it first"
	case kind == methods.Push && len(u.Push) >= tenant.MaxAuthenticators:
		return fmt.Sprintf("you have %d authenticators, which is as many as there may be: remove one", tenant.MaxAuthenticators)
	case kind == methods.FIDO2 && len(u.Passkeys) >= passkey.MaxKeys:
		return fmt.Sprintf("you have %d passkeys, which is as many as there may be: remove one", passkey.MaxKeys)
	}
	return ""
}

func display(m methods.Method) string {
	f, _ := methods.Of(m)
	return f.Display
}

// Remove removes a method of a person.
func (s *Service) Remove(ctx context.Context, c Call, id string) error {
	p, err := s.whoChanges(ctx, c)
	if err != nil {
		s.refused(ctx, p, err)
		return err
	}
	m, err := find(p.User, id)
	if err == nil && !removable(m.Kind) {
		err = prterr.New(prterr.Denied, "method_id is of a method that only an administrator removes: ask one")
	}
	if err == nil {
		_, err = s.change(ctx, p, func(u *store.User) error {
			if !directory.RemoveFrom(u, id) {
				return notThere()
			}
			return nil
		})
	}
	if err != nil {
		s.refused(ctx, p, err)
		return err
	}
	s.done(ctx, p, "removed "+string(m.Kind), nil)
	s.tell(p.User, "%s was removed from your account.", display(m.Kind))
	return nil
}

// SetDefault chooses the method that is asked for first.
func (s *Service) SetDefault(ctx context.Context, c Call, id string) error {
	p, err := s.whoChanges(ctx, c)
	if err != nil {
		s.refused(ctx, p, err)
		return err
	}
	m, err := find(p.User, id)
	if err == nil && (m.Kind.ID() == "" || !removable(m.Kind)) {
		err = prterr.New(prterr.Invalid, "method_id is of a method that no page asks for as a second factor: choose another")
	}
	if err == nil {
		_, err = s.change(ctx, p, func(u *store.User) error {
			if _, err := find(*u, id); err != nil {
				return err
			}
			u.DefaultMethod = m.Kind.ID()
			return nil
		})
	}
	if err != nil {
		s.refused(ctx, p, err)
		return err
	}
	s.done(ctx, p, "chose "+string(m.Kind), nil)
	return nil
}

func find(u store.User, id string) (directory.Method, error) {
	for _, m := range directory.MethodsOf(u) {
		if m.ID == id {
			return m, nil
		}
	}
	return directory.Method{}, notThere()
}

func notThere() error {
	return prterr.New(prterr.NotFound, "method_id names none of your methods: list them")
}
