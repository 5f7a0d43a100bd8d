package lsacloudap

import (
	"fmt"

	"github.com/lockstep-sso/lockstep/pkg/adfscarrier"
	"github.com/lockstep-sso/lockstep/pkg/entracarrier"
	"github.com/lockstep-sso/lockstep/pkg/run"
)

// Wire builds the component from its environment. Its peers are tpm-agent, dsreg,
// idp and adfs; the last two may be https://HOST, with the settings of that.
//
// Settings: "sign-in-url" is the base address of sign-in pages. "hello" is on (the
// default) or off, "hello-at-logon" on (the default) or off, "hello-keys" any (the
// default) or hardware, "hello-trust" key (the default) or certificate;
// "remote-session" is on for a device that people use over a network. "unverified-cache"
// is allow (the default) or refuse: whether users sign in from a cache that could not be
// checked against what the tpm-agent remembers of it.
func Wire(env *run.Env) (*run.Component, error) {
	policy, err := helloPolicy(env.Settings)
	if err != nil {
		return nil, err
	}
	cache := env.Settings["unverified-cache"]
	if cache != "" && cache != "allow" && cache != "refuse" {
		return nil, fmt.Errorf("setting unverified-cache is %q: use allow or refuse", cache)
	}
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
		SignInURL: env.Settings["sign-in-url"], Hello: policy, RefuseUnverifiedCache: cache == "refuse", Clock: env.Clock, Log: env.Log, TracerProvider: env.TracerProvider, Points: env.Points,
	})
	if err != nil {
		return nil, err
	}
	return &run.Component{Service: s, Allow: Allow()}, nil
}

// helloPolicy reads the settings about Windows Hello.
func helloPolicy(settings map[string]string) (HelloPolicy, error) {
	var p HelloPolicy
	for _, s := range []struct {
		name, standard, other string
		into                  *bool
	}{
		{"hello", "on", "off", &p.Off}, {"hello-at-logon", "on", "off", &p.NotAtLogon}, {"hello-keys", "any", "hardware", &p.HardwareOnly},
		{"hello-trust", "key", "certificate", &p.CertificateTrust}, {"remote-session", "off", "on", &p.RemoteSession},
	} {
		switch settings[s.name] {
		case "", s.standard:
		case s.other:
			*s.into = true
		default:
			return HelloPolicy{}, fmt.Errorf("setting %s is %q: use %s or %s", s.name, settings[s.name], s.standard, s.other)
		}
	}
	return p, nil
}
