package server

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/pinreset"
)

// PINReset serves PINResetService.
type PINReset struct {
	idpv1.UnimplementedPINResetServiceServer
	Resets *pinreset.Service
}

// DescribePINReset gives the key that devices wrap the secret for.
func (s *PINReset) DescribePINReset(context.Context, *idpv1.DescribePINResetRequest) (*idpv1.DescribePINResetResponse, error) {
	key, err := s.Resets.PublicKey()
	if err != nil {
		return nil, err
	}
	return &idpv1.DescribePINResetResponse{Key: key}, nil
}

// OpenResetSecret unwraps a secret for the user whose key it belongs to.
func (s *PINReset) OpenResetSecret(ctx context.Context, req *idpv1.OpenResetSecretRequest) (*idpv1.OpenResetSecretResponse, error) {
	opened, err := s.Resets.Open(ctx, pinreset.Wrapped{
		Token: secret.NewText(req.GetAccessToken()), KeyID: req.GetKeyId(), Secret: req.GetWrappedResetSecret(),
	})
	if err != nil {
		return nil, err
	}
	return &idpv1.OpenResetSecretResponse{ResetSecret: opened.Reveal()}, nil
}
