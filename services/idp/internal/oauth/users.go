package oauth

import (
	"context"
	"crypto/rand"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/directory"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/saml"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// Password signs a user in by name and password.
type Password struct {
	Username string
	Password secret.Text
}

func (Password) flow() signinlog.Flow { return signinlog.Password }

func (p Password) redeem(ctx context.Context, x *exchange) (Answer, error) {
	switch {
	case p.Username == "":
		return Answer{}, prterr.AADSTS(aadsts.MissingParameter, "username is missing")
	case p.Password.Empty():
		return Answer{}, prterr.AADSTS(aadsts.MissingParameter, "password is missing")
	}
	name, err := ids.ParseUPN(p.Username)
	if err != nil {
		return Answer{}, prterr.AADSTS(aadsts.InvalidRequest, "username is not right: %v", err)
	}
	x.event.User = name
	// The application proves itself before a password is looked at, so that a
	// stranger needs a client of the tenant to try any.
	t, err := x.homeOf(name)
	if err != nil {
		return Answer{}, err
	}
	if err := x.settle(ctx, t.ID); err != nil {
		return Answer{}, err
	}
	a, err := x.audience("", "")
	if err != nil {
		return Answer{}, err
	}
	u, method, err := x.gate.Directory.Authenticate(ctx, t, directory.Credential{Name: p.Username, Password: p.Password, Typed: true})
	if err != nil {
		return Answer{}, err
	}
	if u.MustChange {
		return Answer{}, prterr.AADSTS(aadsts.PasswordExpired, "")
	}
	return x.tokens(ctx, x.signedIn(u, sealed.Password, method), a, nil)
}

// homeOf is the tenant that the user has to be of: the one that the path names, or
// the one that the domain belongs to.
func (x *exchange) homeOf(name ids.UPN) (*tenant.Tenant, error) {
	if x.within != nil {
		return x.within, nil
	}
	home, ok := x.gate.Tenants.Home(name.Domain())
	if !ok {
		return nil, prterr.AADSTS(aadsts.TenantNotFound, "")
	}
	return home.Tenant, nil
}

// signedIn is what a code would say of somebody who has signed in just now.
func (x *exchange) signedIn(u store.User, c sealed.Credential, m methods.Method) sealed.Artefact {
	now := x.gate.Clock.Now()
	used := methods.Add(nil, m, now)
	var factor int64
	if t := methods.FactorTime(used); !t.IsZero() {
		factor = t.Unix()
	}
	return sealed.Artefact{
		Type: sealed.Code, Tenant: u.Tenant, User: u.ID, Client: x.client, SessionID: rand.Text(), Credential: c, AMR: methods.AMR([]methods.Method{m}), AuthTime: now,
		PasswordEpoch: u.PasswordEpoch, SessionEpoch: u.SessionEpoch, Issued: now, Expires: now, Details: sealed.Details{Used: used, MFATime: factor},
	}
}

// Assertion signs a federated user in.
type Assertion struct {
	XML secret.Text
	// Version of SAML, 1.1.
	Version string
}

func (Assertion) flow() signinlog.Flow { return signinlog.Assertion }

func (s Assertion) redeem(ctx context.Context, x *exchange) (Answer, error) {
	xml := s.XML.Reveal()
	switch {
	case s.Version != "1.1" && s.Version != "":
		return Answer{}, prterr.AADSTS(aadsts.UnsupportedGrantType, "SAML %s is not taken: use 1.1", "2.0")
	case xml == "":
		return Answer{}, prterr.AADSTS(aadsts.MissingParameter, "assertion is missing")
	case len(xml) > saml.MaxAssertion:
		return Answer{}, prterr.AADSTS(aadsts.InvalidAssertion, "")
	}
	u, method, err := x.federated(ctx, []byte(xml))
	if err != nil {
		return Answer{}, err
	}
	x.event.User = u.UPN
	if err := x.settle(ctx, u.Tenant); err != nil {
		return Answer{}, err
	}
	a, err := x.audience("", "")
	if err != nil {
		return Answer{}, err
	}
	return x.tokens(ctx, x.signedIn(u, sealed.SAML, method), a, nil)
}

// federated finds whose provider vouches for whom. Where the path names no tenant,
// the one whose certificate verifies is the user's.
func (x *exchange) federated(ctx context.Context, xml []byte) (store.User, methods.Method, error) {
	among := x.gate.Tenants.All()
	if x.within != nil {
		among = []*tenant.Tenant{x.within}
	}
	var last error = prterr.AADSTS(aadsts.InvalidAssertion, "")
	for _, t := range among {
		u, method, err := x.gate.Directory.Authenticate(ctx, t, directory.Credential{Assertion: xml})
		if err == nil {
			return u, method, nil
		}
		if prterr.CodeOf(err) != aadsts.InvalidAssertion {
			last = err
		}
	}
	return store.User{}, "", last
}
