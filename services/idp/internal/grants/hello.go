package grants

import (
	"context"
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/directory"
	"github.com/lockstep-sso/lockstep/services/idp/internal/profile"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

const (
	// helloLongest is how long an assertion may be good for; clients make them for
	// five minutes to two hours.
	helloLongest = 2 * time.Hour
	// helloSkew is how far ahead of ours a device's clock may be.
	helloSkew = 5 * time.Minute
)

// hello checks a Windows Hello assertion (MS-OAPXBC 3.2.5.1.2.1): user by its
// issuer, key by its kid, signature, times, nonce, and the device of the key.
// AADSTS135010 for an unknown user or key, 50013 for the rest, 140000 for the nonce.
func (g *Gate) hello(ctx context.Context, d Device, c *entrawire.PRTRequest) (store.User, error) {
	refused := prterr.AADSTS(aadsts.InvalidAssertion, "")
	t, err := jose.Parse(c.Assertion.Reveal())
	if err != nil || t.Header.Alg != jose.RS256 {
		return store.User{}, refused
	}
	var a entrawire.HelloAssertion
	if t.Claims(&a) != nil || a.Validate() != nil {
		return store.User{}, refused
	}
	user, key, err := g.helloKey(ctx, d, a.Iss, t.Header.Kid)
	if err != nil {
		return store.User{}, err
	}
	pub, err := entrawire.ParseRSA1(key.Key)
	if err != nil || entrawire.VerifyHello(t, pub) != nil {
		return store.User{}, refused
	}
	d.IsUser(user)
	if key.Origin() != store.Registered && !d.Tenant.Profile.WrittenKeys {
		return store.User{}, prterr.AADSTS(aadsts.InvalidAssertion, "the key was written into the directory and no device registered it: provision one on this device")
	}
	iat, exp, now := time.Unix(a.Iat, 0), time.Unix(a.Exp, 0), g.Clock.Now()
	if exp.Sub(iat) > helloLongest || iat.After(now.Add(helloSkew)) || !now.Before(exp) {
		return store.User{}, prterr.AADSTS(aadsts.InvalidAssertion, "the times of the assertion are not right: make one for up to two hours from now")
	}
	if err := g.helloFresh(ctx, d, t, a.RequestNonce, c.RequestNonce); err != nil {
		return store.User{}, err
	}
	if err := g.helloDeviceStands(ctx, d, key); err != nil {
		return store.User{}, err
	}
	if !mayTravel(d, key, a.RequestNonce == c.RequestNonce) {
		return store.User{}, prterr.AADSTS(aadsts.InvalidAssertion, "the key was registered on another device: provision one on this device")
	}
	if !user.Enabled {
		return user, prterr.AADSTS(aadsts.UserDisabled, "")
	}
	return user, nil
}

// helloKey finds the user and the key. Who does not exist and who has no such key
// are one error; that a user is disabled is told only to who has the key.
func (g *Gate) helloKey(ctx context.Context, d Device, issuer, kid string) (store.User, store.HelloKey, error) {
	unknown := prterr.AADSTS(aadsts.KeyNotFound, "")
	upn, err := ids.ParseUPN(issuer)
	if err != nil {
		return store.User{}, store.HelloKey{}, unknown
	}
	u, err := g.Directory.UserByName(ctx, upn)
	switch {
	case prterr.KindOf(err) == prterr.Internal:
		return store.User{}, store.HelloKey{}, err
	case err != nil || u.Tenant != d.Tenant.ID:
		return store.User{}, store.HelloKey{}, unknown
	}
	i := slices.IndexFunc(u.HelloKeys, func(k store.HelloKey) bool { return k.KeyID == kid })
	if i < 0 {
		return store.User{}, store.HelloKey{}, unknown
	}
	return u, u.HelloKeys[i], nil
}

// helloFresh checks the assertion's own nonce. Clients fetch one for it and another
// one for the request around it; where one may be used once, it is used up here
// unless the request used it already.
func (g *Gate) helloFresh(ctx context.Context, d Device, t *jose.Token, inner, outer string) error {
	if inner != outer {
		return g.fresh(ctx, d.Tenant.Profile, t, inner)
	}
	n, err := g.Nonces.Check(inner)
	if err != nil || !d.Tenant.Profile.RequestOnce {
		return err
	}
	return g.once(ctx, t.Digest(), n.Expires)
}

// helloDeviceStands refuses the key of a device that is disabled or gone, on whatever
// device it turns up: such a key is an orphan, and nobody looks after its chip any more.
// The profile that asks for no device of a key does not ask here either.
func (g *Gate) helloDeviceStands(ctx context.Context, d Device, key store.HelloKey) error {
	if key.Device == "" || key.Device == d.Device.ID || d.Tenant.Profile.HelloKey == profile.HelloAnywhere {
		return nil
	}
	dev, err := g.Directory.Device(ctx, d.Tenant.ID, key.Device)
	if err == nil {
		err = directory.Standing(d.Tenant.Profile, dev)
	}
	if err != nil && prterr.KindOf(err) != prterr.Internal {
		err = prterr.AADSTS(aadsts.InvalidAssertion, "the device that the key was registered on is disabled or gone: provision a key on this device")
	}
	return err
}

// mayTravel is the rule for a key on another device than its own.
func mayTravel(d Device, key store.HelloKey, oneNonce bool) bool {
	if key.Device == d.Device.ID {
		return true
	}
	switch d.Tenant.Profile.HelloKey {
	case profile.HelloAnywhere:
		return true
	case profile.HelloSameNonce:
		return oneNonce
	case profile.HelloSameDevice:
	}
	return false
}
