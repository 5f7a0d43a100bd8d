package lsacloudap

import (
	"fmt"
	"time"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/adfscarrier"
	"github.com/lockstep-sso/lockstep/pkg/entracarrier"
	"github.com/lockstep-sso/lockstep/pkg/run"
)

// Wire builds the component from its environment. Its peers are tpm-agent, dsreg,
// idp and adfs; the last two may be https://HOST, with the settings of that. A peer
// domain, which is served by adfs, is the domain controller of hybrid joined devices;
// without one they sign in as joined ones do.
//
// Settings: "sign-in-url" is the base address of sign-in pages. "hello" is on (the
// default) or off, "hello-at-logon" on (the default) or off, "hello-keys" any (the
// default) or hardware, "hello-trust" key (the default) or certificate;
// "remote-session" is on for a device that people use over a network.
// "renew-after-reconnect" is at-once (the default) or sign-in, when a renewal that met no
// network shall wait for a sign-in as well. "offline-lifetime" is how long known users
// sign in without the identity provider, as 72h; 0, the default, is without a limit.
// "unverified-cache" is allow (the default) or refuse: whether users sign in from a cache
// that could not be checked against what the tpm-agent remembers of it.
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
	var domain grpc.ClientConnInterface
	if env.HasPeer("domain") {
		if domain, err = env.PeerOf("domain", "adfs"); err != nil {
			return nil, err
		}
	}
	afterSignIn, err := choice(env.Settings, "renew-after-reconnect", "at-once", "sign-in")
	if err != nil {
		return nil, err
	}
	offline, err := offlineLifetime(env.Settings)
	if err != nil {
		return nil, err
	}
	s, err := New(Config{
		StateDir: env.StateDir, TPM: peers["tpm-agent"], Dsreg: peers["dsreg"], IdP: idp, Federation: federation,
		Domain: domain, OfflineLifetime: offline, RenewAfterSignIn: afterSignIn, SignInURL: env.Settings["sign-in-url"], Hello: policy,
		RefuseUnverifiedCache: cache == "refuse", Clock: env.Clock, Log: env.Log, TracerProvider: env.TracerProvider, MeterProvider: env.MeterProvider, Points: env.Points,
	})
	if err != nil {
		return nil, err
	}
	return &run.Component{Service: s, Allow: Allow()}, nil
}

// offlineLifetime reads the setting about the time without the identity provider.
func offlineLifetime(settings map[string]string) (time.Duration, error) {
	s := settings["offline-lifetime"]
	if s == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("setting offline-lifetime is %q: use a time such as 72h, or 0 for no limit", s)
	}
	return d, nil
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
		other, err := choice(settings, s.name, s.standard, s.other)
		if err != nil {
			return HelloPolicy{}, err
		}
		*s.into = other
	}
	return p, nil
}

// choice reads a setting of two values; true is the other one than the standard.
func choice(settings map[string]string, name, standard, other string) (bool, error) {
	switch settings[name] {
	case "", standard:
		return false, nil
	case other:
		return true, nil
	default:
		return false, fmt.Errorf("setting %s is %q: use %s or %s", name, settings[name], standard, other)
	}
}
