package server

import (
	"context"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
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
	issued, err := s.Gate.RequestPRT(ctx, grants.Request{
		Signed: secret.NewText(req.GetRequest()), Protocol: protocolOf(req.GetProtocol()), Correlation: correlationOf(ctx, req.GetCaller()),
	})
	if err != nil {
		return nil, err
	}
	if issued.Encrypted != "" {
		return &idpv1.RequestPRTResponse{Encrypted: issued.Encrypted}, nil
	}
	a := issued.Answer
	return &idpv1.RequestPRTResponse{
		TokenType: a.TokenType, ExpiresIn: a.ExpiresIn, RefreshToken: a.RefreshToken.Reveal(), RefreshTokenExpiresIn: a.RefreshTokenExpiresIn,
		SessionKeyJwe: a.SessionKeyJWE, IdToken: a.IDToken.Reveal(), ClientInfo: a.ClientInfo,
	}, nil
}

// RenewPRT answers a renewal.
func (s *Issuance) RenewPRT(ctx context.Context, req *idpv1.RenewPRTRequest) (*idpv1.RenewPRTResponse, error) {
	a, err := s.Gate.RenewPRT(ctx, signedRequest(ctx, req))
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
	a, err := s.Gate.RedeemRefreshToken(ctx, signedRequest(ctx, req))
	if err != nil {
		return nil, err
	}
	return &idpv1.RedeemRefreshTokenResponse{Answer: a}, nil
}

// RedeemPRT gives tokens for the PRT.
func (s *Token) RedeemPRT(ctx context.Context, req *idpv1.RedeemPRTRequest) (*idpv1.RedeemPRTResponse, error) {
	a, err := s.Gate.RedeemPRT(ctx, signedRequest(ctx, req))
	if err != nil {
		return nil, err
	}
	return &idpv1.RedeemPRTResponse{Answer: a}, nil
}

// signedRequest reads what the three requests that use an artefact have in common.
func signedRequest(ctx context.Context, req interface {
	GetRequest() string
	GetProtocol() idpv1.PRTProtocol
	GetClaims() string
	GetEndpoint() idpv1.Protocol
	GetCaller() *idpv1.Caller
}) grants.Request {
	return grants.Request{
		Signed: secret.NewText(req.GetRequest()), Protocol: protocolOf(req.GetProtocol()), V2: req.GetEndpoint() == idpv1.Protocol_PROTOCOL_V2, V1: req.GetEndpoint() == idpv1.Protocol_PROTOCOL_V1, Claims: req.GetClaims(),
		Correlation: correlationOf(ctx, req.GetCaller()),
	}
}

func protocolOf(p idpv1.PRTProtocol) entrawire.Protocol {
	switch p {
	case idpv1.PRTProtocol_PRT_PROTOCOL_V3:
		return entrawire.Protocol3
	case idpv1.PRTProtocol_PRT_PROTOCOL_V4:
		return entrawire.Protocol4
	default:
		return entrawire.Protocol2
	}
}

// correlationOf is the client's id for the request when it is a GUID: nothing else
// of a stranger's goes into the log. Who gives none is known by the trace, whose id is
// what the client shows as the Correlation ID.
func correlationOf(ctx context.Context, c *idpv1.Caller) string {
	if id, err := uuid.Parse(c.GetCorrelationId()); err == nil {
		return id.String()
	}
	if id := trace.SpanContextFromContext(ctx).TraceID(); id.IsValid() {
		return uuid.UUID(id).String()
	}
	return ""
}
