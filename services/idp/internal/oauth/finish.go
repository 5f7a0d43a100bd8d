package oauth

import (
	"context"
	"slices"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/consent"
	"github.com/lockstep-sso/lockstep/services/idp/internal/directory"
	"github.com/lockstep-sso/lockstep/services/idp/internal/grants"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// tokens is the one way to tokens of a user. From says who signed in and how; it
// was opened or made by the grant, and is still to be held against the directory
// and the policies.
func (x *exchange) tokens(ctx context.Context, from sealed.Artefact, a audience, change func(*issuance.Grant)) (Answer, error) {
	g, err := x.grant(ctx, from, a)
	if err == nil {
		err = x.allowed(ctx, g)
	}
	if err != nil {
		return Answer{}, err
	}
	if change != nil {
		change(&g)
	}
	g.TokenID = issuance.NewTokenID()
	out, err := x.gate.Authority.UserTokens(g)
	if err != nil {
		return Answer{}, err
	}
	if g.Resource != nil {
		x.event.TokenID = g.TokenID
	}
	return x.answer(g, a, out), nil
}

// grant holds what was proved against the present: AADSTS50034 and 50057 for the
// user, 50173 for what was revoked. The policies are for who makes tokens of it to ask.
func (x *exchange) grant(ctx context.Context, from sealed.Artefact, a audience) (issuance.Grant, error) {
	user, err := x.gate.Directory.User(ctx, x.tenant.ID, from.User)
	x.event.User = user.UPN
	grants.NoteProof(x.event, from, incoming(from))
	if err != nil {
		return issuance.Grant{}, err
	}
	if revoked(from, user) {
		return issuance.Grant{}, prterr.AADSTS(aadsts.FreshTokenNeeded, "")
	}
	if from.PassEnded(x.gate.Clock.Now()) {
		return issuance.Grant{}, prterr.AADSTS(aadsts.ExpiredToken, "")
	}
	device, err := x.device(ctx, from)
	if err != nil {
		return issuance.Grant{}, err
	}
	now := x.gate.Clock.Now()
	contexts := x.contexts(from)
	g := issuance.Grant{
		Tenant: x.tenant, User: user, From: from, Client: x.app, Version: x.Version, Resource: a.resource, Scopes: strings.Join(a.scopes, " "),
		Device: device, AMR: grants.Methods(from, x.demands, now), ACRS: contexts, LongLived: x.demands.CAE || from.CAE, KeyID: x.keyID,
		IPAddress: x.Caller.IPAddress, Refresh: a.offline, ID: a.openid, Nonce: from.Nonce, Email: a.email,
	}
	g.AskedScope, g.AskedResource = x.asked(a)
	return g, x.consented(ctx, g, a)
}

// consented asks whether the application may do what it asks for in the name of the
// user: AADSTS65001.
func (x *exchange) consented(ctx context.Context, g issuance.Grant, a audience) error {
	ask := consent.Ask{Tenant: x.tenant.ID, App: x.app.Application, User: g.User.ID, Scopes: []string{consent.SignIn}}
	if a.resource != nil {
		ask.Resource, ask.Scopes = *a.resource, consent.Names(a.scopes)
	}
	return x.gate.Consents.Check(ctx, ask)
}

// revoked reports whether something that the artefact rests on was taken back.
func revoked(a sealed.Artefact, u store.User) bool {
	changed := a.Credential == sealed.Password && a.PasswordEpoch != u.PasswordEpoch
	return changed || a.SessionEpoch != u.SessionEpoch
}

// device finds the device that authenticated when the user signed in; nil when
// none did, or when it does not stand any more and the profile lets tokens live
// on without it. A PRT without a device never becomes one with.
func (x *exchange) device(ctx context.Context, from sealed.Artefact) (*store.Device, error) {
	if from.Device == "" || from.Deviceless {
		return nil, nil
	}
	dev, err := x.gate.Directory.Device(ctx, x.tenant.ID, from.Device)
	switch {
	case prterr.KindOf(err) == prterr.Internal:
		return nil, err
	case err == nil && issuance.Fingerprint(dev) != from.Certificate:
		err = prterr.AADSTS(aadsts.DeviceAuthenticationFailed, "")
	case err == nil:
		err = directory.Standing(x.tenant.Profile, dev)
	}
	if err == nil {
		x.event.Device, x.event.Protection = dev.ID, string(dev.KeyProtection)
		grants.NoteDevice(x.event, dev)
		return &dev, nil
	}
	if x.tenant.Profile.TokensDieWithDevice {
		return nil, err
	}
	return nil, nil
}

// allowed asks the policies and the claims request. Who names no resource is signed in
// to the application by an ID token, and they are about the application itself then, as
// at a page.
func (x *exchange) allowed(ctx context.Context, g issuance.Grant) error {
	about := tenant.Resource{URI: string(x.app.ID), ID: x.app.ID, Name: x.app.Name}
	if g.Resource != nil {
		about = *g.Resource
	}
	demands := x.demands
	demands.Contexts = g.ACRS
	f := x.gate.Facts(ctx, grants.Ask{
		Tenant: x.tenant, User: g.User, App: x.app.Application, Kind: grants.KindOf(x.app.Application, g.From.SPA), Resource: about,
		Contexts: g.ACRS, Device: g.Device, From: g.From, IDToken: g.ID,
		// The answer to such a code goes under the session key, and nothing of it works without.
		Bound: g.Device != nil && g.From.Type == sealed.Code && g.From.Encrypted && !g.From.SessionKey.Empty(),
	})
	return grants.Admit(x.event, f, g.From, demands, x.Version == 2)
}

// contexts are the authentication contexts of the token: those that the request
// demands, and those that the sign-in behind a code was asked for.
func (x *exchange) contexts(from sealed.Artefact) []string {
	out := slices.Clone(x.demands.Contexts)
	if from.Type == sealed.Code {
		for _, c := range from.Contexts {
			if !slices.Contains(out, c) {
				out = append(out, c)
			}
		}
	}
	return out
}

// incoming is what proved the user, in the words of the log.
func incoming(a sealed.Artefact) signinlog.Incoming {
	switch {
	case a.Type == sealed.RefreshToken:
		return signinlog.ARefreshToken
	case a.Credential.Federated():
		return signinlog.SAML11
	}
	return signinlog.NoToken
}

// asked is what a refresh token remembers, for a request that says nothing.
func (x *exchange) asked(a audience) (scope, resource string) {
	if x.Version != 2 {
		if a.resource == nil {
			return "", ""
		}
		return "", a.resource.URI
	}
	words := slices.Clone(a.asked)
	for name, on := range map[string]bool{"openid": a.openid, "profile": a.profile, "email": a.email, "offline_access": a.offline} {
		if on {
			words = append(words, name)
		}
	}
	slices.Sort(words)
	return strings.Join(words, " "), ""
}

// answer dresses tokens up.
func (x *exchange) answer(g issuance.Grant, a audience, t issuance.Tokens) Answer {
	out := Answer{Tokens: t, TokenType: x.tokenType(), Scope: strings.Join(a.told, " ")}
	if a.resource != nil && x.Version != 2 {
		out.Resource = a.prefix
	}
	if x.ClientInfo {
		out.ClientInfo = entrawire.EncodeClientInfo(g.User.ID, g.Tenant.ID)
	}
	return out
}

func (x *exchange) tokenType() string {
	if x.keyID != "" {
		return "pop"
	}
	return entrawire.TokenType
}

// settle fixes the tenant and has the application prove itself.
func (x *exchange) settle(ctx context.Context, id ids.TenantID) error {
	if err := x.enter(id); err != nil {
		return err
	}
	return x.identify(ctx)
}
