package lsacloudap

import (
	"github.com/lockstep-sso/lockstep/pkg/adfscarrier"
	"github.com/lockstep-sso/lockstep/pkg/entracarrier"
	"github.com/lockstep-sso/lockstep/pkg/run"
)

// Wire builds the component from its environment. Its peers are tpm-agent, dsreg,
// idp and adfs; the last two may be https://HOST, with the settings of that.
func Wire(env *run.Env) (*run.Component, error) {
	peers, err := env.Peers("tpm-agent", "dsreg")
	if err != nil {
		return nil, err
	}
	idp, err := entracarrier.Peer(env)
	if err != nil {
		return nil, err
	}
	federation, err := adfscarrier.Peer(env)
	if err != nil {
		return nil, err
	}
	s, err := New(Config{
		StateDir: env.StateDir, TPM: peers["tpm-agent"], Dsreg: peers["dsreg"], IdP: idp, Federation: federation,
		Clock: env.Clock, Log: env.Log, TracerProvider: env.TracerProvider, Points: env.Points,
	})
	if err != nil {
		return nil, err
	}
	return &run.Component{Service: s, Allow: Allow()}, nil
}
