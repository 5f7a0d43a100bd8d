package tpmagent

import "github.com/lockstep-sso/lockstep/pkg/run"

// Wire builds the component from its environment. Setting "tpm" is the address of
// the TPM, "software_keys" what to do without one.
func Wire(env *run.Env) (*run.Component, error) {
	s, err := New(Config{
		StateDir: env.StateDir, TPM: env.Settings["tpm"], SoftwareKeys: env.Settings["software_keys"], Log: env.Log, Points: env.Points,
		OnProgress: func(what string) { env.Log.Info("the TPM works", "on", what) },
	})
	if err != nil {
		return nil, err
	}
	return &run.Component{Service: s, Allow: Allow()}, nil
}
