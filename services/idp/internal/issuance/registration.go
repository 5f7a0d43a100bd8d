package issuance

import (
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// registrationScope is the scope of a token that registers devices.
const registrationScope = "device_registration"

// freshFactor is how long after a second factor a token still says that it is
// fresh (amr ngcmfa).
const freshFactor = 10 * time.Minute

// BulkClientID is the application of bulk enrolment packages.
const BulkClientID = "b90d5b8f-5503-4153-b545-b31cecfaece2"

// Bearer is who a registration token speaks for, and what it says of them.
type Bearer struct {
	Tenant ids.TenantID
	User   ids.UserID
	// Client it was issued to.
	Client ids.ClientID
	// AMR is how the user proved who they are.
	AMR []string
	// Device that authenticated when it was issued; empty for none.
	Device ids.DeviceID
	// FreshMFA is true when a second factor was proven within the last ten minutes.
	FreshMFA bool
}

// Bulk reports whether it descends from a bulk enrolment package.
func (b Bearer) Bulk() bool { return b.Client == BulkClientID }

// registrationToken is what is read of such a token.
type registrationToken struct {
	Aud      string   `json:"aud"`
	Iss      string   `json:"iss"`
	Iat      int64    `json:"iat"`
	Nbf      int64    `json:"nbf"`
	Exp      int64    `json:"exp"`
	AMR      []string `json:"amr"`
	AppID    string   `json:"appid"`
	OID      string   `json:"oid"`
	TID      string   `json:"tid"`
	DeviceID string   `json:"deviceid"`
}

// CheckRegistrationToken takes an access token of ours for device registration,
// which clients ask for by its name or by its id. The algorithm and the key are
// fixed here; the token has no say. There is one error for all that can be wrong
// with it.
func (a *Authority) CheckRegistrationToken(text secret.Text) (Bearer, error) {
	refused := prterr.New(prterr.Unauthenticated, "access_token is not a valid token for device registration: get a new one")
	t, err := jose.Parse(text.Reveal())
	if err != nil {
		return Bearer{}, refused
	}
	if err := a.Verify(t); err != nil {
		return Bearer{}, refused
	}
	var c registrationToken
	if err := t.Claims(&c); err != nil {
		return Bearer{}, refused
	}
	b, err := c.bearer()
	if err != nil || c.Iss != issuer(b.Tenant) || c.Aud != entrawire.RegistrationResource && c.Aud != entrawire.RegistrationClientID {
		return Bearer{}, refused
	}
	now := a.clock.Now()
	if now.Before(time.Unix(c.Nbf, 0)) || !now.Before(time.Unix(c.Exp, 0)) {
		return Bearer{}, refused
	}
	// The token was fresh when it was made; it cannot tell since when.
	b.FreshMFA = slices.Contains(c.AMR, "ngcmfa") && now.Sub(time.Unix(c.Iat, 0)) <= freshFactor
	return b, nil
}

func (c registrationToken) bearer() (Bearer, error) {
	b := Bearer{AMR: c.AMR}
	var err error
	if b.Tenant, err = ids.ParseTenant(c.TID); err != nil {
		return b, err
	}
	if b.User, err = ids.ParseUser(c.OID); err != nil {
		return b, err
	}
	if b.Client, err = ids.ParseClient(c.AppID); err != nil || c.DeviceID == "" {
		return b, err
	}
	b.Device, err = ids.ParseDevice(c.DeviceID)
	return b, err
}
