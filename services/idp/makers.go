package idp

import (
	"fmt"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/services/idp/internal/attestation"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// TPMMaker is a maker of TPMs whose certificates are believed.
type TPMMaker struct {
	// Name for people.
	Name string
	// Kind is hardware or emulated: what the maker makes.
	Kind string
	// Certificates are PEM, of every authority that issues.
	Certificates []byte
}

func newAttestations(makers []TPMMaker, sealer attestation.Sealer, clk clock.Clock) (*attestation.Service, error) {
	cfg := attestation.Config{Sealer: sealer, Clock: clk}
	seen := map[string]bool{}
	for _, m := range makers {
		maker, err := tenant.NewMaker(m.Name, m.Kind, m.Certificates)
		if err != nil {
			return nil, fmt.Errorf("maker %q of TPMs: %w", m.Name, err)
		}
		for _, c := range maker.Certificates {
			if seen[string(c.Raw)] {
				return nil, fmt.Errorf("maker %q of TPMs has a certificate that stands before: name each once", m.Name)
			}
			seen[string(c.Raw)] = true
		}
		cfg.Makers = append(cfg.Makers, maker)
	}
	return attestation.New(cfg)
}
