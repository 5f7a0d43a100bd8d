// Package server is the federation provider's RPC: metadata exchange and
// WS-Trust usernamemixed, in the shape of prt.federation.v1.
//
// What lives here: the change from proto messages to calls of the token service
// and back. What never may: a decision, hashes, XML, keys. The door registers
// it; its caller is lsa-cloudap.
package server

import (
	"context"
	"errors"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	federationv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/federation/v1"
	"github.com/lockstep-sso/lockstep/services/adfs/internal/sts"
)

// Config is what the server stands on.
type Config struct {
	STS *sts.STS
}

// Server implements prt.federation.v1.FederationService.
type Server struct {
	federationv1.UnimplementedFederationServiceServer
	sts *sts.STS
}

// New checks the configuration.
func New(cfg Config) (*Server, error) {
	if cfg.STS == nil {
		return nil, errors.New("federation server: STS is missing")
	}
	return &Server{sts: cfg.STS}, nil
}

// GetMetadata lists the password endpoints.
func (s *Server) GetMetadata(_ context.Context, req *federationv1.GetMetadataRequest) (*federationv1.GetMetadataResponse, error) {
	urls, err := s.sts.Endpoints(req.GetMetadataUrl())
	if err != nil {
		return nil, err
	}
	return &federationv1.GetMetadataResponse{UsernameMixedUrls: urls}, nil
}

// IssueToken changes a password for an assertion.
func (s *Server) IssueToken(ctx context.Context, req *federationv1.IssueTokenRequest) (*federationv1.IssueTokenResponse, error) {
	if err := s.sts.CheckEndpoint(req.GetEndpointUrl()); err != nil {
		return nil, err
	}
	token, err := s.sts.Issue(ctx, sts.Request{
		Name: req.GetUserPrincipalName(), Password: secret.NewText(req.GetPassword()), AppliesTo: req.GetAppliesTo(),
	})
	if err != nil {
		return nil, err
	}
	return &federationv1.IssueTokenResponse{SamlAssertion: token.Assertion.Reveal()}, nil
}
