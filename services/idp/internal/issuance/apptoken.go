package issuance

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
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
	Client ids.ClientID
	// Resource as registered; empty asks for no access token.
	Resource string
	// DeviceGood is false when the device is disabled or gone and the profile
	// lets refresh tokens live on: then no token names a device any more.
	DeviceGood bool
	// RenewPRT asks for a successor of the PRT in the same answer.
	RenewPRT bool
	// PRTBeside says that the client knows our members for a PRT beside its own
	// refresh token. Others get the PRT as refresh_token, as on Entra.
	PRTBeside bool
	// AMR are the methods that the access token names; nil is those of From.
	AMR []string
	// Scope that is granted, for the answer; empty is the one of a laboratory.
	Scope string
	// Plain lets the refresh token be redeemed without a signature, Family by the
	// other clients of the family as well.
	Plain, Family bool
	// CAE says that the client takes claims challenges.
	CAE bool
}

// accessToken is the claim set of a version 1.0 access token.
type accessToken struct {
	Aud        string   `json:"aud"`
	Iss        string   `json:"iss"`
	Iat        int64    `json:"iat"`
	Nbf        int64    `json:"nbf"`
	Exp        int64    `json:"exp"`
	ACR        string   `json:"acr"`
	AMR        []string `json:"amr"`
	AppID      string   `json:"appid"`
	AppIDACR   string   `json:"appidacr"`
	DeviceID   string   `json:"deviceid,omitempty"`
	Name       string   `json:"name"`
	OID        string   `json:"oid"`
	Scope      string   `json:"scp"`
	Sub        string   `json:"sub"`
	TID        string   `json:"tid"`
	UniqueName string   `json:"unique_name"`
	UPN        string   `json:"upn"`
	UTI        string   `json:"uti"`
	Ver        string   `json:"ver"`
}

// AppTokens makes access token, refresh token and ID token of an application
// (app token, steps B and C). The access token is the one signature of the
// answer; the ID token travels encrypted to the device and stays unsigned. The
// session key stays the same, a successor PRT included.
func (a *Authority) AppTokens(n AppTokens) (entrawire.TokenAnswer, error) {
	now := a.clock.Now()
	next := n.From
	next.Type, next.Client, next.Issued, next.Expires = sealed.RefreshToken, n.Client, now, now.Add(n.Tenant.Lifetimes.RefreshToken)
	next.Plain, next.Family, next.CAE = n.Plain, n.Family, n.CAE || n.From.CAE
	refresh, err := a.ring.Seal(next)
	if err != nil {
		return entrawire.TokenAnswer{}, err
	}
	lifetime := accessLifetime(n.Tenant.Lifetimes.AccessToken)
	claims := idClaims(n.Tenant, n.User, n.From, string(n.Client), now, lifetime)
	if n.DeviceGood {
		claims.DeviceID = string(n.From.Device)
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
	if n.Resource != "" {
		answer.Resource, answer.Scope = n.Resource, cmp.Or(n.Scope, grantedScope)
		token := bearer(n.Tenant, n.User, n.Client, n.Resource, grantedScope, n.methods(), now, lifetime)
		token.DeviceID = claims.DeviceID
		if answer.AccessToken, err = a.signToken(token); err != nil {
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

// RegistrationToken makes an access token that is good for registering devices.
func (a *Authority) RegistrationToken(t *tenant.Tenant, u store.User) (secret.Text, error) {
	now := a.clock.Now()
	return a.signToken(bearer(t, u, entrawire.BrokerClientID, entrawire.RegistrationResource, registrationScope,
		[]string{"pwd"}, now, accessLifetime(t.Lifetimes.AccessToken)))
}

func bearer(t *tenant.Tenant, u store.User, client ids.ClientID, audience, scope string, amr []string, now time.Time, lifetime time.Duration) accessToken {
	return accessToken{
		Aud: audience, Iss: issuer(t.ID), Iat: now.Unix(), Nbf: now.Unix(), Exp: now.Add(lifetime).Unix(), ACR: "1", AMR: slices.Clone(amr),
		AppID: string(client), AppIDACR: "0", Name: u.DisplayName, OID: string(u.ID), Scope: scope, Sub: pairwise(t.ID, audience, u.ID),
		TID: string(t.ID), UniqueName: string(u.UPN), UPN: string(u.UPN), UTI: newID(), Ver: "1.0",
	}
}

func (a *Authority) signToken(claims accessToken) (secret.Text, error) {
	raw, err := json.Marshal(claims)
	if err != nil {
		return secret.Text{}, fmt.Errorf("access token: %w", err)
	}
	return a.sign(raw)
}

// accessLifetime draws a lifetime from d up to one and a half times d, 60 to 90
// minutes as a rule, so that tokens issued together do not all end together.
func accessLifetime(d time.Duration) time.Duration {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	extra := time.Duration(binary.BigEndian.Uint64(b[:]) % uint64(d/2+1))
	return d + extra.Truncate(time.Second)
}
