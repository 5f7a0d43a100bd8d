package issuance

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// oidcClaims is the claim set of an ID token, of the token endpoint or straight
// from the authorization endpoint.
type oidcClaims struct {
	Aud        string   `json:"aud"`
	AuthTime   int64    `json:"auth_time,omitempty"`
	CHash      string   `json:"c_hash,omitempty"`
	DeviceID   string   `json:"deviceid,omitempty"`
	SID        string   `json:"sid,omitempty"`
	Iss        string   `json:"iss"`
	Iat        int64    `json:"iat"`
	Nbf        int64    `json:"nbf"`
	Exp        int64    `json:"exp"`
	AMR        []string `json:"amr,omitempty"`
	Email      string   `json:"email,omitempty"`
	FamilyName string   `json:"family_name,omitempty"`
	GivenName  string   `json:"given_name,omitempty"`
	IPAddress  string   `json:"ipaddr,omitempty"`
	Name       string   `json:"name"`
	Nonce      string   `json:"nonce,omitempty"`
	OID        string   `json:"oid"`
	Preferred  string   `json:"preferred_username,omitempty"`
	RH         string   `json:"rh,omitempty"`
	Sub        string   `json:"sub"`
	TID        string   `json:"tid"`
	UniqueName string   `json:"unique_name,omitempty"`
	UPN        string   `json:"upn,omitempty"`
	UTI        string   `json:"uti"`
	Ver        string   `json:"ver"`
}

// idToken makes the ID token. On the endpoint v2.0 it is signed, because
// libraries of OpenID Connect verify it. On the endpoint without a version it is
// signed for confidential clients only: the libraries of that endpoint, ADAL and
// those of its time, read the token and verify nothing, and Entra gives their
// native clients an unsigned one; the token comes straight from us, over TLS,
// which OpenID Connect Core takes in place of a signature (3.1.3.7, 6). It saves
// one RSA signature of two.
func (a *Authority) idToken(g Grant, now time.Time) (secret.Text, error) {
	client := string(g.Client.ID)
	c := oidcClaims{
		Aud: client, Iat: now.Unix(), Nbf: now.Unix(), Exp: now.Add(webIDTokenLifetime).Unix(), Name: g.User.DisplayName, Nonce: g.Nonce,
		OID: string(g.User.ID), TID: string(g.Tenant.ID), Sub: pairwise(g.Tenant.ID, client, g.User.ID), UTI: newID(),
	}
	if g.Version == 2 {
		c.Ver, c.Iss, c.Preferred, c.RH = "2.0", issuer2(g.Tenant.ID), string(g.User.UPN), routingHint(g.Tenant.ID, g.Client.ID)
		if g.Email {
			c.Email = g.User.Mail
		}
		return a.signClaims(c)
	}
	c.Ver, c.Iss, c.AMR, c.UPN, c.UniqueName = "1.0", issuer(g.Tenant.ID), g.AMR, string(g.User.UPN), string(g.User.UPN)
	c.GivenName, c.FamilyName, c.IPAddress = g.User.GivenName, g.User.Surname, g.IPAddress
	if g.Client.Confidential() {
		return a.signClaims(c)
	}
	raw, err := json.Marshal(c)
	if err != nil {
		return secret.Text{}, fmt.Errorf("ID token: %w", err)
	}
	s, err := jose.Unsigned(raw)
	return secret.NewText(s), err
}
