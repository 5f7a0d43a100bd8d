package wambroker

import "github.com/lockstep-sso/lockstep/pkg/run"

// Wire builds the component from its environment. It has no settings; its peers
// are lsa-cloudap, idp and dsreg.
func Wire(env *run.Env) (*run.Component, error) {
	peers, err := env.Peers("lsa-cloudap", "idp", "dsreg")
	if err != nil {
		return nil, err
	}
	s, err := New(Config{
		StateDir: env.StateDir, Authority: peers["lsa-cloudap"], IdP: peers["idp"], Dsreg: peers["dsreg"],
		Clock: env.Clock, Log: env.Log, TracerProvider: env.TracerProvider, Points: env.Points,
	})
	if err != nil {
		return nil, err
	}
	return &run.Component{Service: s, Allow: Allow()}, nil
}
