package dsreg

import "github.com/lockstep-sso/lockstep/pkg/run"

// Wire builds the component from its environment. Its peers are tpm-agent and
// idp. Settings: "device-type" and "os-version" are told to the tenant at a join.
func Wire(env *run.Env) (*run.Component, error) {
	peers, err := env.Peers("tpm-agent", "idp")
	if err != nil {
		return nil, err
	}
	s, err := New(Config{
		StateDir: env.StateDir, TPM: peers["tpm-agent"], IdP: peers["idp"], Clock: env.Clock,
		Log: env.Log, Points: env.Points, DeviceType: env.Settings["device-type"], OSVersion: env.Settings["os-version"],
	})
	if err != nil {
		return nil, err
	}
	return &run.Component{Service: s, Allow: Allow()}, nil
}
