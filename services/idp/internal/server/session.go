package server

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/session"
)

// Session serves SessionService.
type Session struct {
	idpv1.UnimplementedSessionServiceServer
	Sessions *session.Service
}

// Authorize is the authorization endpoint.
func (s *Session) Authorize(ctx context.Context, req *idpv1.AuthorizeRequest) (*idpv1.AuthorizeResponse, error) {
	o, err := s.Sessions.Authorize(ctx, session.Request{
		ClientID: req.GetClientId(), RedirectURI: req.GetRedirectUri(), Nonce: req.GetNonce(), Prompt: req.GetPrompt(),
		SSONonce: req.GetSsoNonce(), Credential: secret.NewText(req.GetRefreshTokenCredential()), Cookie: secret.NewText(req.GetSessionCookie()),
	})
	switch {
	case err != nil:
		return nil, err
	case o.SignedIn != nil:
		return &idpv1.AuthorizeResponse{Outcome: &idpv1.AuthorizeResponse_SignedIn{SignedIn: &idpv1.SignedIn{
			IdToken: o.SignedIn.IDToken.Reveal(), SessionCookie: o.SignedIn.SessionCookie.Reveal(),
		}}}, nil
	case o.Challenge != "":
		return &idpv1.AuthorizeResponse{Outcome: &idpv1.AuthorizeResponse_NonceChallenge{
			NonceChallenge: &idpv1.NonceChallenge{SsoNonce: o.Challenge},
		}}, nil
	default:
		return &idpv1.AuthorizeResponse{Outcome: &idpv1.AuthorizeResponse_SignInPage{SignInPage: &idpv1.SignInPage{}}}, nil
	}
}
