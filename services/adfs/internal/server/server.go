// Package server is the federation provider's RPC: metadata exchange and
// WS-Trust usernamemixed, in the shape of prt.federation.v1.
//
// What lives here: which endpoint and which audience are served, and the words
// of a refusal. What never may: hashes, XML, keys. The door registers it; its
// caller is lsa-cloudap.
package server

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/google/uuid"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	federationv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/federation/v1"
	"github.com/lockstep-sso/lockstep/services/adfs/internal/org"
	"github.com/lockstep-sso/lockstep/services/adfs/internal/saml11"
)

// Paths of the password endpoints. They are the only ones that are served:
// windowstransport would let anybody on the internet guess at Kerberos tickets
// and passwords, so it does not exist here.
const (
	pathWSTrust13   = "/adfs/services/trust/13/usernamemixed"
	pathWSTrust2005 = "/adfs/services/trust/2005/usernamemixed"
)

// faultFailedAuthentication is the one text of every refused password: the
// subcode of the WS-Trust fault and its reason, as AD FS words them.
const faultFailedAuthentication = "wsse:FailedAuthentication: ID3242: The security token could not be authenticated or authorized"

// Config is what the server stands on. All but Log and Clock must be set.
type Config struct {
	Organisation *org.Organisation
	Issuer       *saml11.Issuer
	Clock        clock.Clock
	Log          *slog.Logger
}

// Server implements prt.federation.v1.FederationService.
type Server struct {
	federationv1.UnimplementedFederationServiceServer
	org       *org.Organisation
	issuer    *saml11.Issuer
	clock     clock.Clock
	log       *slog.Logger
	endpoints []string
}

// New puts the parts together.
func New(cfg Config) (*Server, error) {
	if cfg.Organisation == nil {
		return nil, errors.New("federation server: Organisation is missing")
	}
	if cfg.Issuer == nil {
		return nil, errors.New("federation server: Issuer is missing")
	}
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	base := cfg.Organisation.BaseURL()
	return &Server{
		org: cfg.Organisation, issuer: cfg.Issuer, clock: clock.Or(cfg.Clock), log: log,
		endpoints: []string{base + pathWSTrust13, base + pathWSTrust2005},
	}, nil
}

// GetMetadata lists the password endpoints, WS-Trust 1.3 first because clients
// prefer it.
func (s *Server) GetMetadata(context.Context, *federationv1.GetMetadataRequest) (*federationv1.GetMetadataResponse, error) {
	return &federationv1.GetMetadataResponse{UsernameMixedUrls: slices.Clone(s.endpoints)}, nil
}

// IssueToken changes a password for an assertion. A wrong password and an
// unknown user get the same fault at the same cost.
func (s *Server) IssueToken(ctx context.Context, req *federationv1.IssueTokenRequest) (*federationv1.IssueTokenResponse, error) {
	if !slices.Contains(s.endpoints, req.GetEndpointUrl()) {
		return nil, prterr.New(prterr.Invalid, "endpoint_url is not a password endpoint: take one from the metadata")
	}
	if req.GetAppliesTo() != s.org.Audience() {
		return nil, prterr.New(prterr.Invalid, "applies_to is not a relying party of this provider: use %s", s.org.Audience())
	}
	user, err := s.org.Authenticate(ctx, req.GetUserPrincipalName(), secret.NewText(req.GetPassword()))
	if errors.Is(err, org.ErrRefused) {
		s.log.WarnContext(ctx, "sign-in refused")
		return nil, prterr.New(prterr.Unauthenticated, faultFailedAuthentication)
	}
	if err != nil {
		return nil, err
	}
	// An underscore before the GUID: an xs:ID must not begin with a digit.
	id := "_" + uuid.NewString()
	assertion, err := s.issuer.Issue(saml11.Subject{ID: id, UPN: user.UPN, ImmutableID: string(user.ImmutableID), At: s.clock.Now()})
	if err != nil {
		s.log.ErrorContext(ctx, "assertion not issued", "error", err)
		return nil, prterr.New(prterr.Internal, "the assertion could not be issued: see the provider's log")
	}
	s.log.InfoContext(ctx, "assertion issued", "assertion", id)
	return &federationv1.IssueTokenResponse{SamlAssertion: assertion.Reveal()}, nil
}
