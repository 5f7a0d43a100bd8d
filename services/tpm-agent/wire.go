package tpmagent

import (
	"fmt"
	"strconv"

	"github.com/lockstep-sso/lockstep/pkg/run"
)

// spares is how many key sets a component makes in advance.
const spares = 1

// Wire builds the component from its environment. Settings: "tpm" is the address of
// the TPM; "software-keys" the policy for keys in software; "tpm-ca" the folder of
// the maker of emulated TPMs; "native-session-keys" is on to offer them;
// "spare-key-sets" how many are made in advance, 1 unless it says otherwise.
func Wire(env *run.Env) (*run.Component, error) {
	native := env.Settings["native-session-keys"]
	if native != "" && native != "on" && native != "off" {
		return nil, fmt.Errorf("setting native-session-keys is %q: use on or off", native)
	}
	made := spares
	if text := env.Settings["spare-key-sets"]; text != "" {
		var err error
		if made, err = strconv.Atoi(text); err != nil {
			return nil, fmt.Errorf("setting spare-key-sets is %q: use a number from 0 to 4", text)
		}
	}
	s, err := New(Config{
		StateDir: env.StateDir, TPM: env.Settings["tpm"], SoftwareKeys: env.Settings["software-keys"], EmulatedCA: env.Settings["tpm-ca"],
		NativeSessionKeys: native == "on", Spares: made, Clock: env.Clock, Log: env.Log, MeterProvider: env.MeterProvider, Points: env.Points,
		OnProgress: func(what string) { env.Log.Info("the TPM works", "on", what) },
	})
	if err != nil {
		return nil, err
	}
	return &run.Component{Service: s, Allow: Allow()}, nil
}
