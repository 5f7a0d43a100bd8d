package issuance

import (
	"time"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// registrationScope is the scope of a token that registers devices.
const registrationScope = "device_registration"

// Bearer is who a registration token speaks for.
type Bearer struct {
	Tenant ids.TenantID
	User   ids.UserID
}

// CheckRegistrationToken takes an access token of ours for device registration.
// The algorithm and the key are fixed here; the token has no say. There is one
// error for all that can be wrong with it.
func (a *Authority) CheckRegistrationToken(text secret.Text) (Bearer, error) {
	refused := prterr.New(prterr.Unauthenticated, "access_token is not a valid token for device registration: get a new one")
	t, err := jose.Parse(text.Reveal())
	if err != nil {
		return Bearer{}, refused
	}
	if err := a.Verify(t); err != nil {
		return Bearer{}, refused
	}
	var c accessToken
	if err := t.Claims(&c); err != nil {
		return Bearer{}, refused
	}
	tenant, err := ids.ParseTenant(c.TID)
	if err != nil || c.Iss != issuer(tenant) || c.Aud != entrawire.RegistrationResource {
		return Bearer{}, refused
	}
	user, err := ids.ParseUser(c.OID)
	if now := a.clock.Now(); err != nil || now.Before(time.Unix(c.Nbf, 0)) || !now.Before(time.Unix(c.Exp, 0)) {
		return Bearer{}, refused
	}
	return Bearer{Tenant: tenant, User: user}, nil
}
