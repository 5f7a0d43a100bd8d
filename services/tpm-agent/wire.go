package tpmagent

import "github.com/lockstep-sso/lockstep/pkg/run"

// spares is how many key sets a component makes in advance.
const spares = 1

// Wire builds the component from its environment. Settings: "tpm" is the address of
// the TPM, "software_keys" the policy for keys in software, "tpm_ca" the folder of
// the maker of emulated TPMs.
func Wire(env *run.Env) (*run.Component, error) {
	s, err := New(Config{
		StateDir: env.StateDir, TPM: env.Settings["tpm"], SoftwareKeys: env.Settings["software_keys"], EmulatedCA: env.Settings["tpm_ca"],
		Spares: spares, Clock: env.Clock, Log: env.Log, Points: env.Points,
		OnProgress: func(what string) { env.Log.Info("the TPM works", "on", what) },
	})
	if err != nil {
		return nil, err
	}
	return &run.Component{Service: s, Allow: Allow()}, nil
}
