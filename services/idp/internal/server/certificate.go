package server

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signin"
)

// SubmitCertificate takes the client certificate that a TLS connection proved.
func (s *SignIn) SubmitCertificate(ctx context.Context, req *idpv1.SubmitCertificateRequest) (*idpv1.SubmitCertificateResponse, error) {
	o, err := s.SignIns.SubmitCertificate(ctx, signin.Certificate{
		FlowToken: secret.NewText(req.GetFlowToken()), Chain: req.GetChain(),
		Beside: credentials(req.GetRefreshTokenCredential(), nil, req.GetDeviceCredential(), ""),
	})
	if err != nil {
		return nil, err
	}
	return &idpv1.SubmitCertificateResponse{Next: next(o)}, nil
}
