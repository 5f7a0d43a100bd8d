package signin

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/authorize"
	"github.com/lockstep-sso/lockstep/services/idp/internal/flowstate"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// Discovered says how a name may sign in.
type Discovered struct {
	Name          string
	Exists        bool
	HasPassword   bool
	FederationURL string
	DomainKnown   bool
	FlowToken     secret.Text
	// Credentials are the ways to begin, the preferred one first.
	Credentials []Beginning
}

// Beginning is a way to begin a sign-in.
type Beginning int

// The ways.
const (
	ByPassword Beginning = iota + 1
	ByFederation
	ByPasskey
	ByPhone
	ByAccessPass
	ByCertificate
)

// beginnings are the ways of a user to begin, the one that is worth most first. A
// pass comes before everything: an administrator gave it for now.
func (s *Service) beginnings(u store.User, home tenant.Home) []Beginning {
	var out []Beginning
	add := func(has bool, b Beginning) {
		if has {
			out = append(out, b)
		}
	}
	add(u.AccessPass.Usable(s.clock.Now()), ByAccessPass)
	add(len(u.Passkeys) > 0, ByPasskey)
	add(u.SignsInByPhone(), ByPhone)
	add(true, usual(home))
	add(len(home.Tenant.CertificateAuthorities) > 0, ByCertificate)
	return out
}

// anyBeginning are the ways that are told of every name of a domain where nothing
// tells who exists.
func anyBeginning(home tenant.Home) []Beginning {
	out := []Beginning{usual(home), ByPasskey, ByPhone, ByAccessPass}
	if len(home.Tenant.CertificateAuthorities) > 0 {
		out = append(out, ByCertificate)
	}
	return out
}

func usual(home tenant.Home) Beginning {
	if home.Domain.Federated != nil {
		return ByFederation
	}
	return ByPassword
}

// Discover says how a name may sign in. It looks at the domain alone, so that every
// name of a domain gets one answer, unless the tenant's profile tells who exists;
// then it tells what the user has as well, as the public service does.
func (s *Service) Discover(ctx context.Context, name string, token secret.Text) (Discovered, error) {
	out := Discovered{Name: name, FlowToken: token}
	upn, err := ids.ParseUPN(name)
	if err != nil {
		return out, nil //nolint:nilerr // what is no name exists nowhere: that is the answer
	}
	home, known := s.tenants.Home(upn.Domain())
	out.DomainKnown, out.Exists = known, known
	switch {
	case known && home.Tenant.Profile.TellsUnknownUsers:
		u, err := s.directory.UserByName(ctx, upn) // nobody has the usual way
		out.Exists, out.Credentials = err == nil, s.beginnings(u, home)
	case known:
		out.Credentials = anyBeginning(home)
	}
	st, err := s.keep.Open(token)
	if !known || home.Domain.Federated == nil {
		out.HasPassword = known
		if err != nil || st.Step != flowstate.SignIn {
			return out, nil //nolint:nilerr // outside of a sign-in nothing goes on
		}
		st.Asked.Hint = string(upn) // for a form that says no name
		out.FlowToken, err = s.keep.Seal(st)
		return out, err
	}
	if err != nil {
		st = s.keep.Begin(flowstate.Asked{}, "")
	}
	away := *st
	out.FederationURL, _, err = s.next.Away(&away, string(upn))
	return out, err
}

// SubmitAssertion takes what a federation provider had the browser post. Context
// is the flow token that went there; whoever comes back is who signed in there,
// whatever name was typed before.
func (s *Service) SubmitAssertion(ctx context.Context, xml []byte, token secret.Text) (authorize.Outcome, error) {
	st, err := s.keep.Open(token)
	if err == nil {
		err = st.At(flowstate.Away)
	}
	if err != nil {
		return authorize.Over(err), nil
	}
	home, ok := s.homeOf(st)
	if !ok {
		return authorize.Over(prterr.AADSTS(aadsts.InvalidAssertion, "")), nil
	}
	u, method, err := s.directory.Assertion(ctx, home, "", xml)
	switch {
	case fatal(err):
		return authorize.Outcome{}, err
	case err != nil:
		s.next.Log(ctx, st, signinlog.WebSignIn, u.UPN, err)
		return authorize.Over(err), nil
	}
	st.Asked.Hint = string(u.UPN)
	s.begun(st, u, sealed.SAML, method)
	return s.next.Proceed(ctx, st)
}

// homeOf is the tenant whose federated domain the browser was sent to.
func (s *Service) homeOf(st *flowstate.State) (*tenant.Tenant, bool) {
	home, ok := s.tenants.Home(st.Domain)
	if !ok || home.Domain.Federated == nil {
		return nil, false
	}
	return home.Tenant, true
}
