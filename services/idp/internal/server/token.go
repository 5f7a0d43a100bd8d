package server

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/grants"
)

// Issuance serves IssuanceService.
type Issuance struct {
	idpv1.UnimplementedIssuanceServiceServer
	Gate *grants.Gate
}

// RequestPRT answers a request for a first PRT.
func (s *Issuance) RequestPRT(ctx context.Context, req *idpv1.RequestPRTRequest) (*idpv1.RequestPRTResponse, error) {
	a, err := s.Gate.RequestPRT(ctx, secret.NewText(req.GetRequest()))
	if err != nil {
		return nil, err
	}
	return &idpv1.RequestPRTResponse{
		TokenType: a.TokenType, ExpiresIn: a.ExpiresIn, RefreshToken: a.RefreshToken.Reveal(), RefreshTokenExpiresIn: a.RefreshTokenExpiresIn,
		SessionKeyJwe: a.SessionKeyJWE, IdToken: a.IDToken.Reveal(), ClientInfo: a.ClientInfo,
	}, nil
}

// RenewPRT answers a renewal.
func (s *Issuance) RenewPRT(ctx context.Context, req *idpv1.RenewPRTRequest) (*idpv1.RenewPRTResponse, error) {
	a, err := s.Gate.RenewPRT(ctx, secret.NewText(req.GetRequest()))
	if err != nil {
		return nil, err
	}
	return &idpv1.RenewPRTResponse{Answer: a}, nil
}

// Token serves TokenService.
type Token struct {
	idpv1.UnimplementedTokenServiceServer
	Gate *grants.Gate
}

// RedeemRefreshToken gives tokens for an application's refresh token.
func (s *Token) RedeemRefreshToken(ctx context.Context, req *idpv1.RedeemRefreshTokenRequest) (*idpv1.RedeemRefreshTokenResponse, error) {
	a, err := s.Gate.RedeemRefreshToken(ctx, secret.NewText(req.GetRequest()))
	if err != nil {
		return nil, err
	}
	return &idpv1.RedeemRefreshTokenResponse{Answer: a}, nil
}

// RedeemPRT gives tokens for the PRT.
func (s *Token) RedeemPRT(ctx context.Context, req *idpv1.RedeemPRTRequest) (*idpv1.RedeemPRTResponse, error) {
	a, err := s.Gate.RedeemPRT(ctx, secret.NewText(req.GetRequest()))
	if err != nil {
		return nil, err
	}
	return &idpv1.RedeemPRTResponse{Answer: a}, nil
}
