package server

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signin"
)

// BeginPasskey makes a WebAuthn challenge for a sign-in page.
func (s *SignIn) BeginPasskey(ctx context.Context, req *idpv1.BeginPasskeyRequest) (*idpv1.BeginPasskeyResponse, error) {
	b, err := s.SignIns.BeginPasskey(ctx, secret.NewText(req.GetFlowToken()), req.GetUserPrincipalName(), req.GetCaller().GetHost())
	if err != nil {
		return nil, err
	}
	return &idpv1.BeginPasskeyResponse{FlowToken: b.FlowToken.Reveal(), Options: b.Options}, nil
}

// SubmitPasskey checks the answer of a security key or passkey.
func (s *SignIn) SubmitPasskey(ctx context.Context, req *idpv1.SubmitPasskeyRequest) (*idpv1.SubmitPasskeyResponse, error) {
	o, err := s.SignIns.SubmitPasskey(ctx, signin.Passkey{
		Form: form(req), Credential: secret.NewText(req.GetCredential()),
		Beside: credentials(req.GetRefreshTokenCredential(), nil, req.GetDeviceCredential(), ""),
	})
	if err != nil {
		return nil, err
	}
	return &idpv1.SubmitPasskeyResponse{Next: next(o)}, nil
}
