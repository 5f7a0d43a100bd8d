package server

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/authorize"
	"github.com/lockstep-sso/lockstep/services/idp/internal/session"
)

// Session serves SessionService.
type Session struct {
	idpv1.UnimplementedSessionServiceServer
	// Sessions is for a device's own browser, Visits for who comes over HTTPS.
	Sessions *session.Service
	Visits   *authorize.Service
}

// Authorize is the authorization endpoint. A device's own browser says neither who
// calls nor what type of response it wants.
func (s *Session) Authorize(ctx context.Context, req *idpv1.AuthorizeRequest) (*idpv1.AuthorizeResponse, error) {
	if req.GetCaller() != nil || req.GetResponseType() != "" {
		o, err := s.Visits.Visit(ctx, visit(ctx, req))
		if err != nil {
			return nil, err
		}
		return authorizeResponse(o), nil
	}
	o, err := s.Sessions.Authorize(ctx, session.Request{
		ClientID: req.GetClientId(), RedirectURI: req.GetRedirectUri(), Nonce: req.GetNonce(), Prompt: req.GetPrompt(),
		SSONonce: req.GetSsoNonce(), Credential: secret.NewText(req.GetRefreshTokenCredential()), Cookie: secret.NewText(req.GetSessionCookie()),
		Correlation: correlationOf(ctx, req.GetCaller()),
	})
	switch {
	case err != nil:
		return nil, err
	case o.SignedIn != nil:
		return &idpv1.AuthorizeResponse{Outcome: &idpv1.AuthorizeResponse_SignedIn{SignedIn: &idpv1.SignedIn{
			IdToken: o.SignedIn.IDToken.Reveal(), SessionCookie: o.SignedIn.SessionCookie.Reveal(),
		}}}, nil
	case o.Challenge != "":
		return authorizeResponse(authorize.Outcome{Challenge: o.Challenge}), nil
	default:
		return &idpv1.AuthorizeResponse{Outcome: &idpv1.AuthorizeResponse_SignInPage{SignInPage: &idpv1.SignInPage{}}}, nil
	}
}

func visit(ctx context.Context, req *idpv1.AuthorizeRequest) authorize.Visit {
	return authorize.Visit{
		Caller: visitor(ctx, req.GetCaller()), ClientID: req.GetClientId(), RedirectURI: req.GetRedirectUri(), Tenant: req.GetTenant(),
		V2: req.GetProtocol() == idpv1.Protocol_PROTOCOL_V2, ResponseType: req.GetResponseType(), ResponseMode: req.GetResponseMode(),
		State: req.GetState(), Nonce: req.GetNonce(), Scope: req.GetScope(), Resource: req.GetResource(),
		CodeChallenge: req.GetCodeChallenge(), ChallengeMethod: req.GetCodeChallengeMethod(), Prompt: req.GetPrompt(),
		LoginHint: req.GetLoginHint(), DomainHint: req.GetDomainHint(), Claims: req.GetClaims(), AMRValues: req.GetAmrValues(),
		SSONonce: req.GetSsoNonce(), SSOReload: req.GetSsoReload(), WindowsAPIVersion: req.GetWindowsApiVersion(),
		Credentials: credentials(req.GetRefreshTokenCredential(), req.GetFurtherCredentials(), req.GetDeviceCredential(), req.GetSessionCookie()),
	}
}

func visitor(ctx context.Context, c *idpv1.Caller) authorize.Caller {
	return authorize.Caller{UserAgent: c.GetUserAgent(), Correlation: correlationOf(ctx, c)}
}

func credentials(first string, further []string, device, cookie string) authorize.Credentials {
	c := authorize.Credentials{Device: secret.NewText(device), Cookie: secret.NewText(cookie)}
	for _, one := range append([]string{first}, further...) {
		if one != "" {
			c.PRTs = append(c.PRTs, secret.NewText(one))
		}
	}
	return c
}
