package idp

import (
	"context"
	"crypto/sha256"
	"log/slog"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/replay"
	"github.com/lockstep-sso/lockstep/services/idp/internal/saml"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// assertionAudience is what federation providers issue assertions for; realm
// discovery tells it to devices.
const assertionAudience = "urn:federation:MicrosoftOnline"

// assertions puts the SAML room behind the directory's interface.
type assertions struct {
	verifier *saml.Verifier
	// replays remember what other replicas took; nil is this process alone, where the
	// verifier remembers by itself.
	replays *replay.Cache
}

func (s *Service) newAssertions(clk clock.Clock, log *slog.Logger) (AssertionVerifier, error) {
	v, err := saml.New(saml.Config{Audience: assertionAudience, Clock: clk, Log: log})
	if err != nil {
		return nil, err
	}
	a := assertions{verifier: v}
	if s.shared != nil {
		a.replays = s.replays
	}
	return a, nil
}

// Verify implements AssertionVerifier. The directory asks for federated domains
// with a certificate only.
func (a assertions) Verify(ctx context.Context, d tenant.Domain, xml []byte) (Subject, error) {
	s, err := a.verifier.Verify(saml.Federation{Domain: d.Name, Issuer: d.Federated.Issuer, Certificate: d.Federated.Certificate}, xml)
	if err != nil {
		return Subject{}, err
	}
	if a.replays != nil {
		first, err := a.replays.Use(ctx, sha256.Sum256([]byte("assertion|"+d.Federated.Issuer+"|"+s.AssertionID)), s.NotOnOrAfter.Add(saml.DefaultSkew))
		if err != nil {
			return Subject{}, err
		}
		if !first {
			return Subject{}, prterr.AADSTS(aadsts.InvalidAssertion, "")
		}
	}
	return Subject{ImmutableID: s.ImmutableID, UPN: s.UPN, MultipleAuthn: s.MultipleAuthn, Certificate: s.Certificate}, nil
}
