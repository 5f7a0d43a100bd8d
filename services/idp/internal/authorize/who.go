package authorize

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/directory"
	"github.com/lockstep-sso/lockstep/services/idp/internal/flowstate"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// who looks up everything that a proof stands for. AADSTS50034, 50057, 50173,
// 50020, 700016, 50011, 500011, 70011.
func (s *Service) who(ctx context.Context, st *flowstate.State) (someone, error) {
	home, ok := s.gate.Tenants.Tenant(st.Proof.Tenant)
	if !ok || st.Asked.Tenant != "" && st.Asked.Tenant != home.ID {
		return someone{}, prterr.AADSTS(aadsts.UserNotInTenant, "")
	}
	out := someone{tenant: home}
	var known bool
	if out.app, known = home.Application(st.Asked.Client); !known {
		return out, prterr.AADSTS(aadsts.ApplicationNotFound, "")
	}
	if st.Asked.UserCode == "" && !out.app.Redirects(st.Asked.RedirectURI) {
		return out, prterr.AADSTS(aadsts.InvalidReplyTo, "")
	}
	var err error
	if out.resource, out.named, err = audience(home, out.app, st.Asked); err != nil {
		return out, err
	}
	if out.user, err = s.userStands(ctx, st.Proof); err != nil {
		return out, err
	}
	if out.device, err = s.deviceStands(ctx, st.Device, st.Proof); err != nil {
		return out, err
	}
	if st.Proof.PRT != "" {
		return out, s.prtStands(st.Proof, out)
	}
	return out, nil
}

// userStands finds the user of a proof and checks that nothing was revoked since, and
// that a pass it began with is not over.
func (s *Service) userStands(ctx context.Context, p flowstate.Proof) (store.User, error) {
	u, err := s.gate.Directory.User(ctx, p.Tenant, p.User)
	if err != nil {
		return u, err
	}
	changed := p.Credential == sealed.Password && p.PasswordEpoch != u.PasswordEpoch
	if changed || p.SessionEpoch != u.SessionEpoch {
		return u, prterr.AADSTS(aadsts.FreshTokenNeeded, "")
	}
	if (sealed.Details{PassEnds: p.PassEnds}).PassEnded(s.gate.Clock.Now()) {
		return u, prterr.AADSTS(aadsts.ExpiredToken, "")
	}
	return u, nil
}

// deviceStands finds the device that authenticated, nil for none. The device of
// one account counts for another one of the same tenant, as on Entra, and for
// nobody of another tenant.
func (s *Service) deviceStands(ctx context.Context, d flowstate.Device, p flowstate.Proof) (*store.Device, error) {
	if d.ID == "" || d.Tenant != p.Tenant || len(d.Certificate) != sha256.Size {
		return nil, nil
	}
	dev, err := s.gate.Directory.Device(ctx, d.Tenant, d.ID)
	if broken(err) {
		return nil, err
	}
	home, ok := s.gate.Tenants.Tenant(d.Tenant)
	if err != nil || !ok || directory.Standing(home.Profile, dev) != nil || issuance.Fingerprint(dev) != [sha256.Size]byte(d.Certificate) {
		return nil, nil //nolint:nilerr // a device that does not stand any more is none, which is no error
	}
	return &dev, nil
}

// prtStands checks a PRT once more: it may have expired, or its device may have
// been disabled, while a second factor was asked for.
func (s *Service) prtStands(p flowstate.Proof, who someone) error {
	a, err := s.gate.Authority.Open(sealed.PRT, secret.NewText(p.PRT))
	if err != nil {
		return prterr.AADSTS(aadsts.InvalidGrant, "")
	}
	defer a.SessionKey.Wipe()
	switch {
	case a.User != p.User || a.Tenant != p.Tenant:
		return prterr.AADSTS(aadsts.InvalidGrant, "")
	case s.gate.Clock.Now().After(a.Expires):
		return prterr.AADSTS(aadsts.ExpiredToken, "")
	case who.device == nil && !a.Deviceless:
		return prterr.AADSTS(aadsts.DeviceAuthenticationFailed, "")
	}
	return nil
}

// once lets a sign-in that was carried from page to page end one time, and not
// after its session was ended: going back in the browser signs nobody in again.
func (s *Service) once(ctx context.Context, st *flowstate.State) error {
	if !st.Carried {
		return nil
	}
	over, err := s.ended.Is(ctx, st.Proof.SessionID, s.gate.Clock.Now())
	if err != nil {
		return err
	}
	began := time.Unix(st.Began, 0)
	first, err := s.gate.Replays.UseOnce(ctx, sha256.Sum256([]byte("sign-in|"+st.ID)), began, began.Add(flowstate.Lifetime))
	if err == nil && (over || !first) {
		return prterr.AADSTS(aadsts.FlowTokenExpired, "")
	}
	return err
}
