package faulty

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/fault"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/run"
)

// Name of the component in logs, traces and commands.
const Name = "faulty"

// Wire builds the stand-in for a component, whose identity the environment has. It has
// no peers. Settings: "real" is the address of the component, "other" that of another
// device's; "rules" are rules, or "rules-file" a file with them; "seed" is a number.
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
		return &run.Component{Service: s, Allow: Allow(), Raw: s.Answer}, nil
	}
}

// Known is an error when there is no component of that name to stand in for.
func Known(component string) error {
	if _, known := Contracts()[component]; known {
		return nil
	}
	return fmt.Errorf("nothing can stand in for %.40q: name a component, one of %s", component, strings.Join(slices.Sorted(maps.Keys(Contracts())), ", "))
}

func configure(component string, env *run.Env) (cfg Config, err error) {
	if err := Known(component); err != nil {
		return cfg, err
	}
	cfg = Config{Component: component, Clock: env.Clock, Log: env.Log}
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
	cfg.Rules, err = rules(env.Settings)
	return cfg, err
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
