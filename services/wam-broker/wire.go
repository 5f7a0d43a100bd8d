package wambroker

import (
	"github.com/lockstep-sso/lockstep/pkg/entracarrier"
	"github.com/lockstep-sso/lockstep/pkg/run"
)

// Wire builds the component from its environment. Its peers are lsa-cloudap, tpm-agent,
// idp and dsreg; idp may be https://HOST. Setting "sign-in-url" is the base address of
// the sign-in pages of work accounts.
func Wire(env *run.Env) (*run.Component, error) {
	peers, err := env.Peers("lsa-cloudap", "tpm-agent", "dsreg")
	if err != nil {
		return nil, err
	}
	idp, err := entracarrier.Peer(env)
	if err != nil {
		return nil, err
	}
	s, err := New(Config{
		StateDir: env.StateDir, Authority: peers["lsa-cloudap"], TPM: peers["tpm-agent"], SignInURL: env.Settings["sign-in-url"], IdP: idp, Dsreg: peers["dsreg"],
		Clock: env.Clock, Log: env.Log, TracerProvider: env.TracerProvider, MeterProvider: env.MeterProvider, Points: env.Points,
	})
	if err != nil {
		return nil, err
	}
	return &run.Component{Service: s, Allow: Allow(), Patience: Patience()}, nil
}
