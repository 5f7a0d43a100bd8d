// Package sts is the security token service itself: it decides whether a
// password is worth an assertion.
//
// What lives here: which endpoints and which audience are served, the check of
// the password, and what is said of a refusal. What never may: proto messages,
// SOAP, HTML; those belong to the doors (server, front), which hold no decision
// of their own, so that every carrier gives the same answer.
package sts

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/wstrust"
	"github.com/lockstep-sso/lockstep/services/adfs/internal/card"
	"github.com/lockstep-sso/lockstep/services/adfs/internal/org"
	"github.com/lockstep-sso/lockstep/services/adfs/internal/saml11"
)

// Paths under the organisation's base URL. The two password endpoints are the
// only ones that issue tokens to programs: windowstransport would let anybody on
// the internet guess at Kerberos tickets and passwords, so it does not exist here.
const (
	PathMetadata    = "/adfs/services/trust/mex"
	PathWSTrust13   = "/adfs/services/trust/13/usernamemixed"
	PathWSTrust2005 = "/adfs/services/trust/2005/usernamemixed"
	// PathCertificate is there for an organisation with cards alone.
	PathCertificate = "/adfs/services/trust/13/certificatemixed"
)

// Reasons of a refusal, for the doors; what the caller reads is in the
// *prterr.Error around them.
var (
	ErrMetadata = errors.New("metadata of somebody else")
	ErrEndpoint = errors.New("not a password endpoint")
	ErrAudience = errors.New("not a relying party")
)

// FailedAuthentication is the one text of every refused password: the subcode of
// the WS-Trust fault and its reason, as AD FS words them.
const FailedAuthentication = "wsse:FailedAuthentication: " + FailedReason

// FailedReason is the reason alone.
const FailedReason = "ID3242: The security token could not be authenticated or authorized"

// Config is what the service stands on. All but Log and Clock must be set.
type Config struct {
	Organisation *org.Organisation
	Issuer       *saml11.Issuer
	// Cards judges proofs by certificates; nil when the organisation has none.
	Cards *card.Judge
	// MultipleAuthn says of a sign-in by card that more than one factor was proven.
	MultipleAuthn bool
	Clock         clock.Clock
	Log           *slog.Logger
}

// STS is safe for concurrent use.
type STS struct {
	org       *org.Organisation
	issuer    *saml11.Issuer
	clock     clock.Clock
	log       *slog.Logger
	endpoints []string
	// certificates are the endpoints for cards.
	certificates  []string
	cards         *card.Judge
	multipleAuthn bool
}

// New puts the parts together.
func New(cfg Config) (*STS, error) {
	if cfg.Organisation == nil {
		return nil, errors.New("token service: Organisation is missing")
	}
	if cfg.Issuer == nil {
		return nil, errors.New("token service: Issuer is missing")
	}
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	base := cfg.Organisation.BaseURL()
	var certificates []string
	if cfg.Cards != nil {
		certificates = []string{base + PathCertificate}
	}
	return &STS{
		certificates: certificates, cards: cfg.Cards, multipleAuthn: cfg.MultipleAuthn,
		org: cfg.Organisation, issuer: cfg.Issuer, clock: clock.Or(cfg.Clock), log: log,
		endpoints: []string{base + PathWSTrust13, base + PathWSTrust2005},
	}, nil
}

// Endpoints lists the password endpoints, WS-Trust 1.3 first because clients
// prefer it. metadataURL is whose metadata is asked for; "" is this provider's.
func (s *STS) Endpoints(metadataURL string) ([]string, error) {
	if metadataURL != "" && !strings.EqualFold(metadataURL, s.org.BaseURL()+PathMetadata) {
		return nil, prterr.Wrap(prterr.NotFound, ErrMetadata, "metadata_url is not of this provider: its own is %s", s.org.BaseURL()+PathMetadata)
	}
	return slices.Clone(s.endpoints), nil
}

// CertificateEndpoints lists the certificate endpoints; empty without cards.
func (s *STS) CertificateEndpoints() []string { return slices.Clone(s.certificates) }

// CheckCertificateEndpoint refuses an address that is not a certificate endpoint.
func (s *STS) CheckCertificateEndpoint(url string) error {
	if !slices.Contains(s.certificates, url) {
		return prterr.Wrap(prterr.Invalid, ErrEndpoint, "endpoint_url is not a certificate endpoint: take one from the metadata")
	}
	return nil
}

// CheckEndpoint refuses an address that is not a password endpoint of the metadata.
func (s *STS) CheckEndpoint(url string) error {
	if !slices.Contains(s.endpoints, url) {
		return prterr.Wrap(prterr.Invalid, ErrEndpoint, "endpoint_url is not a password endpoint: take one from the metadata")
	}
	return nil
}

// Request is a request for an assertion.
type Request struct {
	// Name is the user principal name.
	Name     string
	Password secret.Text
	// Certificate in place of Password.
	Certificate *wstrust.CertificateProof
	// AppliesTo is the relying party the assertion is for.
	AppliesTo string
}

// Token is an issued assertion.
type Token struct {
	Assertion secret.Text
	// From and Until bound its validity.
	From, Until time.Time
}

// Issue changes a password, or a proof by a certificate, for an assertion. A wrong
// password and an unknown user get the same error at the same cost, Unauthenticated.
func (s *STS) Issue(ctx context.Context, req Request) (Token, error) {
	if req.AppliesTo != s.org.Audience() {
		return Token{}, prterr.Wrap(prterr.Invalid, ErrAudience, "applies_to is not a relying party of this provider: use %s", s.org.Audience())
	}
	user, err := s.authenticate(ctx, req)
	if errors.Is(err, org.ErrRefused) || errors.Is(err, card.ErrRefused) {
		s.log.WarnContext(ctx, "sign-in refused")
		return Token{}, prterr.New(prterr.Unauthenticated, FailedAuthentication)
	}
	if err != nil {
		return Token{}, err
	}
	// An underscore before the GUID: an xs:ID must not begin with a digit.
	id, now := "_"+uuid.NewString(), s.clock.Now()
	assertion, err := s.issuer.Issue(saml11.Subject{
		ID: id, UPN: user.UPN, ImmutableID: string(user.ImmutableID), At: now,
		Certificate: req.Certificate != nil, MultipleAuthn: req.Certificate != nil && s.multipleAuthn,
	})
	if err != nil {
		s.log.ErrorContext(ctx, "assertion not issued", "error", err)
		return Token{}, prterr.New(prterr.Internal, "the assertion could not be issued: see the provider's log")
	}
	s.log.InfoContext(ctx, "assertion issued", "assertion", id)
	return Token{Assertion: assertion, From: now, Until: now.Add(saml11.Lifetime)}, nil
}

// authenticate judges the proof before it looks for the user, so that who has no card
// learns of no user.
func (s *STS) authenticate(ctx context.Context, req Request) (org.User, error) {
	if req.Certificate == nil {
		return s.org.Authenticate(ctx, req.Name, req.Password)
	}
	if s.cards == nil || !req.Password.Empty() {
		return org.User{}, card.ErrRefused
	}
	if err := s.cards.Check(req.Name, *req.Certificate); err != nil {
		return org.User{}, err
	}
	return s.org.User(req.Name)
}
