package idp

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/host"
	"github.com/lockstep-sso/lockstep/pkg/published"
	"github.com/lockstep-sso/lockstep/pkg/run"
)

// Wire builds the component from its environment. Settings: "tenants" is the path
// of a tenant file; "federation-certificate" is DOMAIN=PATH, the PEM of a
// federation provider whose certificate is not in that file; "state" is keep to
// keep keys and records over a restart; "tpm-makers" is KIND=PATH, or several with
// commas between, the PEM of makers of TPMs whom every tenant trusts, where KIND is
// hardware or emulated; "https" is where to serve HTTPS, "https-ca"
// where to write the certificate to trust.
func Wire(env *run.Env) (*run.Component, error) {
	cfg := Config{Clock: env.Clock, Log: env.Log, TracerProvider: env.TracerProvider, MeterProvider: env.MeterProvider, Persons: env.Lab != nil}
	if path := env.Settings["tenants"]; path != "" {
		yaml, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("setting tenants: %w", err)
		}
		cfg.Tenants = yaml
	}
	if pair := env.Settings["federation-certificate"]; pair != "" {
		domain, path, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, fmt.Errorf("setting federation-certificate: use DOMAIN=PATH")
		}
		pem, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("setting federation-certificate: %w", err)
		}
		cfg.FederationCertificates = map[string][]byte{domain: pem}
	}
	makers, err := tpmMakers(env.Settings["tpm-makers"])
	if err != nil {
		return nil, err
	}
	cfg.TPMMakers = makers
	switch state := env.Settings["state"]; state {
	case "":
	case "keep":
		if env.StateDir == "" {
			return nil, fmt.Errorf("setting state: keep needs a state folder: give the component one")
		}
		cfg.StateDir = env.StateDir
	default:
		return nil, fmt.Errorf("setting state: use keep, or leave it out to forget everything at the end")
	}
	s, err := New(cfg)
	if err != nil {
		return nil, err
	}
	var authority []byte
	if env.Settings["https"] != "" {
		if authority, err = host.Component(env, s.Handler()); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	certificates := published.Certificates{published.HTTPSAuthority: authority}
	return &run.Component{Service: certificates.Beside(s), Allow: Allow()}, nil
}

// tpmMakers reads the setting of that name.
func tpmMakers(list string) ([]TPMMaker, error) {
	var all []TPMMaker
	for pair := range strings.SplitSeq(list, ",") {
		if pair == "" {
			continue
		}
		kind, path, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, fmt.Errorf("setting tpm-makers: use KIND=PATH, where KIND is hardware or emulated")
		}
		pem, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("setting tpm-makers: %w", err)
		}
		all = append(all, TPMMaker{Name: path, Kind: kind, Certificates: pem})
	}
	return all, nil
}
