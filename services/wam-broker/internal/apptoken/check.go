package apptoken

import (
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// claims are the members of an access token that say who it is for (protocol of
// Entra access tokens, version 1.0).
type claims struct {
	Audience string `json:"aud"`
	AppID    string `json:"appid"`
	TenantID string `json:"tid"`
	UserID   string `json:"oid"`
}

// Check reports whether an access token is the one that was asked for: this
// resource, this app, this user. The signature is not looked at, because a
// device holds no key for it and trusts nothing in it; the check is there so
// that an answer that was mixed up or forged on the way does not reach an app
// under a wrong name. An error is prterr.Denied and names the claim.
func Check(g Grant, client ids.ClientID, resource Resource, o Owner) error {
	t, err := jose.Parse(g.Token.Reveal())
	if err != nil {
		return prterr.Wrap(prterr.Denied, err, "the access token that came is not a signed token")
	}
	var c claims
	if err := t.Claims(&c); err != nil {
		return prterr.Wrap(prterr.Denied, err, "the access token that came has claims that cannot be read")
	}
	if c.Audience != string(resource) {
		return refuse("aud", "another resource")
	}
	if got, err := ids.ParseClient(c.AppID); err != nil || got != client {
		return refuse("appid", "another app")
	}
	if got, err := ids.ParseTenant(c.TenantID); err != nil || got != o.Tenant {
		return refuse("tid", "another tenant")
	}
	if got, err := ids.ParseUser(c.UserID); err != nil || got != o.User {
		return refuse("oid", "another user")
	}
	return nil
}

func refuse(claim, whose string) error {
	return prterr.New(prterr.Denied, "the access token that came is for %s (claim %s): it was not handed over", whose, claim)
}
