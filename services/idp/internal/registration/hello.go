package registration

import (
	"context"

	"github.com/google/uuid"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/directory"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/outbox"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// HelloKey is a Windows Hello key to register.
type HelloKey struct {
	// Token is an access token for device registration, with a fresh second factor
	// and a device.
	Token secret.Text
	// Key is an RSA1 blob.
	Key []byte
	// Correlation is the client's id for the request, for the log, or empty.
	Correlation string
}

// RegisterHello gives a user a Windows Hello key for the device in the token, in
// place of an earlier one. A key signs in like two factors for as long as it
// exists, so who registers one must just have proven both, on a device that stands;
// and the user hears of it, because a thief may have been the one.
func (s *Service) RegisterHello(ctx context.Context, r HelloKey) (kid string, upn ids.UPN, err error) {
	e := signinlog.Event{Flow: signinlog.RegisterHello, Correlation: r.Correlation}
	defer func() { s.gate.Log.Record(ctx, s.gate.Clock.Now(), e, err) }()
	b, home, u, err := s.bearer(ctx, r.Token, &e)
	if err != nil {
		return "", "", err
	}
	switch {
	case b.Bulk():
		return "", "", prterr.New(prterr.Denied, "access_token is for registering devices only")
	case !b.FreshMFA:
		return "", "", prterr.New(prterr.Denied, "access_token has no second factor of the last ten minutes (amr ngcmfa): sign in with amr_values=ngcmfa")
	case b.Device == "":
		// The number is what a client of the public service shows for it.
		return "", "", prterr.New(prterr.Denied, "0x801c044d: access_token names no device (deviceid): sign in on a registered device")
	}
	e.Device = b.Device
	dev, err := s.gate.Directory.Device(ctx, home.ID, b.Device)
	if err != nil {
		return "", "", err
	}
	if err := directory.Standing(home.Profile, dev); err != nil {
		return "", "", err
	}
	if issuance.Fingerprint(dev) != b.From.Certificate {
		return "", "", prterr.AADSTS(aadsts.DeviceAuthenticationFailed, "")
	}
	pub, err := entrawire.ParseRSA1(r.Key)
	if err != nil {
		return "", "", prterr.New(prterr.Invalid, "key: %v", err)
	}
	id, err := entrawire.HelloKeyID(pub)
	if err != nil {
		return "", "", prterr.New(prterr.Invalid, "key: %v", err)
	}
	key := store.HelloKey{KID: uuid.NewString(), KeyID: id, Key: r.Key, Device: dev.ID, Created: s.gate.Clock.Now(), Provenance: store.Registered}
	if err := s.gate.Directory.PutHelloKey(ctx, home.ID, u.ID, key); err != nil {
		return "", "", err
	}
	s.outbox.Send(outbox.KeyNotice(u.UPN, dev.DisplayName))
	return key.KID, u.UPN, nil
}
