package dsreg

import (
	"cmp"
	"os"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/entracarrier"
	"github.com/lockstep-sso/lockstep/pkg/run"
)

// Wire builds the component from its environment. Its peers are tpm-agent and
// idp, which may be https://HOST. Settings: "device-type" and "os-version" are told
// to the tenant with a new device; "computer-name" is the name of one that is
// registered without a name, by default the machine's own.
func Wire(env *run.Env) (*run.Component, error) {
	tpm, err := env.Peer("tpm-agent")
	if err != nil {
		return nil, err
	}
	idp, err := entracarrier.Peer(env)
	if err != nil {
		return nil, err
	}
	s, err := New(Config{
		StateDir: env.StateDir, TPM: tpm, IdP: idp, Clock: env.Clock,
		Log: env.Log, MeterProvider: env.MeterProvider, Points: env.Points, DeviceType: env.Settings["device-type"], OSVersion: env.Settings["os-version"],
		ComputerName: cmp.Or(env.Settings["computer-name"], machineName()),
	})
	if err != nil {
		return nil, err
	}
	return &run.Component{Service: s, Allow: Allow()}, nil
}

// machineName is the first label of the host name, as Windows has it; empty when
// the machine does not say.
func machineName() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	name, _, _ = strings.Cut(name, ".")
	return name
}
