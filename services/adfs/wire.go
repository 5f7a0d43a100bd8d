package adfs

import (
	"fmt"
	"os"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/host"
	"github.com/lockstep-sso/lockstep/pkg/published"
	"github.com/lockstep-sso/lockstep/pkg/run"
)

// Wire builds the component from its environment. Settings: "organisation" is the
// path of an organisation file; "signing-certificate" is where to write the PEM of
// the token-signing certificate, for the cloud to be told; "signing-key" is keep to keep
// that key in the state folder; "https" and "https-name"
// are where to serve HTTPS and under which name, "https-ca" where to write its CA;
// "client-ca" is the path of the PEM of the authorities of smart cards, and
// "multiple-authn" is on to claim more than one factor for a sign-in by card.
func Wire(env *run.Env) (*run.Component, error) {
	cfg := Config{Clock: env.Clock, Log: env.Log}
	if path := env.Settings["organisation"]; path != "" {
		yaml, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("setting organisation: %w", err)
		}
		cfg.Organisation = yaml
	}
	if path := env.Settings["client-ca"]; path != "" {
		pem, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("setting client-ca: %w", err)
		}
		cfg.ClientCA = pem
	}
	switch env.Settings["multiple-authn"] {
	case "", "off":
	case "on":
		cfg.MultipleAuthn = true
	default:
		return nil, fmt.Errorf("setting multiple-authn is %q: use on or off", env.Settings["multiple-authn"])
	}
	switch env.Settings["signing-key"] {
	case "":
	case "keep":
		signer, err := keptSigner(env.StateDir, cfg)
		if err != nil {
			return nil, fmt.Errorf("setting signing-key: %w", err)
		}
		cfg.Signer = &signer
	default:
		return nil, fmt.Errorf("setting signing-key is %q: use keep, or leave it out for a new key at every start", env.Settings["signing-key"])
	}
	s, err := New(cfg)
	if err != nil {
		return nil, err
	}
	if path := env.Settings["signing-certificate"]; path != "" {
		if err := durable.WriteFile(path, s.SigningCertificate(), nil); err != nil {
			return nil, fmt.Errorf("setting signing-certificate: %w", err)
		}
	}
	authority, err := host.Component(env, s.Handler(), env.Settings["https-name"])
	if err != nil {
		return nil, err
	}
	certificates := published.Certificates{published.HTTPSAuthority: authority, published.TokenSigning: s.SigningCertificate()}
	return &run.Component{Service: certificates.Beside(s), Allow: Allow()}, nil
}
