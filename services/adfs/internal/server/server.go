// Package server is the federation provider's RPC: metadata exchange and
// WS-Trust usernamemixed and certificatemixed, in the shape of prt.federation.v1.
//
// What lives here: the change from proto messages to calls of the token service
// and back. What never may: a decision, hashes, XML, keys. The door registers
// it; its caller is lsa-cloudap.
package server

import (
	"context"
	"errors"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/wstrust"
	federationv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/federation/v1"
	"github.com/lockstep-sso/lockstep/services/adfs/internal/sts"
)

// maxChain bounds the certificates of a proof.
const maxChain = 8

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
	return &federationv1.GetMetadataResponse{UsernameMixedUrls: urls, CertificateMixedUrls: s.sts.CertificateEndpoints()}, nil
}

// IssueToken changes a password, or a proof by a certificate, for an assertion.
func (s *Server) IssueToken(ctx context.Context, req *federationv1.IssueTokenRequest) (*federationv1.IssueTokenResponse, error) {
	r := sts.Request{Name: req.GetUserPrincipalName(), Password: secret.NewText(req.GetPassword()), AppliesTo: req.GetAppliesTo()}
	check := s.sts.CheckEndpoint
	if c := req.GetCertificate(); c != nil {
		check = s.sts.CheckCertificateEndpoint
		r.Certificate = &wstrust.CertificateProof{Chain: c.GetChain(), Created: time.Unix(c.GetCreatedAt(), 0), Signature: c.GetSignature()}
		if len(c.GetChain()) > maxChain {
			return nil, prterr.New(prterr.Invalid, "certificate.chain has more than %d certificates", maxChain)
		}
	}
	if err := check(req.GetEndpointUrl()); err != nil {
		return nil, err
	}
	token, err := s.sts.Issue(ctx, r)
	if err != nil {
		return nil, err
	}
	return &federationv1.IssueTokenResponse{SamlAssertion: token.Assertion.Reveal()}, nil
}
