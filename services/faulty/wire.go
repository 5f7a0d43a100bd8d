package faulty

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/lockstep-sso/lockstep/pkg/fault"
	"github.com/lockstep-sso/lockstep/pkg/host"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/run"
)

// Name of the component in logs, traces and commands.
const Name = "faulty"

// TPM is the name that a stand-in has before a TPM, which is no component.
const TPM = "tpm"

// Wire builds the stand-in for a component, whose identity the environment has. It has
// no peers. README.md says what the settings are.
func Wire(component string) run.Wire {
	return func(env *run.Env) (*run.Component, error) {
		if env.Lab == nil {
			return nil, errors.New("a stand-in breaks what it stands before: it runs in a laboratory alone, start it with --lab")
		}
		cfg, err := configure(component, env)
		if err != nil {
			return nil, err
		}
		s, err := New(cfg)
		if err != nil {
			return nil, err
		}
		if err := fronts(env, s); err != nil {
			return nil, errors.Join(err, s.Close())
		}
		return &run.Component{Service: s, Allow: Allow(), Raw: s.Answer}, nil
	}
}

// Known is an error when there is no component of that name to stand in for.
func Known(component string) error {
	if _, known := Contracts()[component]; known || component == TPM {
		return nil
	}
	return fmt.Errorf("nothing can stand in for %.40q: name a component, one of %s", component, strings.Join(slices.Sorted(maps.Keys(Contracts())), ", "))
}

func configure(component string, env *run.Env) (cfg Config, err error) {
	if err := Known(component); err != nil {
		return cfg, err
	}
	cfg = Config{Component: component, Clock: env.Clock, Log: env.Log}
	if component == TPM {
		if err := beforeTPM(env, &cfg); err != nil {
			return cfg, err
		}
	}
	for name, conn := range map[string]**rpc.RawConn{"real": &cfg.Real, "other": &cfg.Other} {
		if env.Settings[name] == "" {
			continue
		}
		if *conn, err = env.HandOn(env.Settings[name]); err != nil {
			return cfg, fmt.Errorf("setting %s: %w", name, err)
		}
	}
	if text := env.Settings["seed"]; text != "" {
		if cfg.Seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			return cfg, fmt.Errorf("setting seed is %.40q: use a number from 0, which chooses one", text)
		}
	}
	if env.Settings["https"] != "" {
		if env.Settings["https-real"] == "" || env.Settings["https-real-roots"] == "" {
			return cfg, errors.New("setting https: https-real and https-real-roots are needed with it")
		}
		cfg.HTTPS = once(func() (*http.Client, error) {
			peer, err := env.HTTPSAt("https-real")
			return peer.Client(), err
		})
	}
	cfg.Rules, err = rules(env.Settings)
	return cfg, err
}

// beforeTPM opens the socket of a stand-in before a TPM. Sockets of TPMs are those of the
// machine, whatever network the components of a laboratory live on.
func beforeTPM(env *run.Env, cfg *Config) error {
	listen, to := env.Settings["tpm-listen"], env.Settings["tpm"]
	if listen == "" || to == "" {
		return errors.New("settings tpm-listen and tpm: a stand-in before a TPM needs both, as unix:PATH or tcp:HOST:PORT")
	}
	var err error
	if cfg.TPMListener, err = (rpc.OS{}).Listen(listen); err != nil {
		return fmt.Errorf("setting tpm-listen: %w", err)
	}
	cfg.DialTPM = func(ctx context.Context) (net.Conn, error) { return rpc.OS{}.Dial(ctx, to) }
	return nil
}

// once asks until there is an answer, and keeps it.
func once(ask func() (*http.Client, error)) func() (*http.Client, error) {
	var mu sync.Mutex
	var kept *http.Client
	return func() (*http.Client, error) {
		mu.Lock()
		defer mu.Unlock()
		if kept != nil {
			return kept, nil
		}
		got, err := ask()
		if err == nil {
			kept = got
		}
		return got, err
	}
}

// fronts opens what the stand-in takes beside gRPC.
func fronts(env *run.Env, s *Service) error {
	if s.Handler() == nil {
		return nil
	}
	var names []string
	if n := env.Settings["https-name"]; n != "" {
		names = []string{n}
	}
	_, err := host.Component(env, s.Handler(), names...)
	return err
}

func rules(settings map[string]string) (fault.Rules, error) {
	text, file := settings["rules"], settings["rules-file"]
	if text != "" && file != "" {
		return nil, errors.New("both settings rules and rules-file are given: use one")
	}
	if file != "" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("setting rules-file: %w", err)
		}
		defer func() { _ = f.Close() }()
		b, err := io.ReadAll(io.LimitReader(f, fault.MaxText+1))
		if err != nil {
			return nil, fmt.Errorf("setting rules-file: %w", err)
		}
		text = string(b)
	}
	return fault.Parse(text)
}
