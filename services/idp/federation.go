package idp

import (
	"context"
	"log/slog"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/services/idp/internal/saml"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// assertionAudience is what federation providers issue assertions for; realm
// discovery tells it to devices.
const assertionAudience = "urn:federation:MicrosoftOnline"

// assertions puts the SAML room behind the directory's interface.
type assertions struct{ verifier *saml.Verifier }

func newAssertions(clk clock.Clock, log *slog.Logger) (AssertionVerifier, error) {
	v, err := saml.New(saml.Config{Audience: assertionAudience, Clock: clk, Log: log})
	if err != nil {
		return nil, err
	}
	return assertions{v}, nil
}

// Verify implements AssertionVerifier. The directory asks for federated domains
// with a certificate only.
func (a assertions) Verify(_ context.Context, d tenant.Domain, xml []byte) (Subject, error) {
	s, err := a.verifier.Verify(saml.Federation{Domain: d.Name, Issuer: d.Federated.Issuer, Certificate: d.Federated.Certificate}, xml)
	if err != nil {
		return Subject{}, err
	}
	return Subject{ImmutableID: s.ImmutableID, UPN: s.UPN, MultipleAuthn: s.MultipleAuthn, Certificate: s.Certificate}, nil
}
