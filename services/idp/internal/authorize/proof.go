package authorize

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/flowstate"
	"github.com/lockstep-sso/lockstep/services/idp/internal/grants"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/nonce"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// linuxCookieAge is how old a dated PRT cookie of a Linux broker may be: the
// extension renews its one header every half hour.
const linuxCookieAge = 35 * time.Minute

// prtProof verifies one PRT cookie: all phases of a request that is signed with a
// session key (MS-OAPXBC 3.2.5.2).
func (s *Service) prtProof(ctx context.Context, st *flowstate.State, header secret.Text, ssoNonce string, cookie secret.Text) (flowstate.Proof, flowstate.Device, error) {
	var dev flowstate.Device
	proof, err := grants.BySession(ctx, s.gate, grants.SessionKind[entrawire.Cookie, flowstate.Proof]{
		Flow:     signinlog.PRTCookie,
		Artefact: sealed.PRT,
		Token:    func(c *entrawire.Cookie) secret.Text { return c.RefreshToken },
		Nonce:    func(c *entrawire.Cookie) string { return c.RequestNonce },
		Dated:    made,
		DatedAge: s.datedAge,
		Client:   func(*entrawire.Cookie) string { return string(st.Asked.Client) },
		Check:    func(c *entrawire.Cookie) error { return c.Validate() },
		Answer: func(ctx context.Context, g grants.Session, c *entrawire.Cookie) (flowstate.Proof, error) {
			if c.RequestNonce != "" && ssoNonce != "" && c.RequestNonce != ssoNonce {
				return flowstate.Proof{}, s.gate.Nonces.Refuse(nonce.Crossed)
			}
			dev = deviceOf(g)
			return s.proofOf(ctx, g, c, cookie)
		},
	}, header)
	return proof, dev, err
}

func made(c *entrawire.Cookie) time.Time {
	if c.Iat == 0 {
		return time.Time{}
	}
	return time.Unix(c.Iat, 0)
}

// datedAge is how old a PRT cookie without a nonce may be. The browser extension
// for Linux sends one header for half an hour to every page and cannot answer a
// challenge, so a tenant may take that from devices that say they are Linux. It
// pays with replay: for that long, whoever copies the header signs in with it.
func (s *Service) datedAge(ctx context.Context, g grants.Session) time.Duration {
	switch g.Tenant.CookieWithoutNonce {
	case tenant.CookieNever:
		return 0
	case tenant.CookieAlways:
		return linuxCookieAge
	case tenant.CookieLinux:
		if dev, err := s.gate.Directory.Device(ctx, g.From.Tenant, g.From.Device); err == nil && dev.Type == "Linux" {
			return linuxCookieAge
		}
	}
	return g.Tenant.Profile.DatedCookieAge
}

func deviceOf(g grants.Session) flowstate.Device {
	if !g.DeviceGood || g.Device.ID == "" {
		return flowstate.Device{}
	}
	return flowstate.Device{ID: g.Device.ID, Tenant: g.Tenant.ID, Certificate: g.From.Certificate[:], By: g.User.UPN}
}

// proofOf is what a verified PRT says of its user. It is copied and never raised.
func (s *Service) proofOf(ctx context.Context, g grants.Session, c *entrawire.Cookie, cookie secret.Text) (flowstate.Proof, error) {
	p := proofFrom(g.From)
	p.PRT, p.SessionID, p.Persistent = c.RefreshToken.Reveal(), uuid.NewString(), false
	a, err := s.gate.Authority.Open(sealed.Cookie, cookie)
	if err != nil {
		return p, nil
	}
	defer a.SessionKey.Wipe()
	over, err := s.ended.Is(ctx, a.SessionID, s.gate.Clock.Now())
	if err != nil {
		return p, err
	}
	mine := a.Tenant == p.Tenant && a.User == p.User && a.Device == g.From.Device && a.Certificate == g.From.Certificate
	if mine && !over && a.SessionKey.Equal(g.From.SessionKey) && !s.gate.Clock.Now().After(a.Expires) {
		p.SessionID = a.SessionID
	}
	return p, nil
}

func proofFrom(a sealed.Artefact) flowstate.Proof {
	return flowstate.Proof{
		Tenant: a.Tenant, User: a.User, Credential: a.Credential, AMR: a.AMR, AuthTime: a.AuthTime.Unix(), MFATime: a.MFATime, MFAKept: a.MFAKept,
		Used: a.Used, PassEnds: a.PassEnds,
		PasswordEpoch: a.PasswordEpoch, SessionEpoch: a.SessionEpoch, SessionID: a.SessionID, Persistent: a.Persistent,
	}
}

// deviceProof verifies a device header: all phases of a request that is signed
// with a device key.
func (s *Service) deviceProof(ctx context.Context, st *flowstate.State, header secret.Text) (flowstate.Device, error) {
	return grants.ByDevice(ctx, s.gate, grants.DeviceKind[entrawire.DeviceProof, flowstate.Device]{
		Flow:   signinlog.DeviceHeader,
		Nonce:  func(p *entrawire.DeviceProof) string { return p.RequestNonce },
		User:   func(*entrawire.DeviceProof) string { return "" },
		Client: func(*entrawire.DeviceProof) string { return string(st.Asked.Client) },
		Check: func(p *entrawire.DeviceProof) error {
			if p.GrantType != entrawire.GrantDeviceAuth {
				return &entrawire.FieldError{Shape: "device header", Field: "grant_type", Problem: "is not device_auth"}
			}
			return p.Validate()
		},
		Answer: func(_ context.Context, g grants.Device, _ *entrawire.DeviceProof) (flowstate.Device, error) {
			fingerprint := issuance.Fingerprint(g.Device)
			return flowstate.Device{ID: g.Device.ID, Tenant: g.Tenant.ID, Certificate: fingerprint[:]}, nil
		},
	}, header)
}

// cookieProof is what the session cookie of a sign-in by password says. One that
// is bound to a device proves nothing by itself, one that is over is nobody's.
func (s *Service) cookieProof(ctx context.Context, st *flowstate.State, text secret.Text) (flowstate.Proof, error) {
	a, err := s.gate.Authority.Open(sealed.Cookie, text)
	if text.Empty() || err != nil {
		return flowstate.Proof{}, nil //nolint:nilerr // a cookie that is not ours proves nothing, and is no error
	}
	if !a.SessionKey.Empty() {
		a.SessionKey.Wipe()
		return flowstate.Proof{}, nil
	}
	p := proofFrom(a)
	p.Cookie = text.Reveal()
	if _, err := s.userStands(ctx, p); err != nil || s.gate.Clock.Now().After(a.Expires) {
		if broken(err) {
			return flowstate.Proof{}, err
		}
		s.log(ctx, st, &p, prterr.AADSTS(aadsts.FreshTokenNeeded, "the session cookie has expired or was revoked"))
		return flowstate.Proof{}, nil
	}
	over, err := s.ended.Is(ctx, a.SessionID, s.gate.Clock.Now())
	if err != nil || over || !s.eligible(st, p.Tenant) || !s.hinted(ctx, st, p.Tenant, p.User) {
		return flowstate.Proof{}, err
	}
	return p, nil
}
