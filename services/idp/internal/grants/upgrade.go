package grants

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// upgrade takes a refresh token in place of a credential: the broker's own, of the
// device's tenant, of a user, and bound to no other device. Every other refresh
// token would turn a stolen one into a session of the whole device. AADSTS70000.
func (g *Gate) upgrade(ctx context.Context, d Device, text secret.Text) (store.User, *sealed.Artefact, error) {
	refused := func(why string) (store.User, *sealed.Artefact, error) {
		return store.User{}, nil, prterr.AADSTS(aadsts.InvalidGrant, "%s", why)
	}
	a, err := g.Authority.Open(sealed.RefreshToken, text)
	if err != nil {
		return store.User{}, nil, prterr.AADSTS(aadsts.InvalidGrant, "")
	}
	switch {
	case a.Client != entrawire.BrokerClientID:
		return refused("the refresh token is not the broker's: only its own become a PRT")
	case a.Tenant != d.Tenant.ID:
		return refused("the refresh token belongs to another tenant than the device")
	case a.Device != "" && (a.Device != d.Device.ID || a.Certificate != issuance.Fingerprint(d.Device)):
		return refused("the refresh token is bound to another device")
	case !a.Credential.OfAUser() || a.SPA:
		return refused("the refresh token is not one of a user who signed in")
	case a.Origin == tenant.FlowDeviceCode && !d.Tenant.Profile.DeviceCodePRT:
		return refused("the refresh token was got by device code, and the tenant takes none of those")
	case !d.Tenant.Profile.LooseUpgrades && !g.setUp(d, a):
		return refused("the refresh token is not bound to the device and was not got to set it up just now: sign in on the device")
	}
	u, err := g.UserStands(ctx, a)
	a = a.Aged(g.Clock.Now(), d.Tenant.Lifetimes.SecondFactor)
	return u, &a, err
}

// setUpWindow is how long after a sign-in its refresh token may still set a device up.
const setUpWindow = time.Hour

// setUp reports whether a refresh token came of a sign-in on the device, or of the one
// sign-in that set it up: for the registration service, by the user who registered the
// device, before the registration and not long ago. Whoever phished a token can
// register a device of their own with it, but only as long as they have to hurry.
func (g *Gate) setUp(d Device, a sealed.Artefact) bool {
	if a.Device != "" {
		return true // and it was compared with the device already
	}
	began := a.AuthTime.Truncate(time.Second)
	return forRegistration(d.Tenant, a) && d.Device.RegisteredBy == a.User &&
		!d.Device.RegisteredAt.Before(began) && g.Clock.Now().Sub(began) <= setUpWindow
}

// forRegistration reports whether a refresh token was issued beside a token for the
// registration service.
func forRegistration(t *tenant.Tenant, a sealed.Artefact) bool {
	resource, known := t.Resource(entrawire.RegistrationResource)
	if !known {
		return false
	}
	return resource.Is(a.Resource) || slices.ContainsFunc(strings.Fields(a.Scope), func(s string) bool { return resource.Is(ownerOf(s)) })
}
