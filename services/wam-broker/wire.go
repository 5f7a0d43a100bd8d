package wambroker

import (
	"github.com/lockstep-sso/lockstep/pkg/entracarrier"
	"github.com/lockstep-sso/lockstep/pkg/run"
)

// Wire builds the component from its environment. It has no settings; its peers
// are lsa-cloudap, idp and dsreg; idp may be https://HOST.
func Wire(env *run.Env) (*run.Component, error) {
	peers, err := env.Peers("lsa-cloudap", "dsreg")
	if err != nil {
		return nil, err
	}
	idp, err := entracarrier.Peer(env)
	if err != nil {
		return nil, err
	}
	s, err := New(Config{
		StateDir: env.StateDir, Authority: peers["lsa-cloudap"], IdP: idp, Dsreg: peers["dsreg"],
		Clock: env.Clock, Log: env.Log, TracerProvider: env.TracerProvider, Points: env.Points,
	})
	if err != nil {
		return nil, err
	}
	return &run.Component{Service: s, Allow: Allow(), Patience: Patience()}, nil
}
