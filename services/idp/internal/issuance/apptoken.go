package issuance

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// grantedScope is what an access token is good for; the resources of a
// laboratory know no finer one.
const grantedScope = "user_impersonation"

// AppTokens is what the tokens of an application depend on, all of it checked.
type AppTokens struct {
	Tenant *tenant.Tenant
	User   store.User
	// From is the PRT or refresh token that is redeemed.
	From   sealed.Artefact
	Client tenant.Application
	// Resource of the access token; nil asks for none.
	Resource *tenant.Resource
	// Device is nil when it is disabled or gone and the profile lets refresh tokens
	// live on: then no token names a device any more.
	Device *store.Device
	// RenewPRT asks for a successor of the PRT in the same answer.
	RenewPRT bool
	// PRTBeside says that the client knows our members for a PRT beside its own
	// refresh token. Others get the PRT as refresh_token, as on Entra.
	PRTBeside bool
	// AMR are the methods that the access token names; nil is those of From.
	AMR []string
	// TokenID is the claim uti of the access token; empty draws one.
	TokenID string
	// ACRS are the authentication contexts that it names.
	ACRS []string
	// Scope that is granted, for the answer; empty is the one of a laboratory.
	Scope string
	// Scopes of the access token, the claim scp; empty is all that there is.
	Scopes string
	// Plain lets the refresh token be redeemed without a signature, Family by the
	// other clients of the family as well.
	Plain, Family bool
	// CAE says that the client takes claims challenges.
	CAE bool
}

// AppTokens makes access token, refresh token and ID token of an application
// (app token, steps B and C). The access token is the one signature of the
// answer; the ID token travels encrypted to the device and stays unsigned. The
// session key stays the same, a successor PRT included.
func (a *Authority) AppTokens(n AppTokens) (entrawire.TokenAnswer, error) {
	now := a.clock.Now()
	next := n.From
	next.Type, next.Client, next.Issued, next.Expires = sealed.RefreshToken, n.Client.ID, now, now.Add(n.Tenant.Lifetimes.RefreshToken)
	next.Plain, next.Family, next.CAE = n.Plain, n.Family, n.CAE || n.From.CAE
	refresh, err := a.ring.Seal(next)
	if err != nil {
		return entrawire.TokenAnswer{}, err
	}
	lifetime := accessLifetime(n.Tenant.Lifetimes.AccessToken)
	long := n.CAE && n.Resource != nil && n.Resource.CAE
	if long {
		lifetime = between(shortestCAE, longestCAE)
	}
	lifetime = withinPass(n.From, now, lifetime)
	claims := idClaims(n.Tenant, n.User, n.From, string(n.Client.ID), now, lifetime)
	if n.Device != nil {
		claims.DeviceID = string(n.Device.ID)
	}
	idToken, err := unsignedIDToken(claims)
	if err != nil {
		return entrawire.TokenAnswer{}, err
	}
	seconds := int64(lifetime / time.Second)
	answer := entrawire.TokenAnswer{
		TokenType: entrawire.TokenType, Scope: "openid", ExpiresIn: seconds, ExtExpiresIn: seconds, ExpiresOn: now.Unix() + seconds,
		RefreshToken: refresh, IDToken: idToken, ClientInfo: entrawire.EncodeClientInfo(n.User.ID, n.Tenant.ID),
	}
	if n.Family {
		answer.Foci = "1"
	}
	if n.Resource != nil {
		answer.Resource, answer.Scope = n.Resource.URI, cmp.Or(n.Scope, grantedScope)
		g := Grant{
			Tenant: n.Tenant, User: n.User, From: n.From, Client: Client{Application: n.Client}, Version: 1, Resource: n.Resource,
			Scopes: cmp.Or(n.Scopes, grantedScope), Device: n.Device, AMR: n.methods(), ACRS: n.ACRS, TokenID: n.TokenID,
		}
		if answer.AccessToken, err = a.signClaims(g.access(now, lifetime, long)); err != nil {
			return entrawire.TokenAnswer{}, err
		}
	}
	if n.RenewPRT {
		if err := a.addPRT(&answer, n, now); err != nil {
			return entrawire.TokenAnswer{}, err
		}
	}
	return answer, nil
}

func (n AppTokens) methods() []string {
	if n.AMR == nil {
		return n.From.AMR
	}
	return n.AMR
}

func (a *Authority) addPRT(answer *entrawire.TokenAnswer, n AppTokens, now time.Time) error {
	prt := successor(n.From, now)
	prt.Issued, prt.Expires = now, now.Add(n.Tenant.Lifetimes.PRT)
	text, err := a.ring.Seal(prt)
	if err != nil {
		return err
	}
	if n.PRTBeside {
		answer.PRT, answer.PRTExpiresIn = text, prtSeconds(n.Tenant)
		return nil
	}
	answer.RefreshToken, answer.RefreshTokenExpiresIn = text, prtSeconds(n.Tenant)
	return nil
}

// RegistrationToken makes an access token that is good for registering devices,
// for the broker and a user whose password was checked just now.
func (a *Authority) RegistrationToken(t *tenant.Tenant, u store.User) (secret.Text, error) {
	now := a.clock.Now()
	g := Grant{
		Tenant: t, User: u, Client: Client{Application: tenant.Application{ID: entrawire.BrokerClientID}}, Version: 1,
		Resource: &tenant.Resource{URI: entrawire.RegistrationResource, Version: 1}, Scopes: registrationScope, AMR: methods.AMR([]methods.Method{methods.Password}),
		From: sealed.Artefact{Credential: sealed.Password, AuthTime: now, PasswordEpoch: u.PasswordEpoch, SessionEpoch: u.SessionEpoch},
	}
	return a.signClaims(g.access(now, accessLifetime(t.Lifetimes.AccessToken), false))
}

// withinPass ends a token with the Temporary Access Pass that the sign-in began with:
// resources ask nobody before they take it. Whole seconds.
func withinPass(from sealed.Artefact, now time.Time, lifetime time.Duration) time.Duration {
	if from.PassEnds == 0 {
		return lifetime
	}
	return max(0, min(lifetime, time.Unix(from.PassEnds, 0).Sub(now).Truncate(time.Second)))
}

// accessLifetime draws a lifetime from d up to one and a half times d, 60 to 90
// minutes as a rule, so that tokens issued together do not all end together.
func accessLifetime(d time.Duration) time.Duration {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	extra := time.Duration(binary.BigEndian.Uint64(b[:]) % uint64(d/2+1))
	return d + extra.Truncate(time.Second)
}
