package grants

import (
	"context"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/directory"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/profile"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// SessionKind is a kind of request that is signed with a session key. Every hook
// must be set, but for Dated and DatedAge.
type SessionKind[C, A any] struct {
	Flow signinlog.Flow
	// Correlation is the client's id for the request, for the log, or empty.
	Correlation string
	// Artefact is the type that the request must carry.
	Artefact sealed.Type
	// Token finds the artefact in the claims.
	Token func(*C) secret.Text
	// Nonce finds the nonce in the claims.
	Nonce func(*C) string
	// Dated finds the date that may stand in place of a nonce; nil when the kind
	// knows no such form.
	Dated func(*C) time.Time
	// DatedAge is how old such a date may be, 0 for not at all; nil is the
	// profile's.
	DatedAge func(context.Context, Session) time.Duration
	// Client finds the application, for the log.
	Client func(*C) string
	// Check judges the form of the claims.
	Check func(*C) error
	// Answer answers. The session key is wiped when it returns.
	Answer func(context.Context, Session, *C) (A, error)
}

// Session is what the phases of a session-signed request have established.
type Session struct {
	Tenant *tenant.Tenant
	// User exists and is enabled, with nothing revoked since From was issued.
	User store.User
	// Device that From is bound to; enabled and unchanged when DeviceGood.
	Device     store.Device
	DeviceGood bool
	// From is the artefact whose session key signed the request, or whose device's
	// key in version 4 of the protocol.
	From sealed.Artefact

	event *signinlog.Event
}

// Event is the line of the log that the request ends with. An answer may add what it
// finds out.
func (s Session) Event() *signinlog.Event { return s.event }

// BySession runs a session-signed request: form, algorithm HS256, artefact,
// version of the derivation, signature, nonce, replay, device, user, revocation,
// expiry, claims, answer. The only key that is ever tried is the one inside the
// artefact of the same request.
func BySession[C, A any](ctx context.Context, g *Gate, k SessionKind[C, A], request secret.Text) (answer A, err error) {
	e := &signinlog.Event{Flow: k.Flow, Correlation: k.Correlation}
	NoteCaller(ctx, e)
	defer g.record(ctx, e, &err)
	t, err := parse(request, jose.HS256)
	if err != nil {
		return answer, err
	}
	var c C
	if err := claims(t, &c); err != nil {
		return answer, err
	}
	e.Client = client(k.Client(&c))
	s, err := g.sessionOf(t, k.Artefact, k.Token(&c), e)
	if err != nil {
		return answer, err
	}
	defer s.From.SessionKey.Wipe()
	age := s.Tenant.Profile.DatedCookieAge
	if k.DatedAge != nil {
		age = k.DatedAge(ctx, s)
	}
	if err := g.freshSession(ctx, t, s, k.Nonce(&c), date(k, &c), age); err != nil {
		return answer, err
	}
	if err := g.standing(ctx, &s, e); err != nil {
		return answer, err
	}
	if err := shape(k.Check(&c)); err != nil {
		return answer, err
	}
	return k.Answer(ctx, s, &c)
}

func date[C, A any](k SessionKind[C, A], c *C) time.Time {
	if k.Dated == nil {
		return time.Time{}
	}
	return k.Dated(c)
}

// sessionOf is the phase that opens the artefact and verifies the signature with
// the key inside. AADSTS70000, 5000611, 140001.
func (g *Gate) sessionOf(t *jose.Token, want sealed.Type, text secret.Text, e *signinlog.Event) (Session, error) {
	if text.Empty() {
		return Session{}, prterr.AADSTS(aadsts.MissingParameter, "refresh_token is missing")
	}
	a, err := g.Authority.Open(want, text)
	if err != nil {
		return Session{}, prterr.AADSTS(aadsts.InvalidGrant, "")
	}
	// Ours, whoever brings it: the log shows whose artefact is being misused.
	e.Tenant, e.Device, e.KDF = a.Tenant, a.Device, sessionKDF(a)
	home, ok := g.Tenants.Tenant(a.Tenant)
	if !ok {
		return Session{}, prterr.AADSTS(aadsts.InvalidGrant, "")
	}
	from := a.Aged(g.Clock.Now(), home.Lifetimes.SecondFactor)
	NoteProof(e, from, incoming(a.Type))
	if !home.Profile.TakesKDF(t.Header.KDFVer, a.KDFMin) {
		return Session{}, kdfInvalid(t.Header.KDFVer)
	}
	if err := entrawire.VerifySession(t, a.SessionKey); err != nil {
		return Session{}, prterr.AADSTS(aadsts.InvalidSessionKey, "")
	}
	return Session{Tenant: home, From: from, event: e}, nil
}

// sessionKDF is what the log tells of a session key, 0 when there is none.
func sessionKDF(a sealed.Artefact) int {
	if a.SessionKey.Empty() {
		return 0
	}
	return a.KDFMin
}

// kdfInvalid refuses a version of the key derivation, in the words of the public
// service, which names the one that was used.
func kdfInvalid(ver int) error {
	if ver < entrawire.KDF2 {
		return prterr.AADSTS(aadsts.KDFVersionInvalid, "")
	}
	return prterr.AADSTS(aadsts.KDFVersionInvalid, "Symmetric Key Derivation Function version '%d' is invalid: use the one that was agreed on when the device was registered.", ver)
}

func (g *Gate) freshSession(ctx context.Context, t *jose.Token, s Session, nonce string, made time.Time, age time.Duration) error {
	if nonce == "" && !made.IsZero() {
		return g.freshByDate(age, made)
	}
	return g.fresh(ctx, s.Tenant.Profile, t, nonce)
}

// standing is the phase that asks the directory whether what the artefact stands
// for still holds. AADSTS50155 and 135011 for the device, 50034 and 50057 for the
// user, 50173 for what was revoked, 700082 for what has expired.
func (g *Gate) standing(ctx context.Context, s *Session, e *signinlog.Event) error {
	a := s.From
	if !a.Deviceless {
		var err error
		s.Device, err = g.deviceStands(ctx, s.Tenant.Profile, a)
		e.Protection = string(s.Device.KeyProtection)
		switch s.DeviceGood = err == nil; {
		case prterr.KindOf(err) == prterr.Internal:
			return err
		case err != nil && (a.Type != sealed.RefreshToken || s.Tenant.Profile.TokensDieWithDevice):
			g.noteRefusedDevice(ctx, *s, e)
			return err
		}
	}
	if s.DeviceGood {
		NoteDevice(e, s.Device)
	}
	var err error
	s.User, err = g.UserStands(ctx, a)
	e.User = s.User.UPN
	return err
}

// incoming is the kind of artefact in the words of the log.
func incoming(t sealed.Type) signinlog.Incoming {
	if t == sealed.PRT {
		return signinlog.PrimaryRefreshToken
	}
	return signinlog.ARefreshToken
}

// UserStands is the half of it that is about the user: whoever takes something that
// descends from a sign-in asks it. AADSTS50034, 50057, 50173, 700082.
func (g *Gate) UserStands(ctx context.Context, a sealed.Artefact) (store.User, error) {
	u, err := g.Directory.User(ctx, a.Tenant, a.User)
	if err != nil {
		return u, err
	}
	changed := a.Credential == sealed.Password && a.PasswordEpoch != u.PasswordEpoch
	if changed || a.SessionEpoch != u.SessionEpoch {
		return u, prterr.AADSTS(aadsts.FreshTokenNeeded, "")
	}
	if now := g.Clock.Now(); now.After(a.Expires) || a.PassEnded(now) || g.Idle(a, now) {
		return u, prterr.AADSTS(aadsts.ExpiredToken, "")
	}
	return u, nil
}

// Idle reports whether a refresh token lay unused for longer than its tenant lets it.
// A PRT needs no such rule: it is renewed, or it ends. A package lies on a stick for
// months and is used once in a while: its end is the end that was asked for.
func (g *Gate) Idle(a sealed.Artefact, now time.Time) bool {
	home, ok := g.Tenants.Tenant(a.Tenant)
	if !ok || a.Type != sealed.RefreshToken || a.Credential == sealed.Bulk {
		return false
	}
	most := home.Lifetimes.RefreshTokenIdle
	return most > 0 && now.Sub(a.Issued) > most
}

func (g *Gate) deviceStands(ctx context.Context, p profile.Profile, a sealed.Artefact) (store.Device, error) {
	dev, err := g.Directory.Device(ctx, a.Tenant, a.Device)
	switch {
	case err != nil:
		return store.Device{}, err
	case issuance.Fingerprint(dev) != a.Certificate:
		return store.Device{}, prterr.AADSTS(aadsts.DeviceAuthenticationFailed, "")
	}
	return dev, directory.Standing(p, dev)
}
