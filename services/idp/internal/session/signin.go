package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/consent"
	"github.com/lockstep-sso/lockstep/services/idp/internal/grants"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/nonce"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

// signIn runs the PRT cookie through the phases of every signed request. Every
// refusal becomes errCredential; the phases have logged it.
func (s *Service) signIn(ctx context.Context, app ids.ClientID, r Request) (issuance.WebTokens, error) {
	if r.Credential.Empty() {
		s.lonelyCookie(ctx, app, r)
		return issuance.WebTokens{}, errCredential
	}
	tokens, err := grants.BySession(ctx, s.gate, grants.SessionKind[entrawire.Cookie, issuance.WebTokens]{
		Flow: signinlog.WebSignIn, Correlation: r.Correlation,
		Artefact: sealed.PRT,
		Token:    func(c *entrawire.Cookie) secret.Text { return c.RefreshToken },
		Nonce:    func(c *entrawire.Cookie) string { return c.RequestNonce },
		Dated:    made,
		Client:   func(*entrawire.Cookie) string { return string(app) },
		Check:    func(c *entrawire.Cookie) error { return c.Validate() },
		Answer: func(ctx context.Context, proven grants.Session, c *entrawire.Cookie) (issuance.WebTokens, error) {
			return s.answer(ctx, app, r, proven, c)
		},
	}, r.Credential)
	if prterr.KindOf(err) == prterr.Internal || prterr.KindOf(err) == prterr.Deadline {
		return issuance.WebTokens{}, err
	}
	var byPolicy refusal
	if errors.As(err, &byPolicy) {
		return issuance.WebTokens{}, byPolicy.error
	}
	if err != nil {
		return issuance.WebTokens{}, fmt.Errorf("%w: %w", errCredential, err)
	}
	return tokens, nil
}

func made(c *entrawire.Cookie) time.Time {
	if c.Iat == 0 {
		return time.Time{}
	}
	return time.Unix(c.Iat, 0)
}

func (s *Service) answer(ctx context.Context, app ids.ClientID, r Request, proven grants.Session, c *entrawire.Cookie) (issuance.WebTokens, error) {
	if c.RequestNonce != "" && r.SSONonce != "" && c.RequestNonce != r.SSONonce {
		return issuance.WebTokens{}, s.gate.Nonces.Refuse(nonce.Crossed)
	}
	registered, known := proven.Tenant.Application(app)
	if !known || !registered.Redirects(r.RedirectURI) {
		return issuance.WebTokens{}, prterr.AADSTS(aadsts.ApplicationNotFound, "")
	}
	ask := consent.Ask{Tenant: proven.Tenant.ID, App: registered, User: proven.User.ID, Scopes: []string{consent.SignIn}}
	if err := s.gate.Consents.Check(ctx, ask); err != nil {
		return issuance.WebTokens{}, err // on the page it can be given
	}
	sessionID, err := s.earlierSession(ctx, app, r.Cookie, proven)
	if err != nil {
		return issuance.WebTokens{}, err
	}
	if err := s.gate.AdmitBrowser(ctx, proven, registered); err != nil {
		return issuance.WebTokens{}, refusal{err}
	}
	return s.gate.Authority.WebSignIn(issuance.WebSignIn{
		Tenant: proven.Tenant, User: proven.User, From: proven.From, Client: app, Nonce: r.Nonce, SessionID: sessionID,
	})
}
