package session

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/grants"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

// earlierSession decides what a session cookie is worth beside a proven session
// key. It continues a session when cookie and proof are of one user, one device
// and one session key.
//
// A cookie of another user or device beside somebody's proof is what a stolen
// cookie looks like: it refuses the visit. A cookie of the same user and device
// with another session key is what a renewed PRT leaves behind, and one that has
// expired or does not open is worth nothing; then the proof alone decides and a
// new session begins.
func (s *Service) earlierSession(ctx context.Context, app ids.ClientID, text secret.Text, proven grants.Session) (string, error) {
	if text.Empty() {
		return "", nil
	}
	cookie, err := s.gate.Authority.Open(sealed.Cookie, text)
	if err != nil {
		s.log(ctx, app, sealed.Artefact{}, prterr.AADSTS(aadsts.InvalidGrant, "the session cookie is not one of ours"))
		return "", nil
	}
	defer cookie.SessionKey.Wipe()
	// One of a sign-in by password holds no key and is another room's.
	if cookie.SessionKey.Empty() {
		return "", nil
	}
	if cookie.Tenant != proven.From.Tenant || cookie.User != proven.From.User || cookie.Device != proven.From.Device {
		return "", prterr.AADSTS(aadsts.InvalidSessionKey, "the session cookie belongs to another user or device than the proof beside it")
	}
	over, err := s.ended.Is(ctx, cookie.SessionID, s.gate.Clock.Now())
	if err != nil {
		return "", err
	}
	same := !over && cookie.SessionKey.Equal(proven.From.SessionKey) && cookie.Certificate == proven.From.Certificate
	if !same || s.gate.Clock.Now().After(cookie.Expires) {
		s.log(ctx, app, cookie, prterr.AADSTS(aadsts.InvalidSessionKey, "the session cookie has expired, was ended, or is of an earlier session key: a new session began"))
		return "", nil
	}
	return cookie.SessionID, nil
}

// lonelyCookie notes a session cookie that came without a proof of its session
// key. Taken to another browser or machine, that is all a cookie can do.
func (s *Service) lonelyCookie(ctx context.Context, app ids.ClientID, r Request) {
	if r.Cookie.Empty() {
		return
	}
	cookie, err := s.gate.Authority.Open(sealed.Cookie, r.Cookie)
	if err == nil {
		cookie.SessionKey.Wipe()
	}
	s.log(ctx, app, cookie, prterr.AADSTS(aadsts.InvalidSessionKey, "the session cookie came without a proof of its session key"))
}

func (s *Service) log(ctx context.Context, app ids.ClientID, cookie sealed.Artefact, why error) {
	s.gate.Log.Record(ctx, s.gate.Clock.Now(), signinlog.Event{
		Flow: signinlog.WebSession, Tenant: cookie.Tenant, Device: cookie.Device, Client: app,
	}, why)
}
