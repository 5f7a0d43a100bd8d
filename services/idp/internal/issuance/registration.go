package issuance

import (
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
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
	// From is the sign-in behind it, to be held against the user as they are now.
	From sealed.Artefact
}

// Bulk reports whether it descends from a bulk enrolment package.
func (b Bearer) Bulk() bool { return b.Client == BulkClientID }

// CheckRegistrationToken takes an access token of ours for device registration,
// which clients ask for by its name or by its id. The algorithm and the key are
// fixed here; the token has no say. There is one error for all that can be wrong
// with it.
func (a *Authority) CheckRegistrationToken(text secret.Text) (Bearer, error) {
	refused := prterr.New(prterr.Unauthenticated, "access_token is not a valid token for device registration: get a new one")
	t, ok := a.ReadAccessToken(text)
	// One that is bound to a key needs a proof that nothing here brings.
	if !ok || t.KeyID != "" || t.Audience != entrawire.RegistrationResource && t.Audience != entrawire.RegistrationClientID {
		return Bearer{}, refused
	}
	return Bearer{
		Tenant: t.Tenant, User: t.User, Client: t.Client, AMR: t.From.AMR, Device: t.DeviceID, From: t.From,
		// The token was fresh when it was made; it cannot tell since when.
		FreshMFA: slices.Contains(t.From.AMR, "ngcmfa") && a.clock.Now().Sub(t.Issued) <= freshFactor,
	}, nil
}
