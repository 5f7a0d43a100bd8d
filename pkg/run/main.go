package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/obs"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
)

// flushTime bounds the export of the last spans and metrics at the end, so that a collector
// that is gone does not hold up the component.
const flushTime = 2 * time.Second

// Flags are the settings that every component process has.
type Flags struct {
	Listen   string
	Identity string
	Peers    map[string]string
	State    string
	// Stateless is true for a component that keeps nothing and needs no State.
	Stateless bool
	OTLP      string
	// Metrics is where Prometheus fetches metrics, HOST:PORT of this machine; empty is
	// nowhere.
	Metrics string
	// Scraper serves it; nil is a component that refuses Metrics.
	Scraper Scraper
	// Health is where probes without an identity ask whether the component serves,
	// tcp:HOST:PORT; empty is nowhere.
	Health   string
	LogLevel string
	Lab      bool
	// LabAhead is how far the clock of a lab is ahead of the machine's at the start.
	LabAhead time.Duration
	Set      map[string]string
	// StandInFor is the component in whose place this one is, under its identity; it is
	// for who binds a flag to it. Empty is none.
	StandInFor string
}

// Bind adds the flags to a flag set.
func (f *Flags) Bind(fs *pflag.FlagSet) {
	fs.StringVar(&f.Listen, "listen", "", "address to serve at: unix:PATH or tcp:HOST:PORT")
	fs.StringVar(&f.Identity, "identity", "", "folder with cert.pem, key.pem and ca.pem")
	fs.StringToStringVar(&f.Peers, "peer", nil, "address of another component, NAME=ADDRESS, or NAME=https://HOST where it speaks HTTPS; repeat")
	fs.StringVar(&f.State, "state", "", "folder for the component's state")
	fs.StringVar(&f.OTLP, "otlp", "", "export traces and metrics to this OTLP/gRPC receiver: HOST:PORT or unix:PATH")
	fs.StringVar(&f.Metrics, "metrics", "", "serve metrics for Prometheus at this address of the machine alone, such as 127.0.0.1:0")
	fs.StringVar(&f.Health, "health", "", "answer plaintext gRPC health checks, and nothing else, at this address: tcp:HOST:PORT")
	fs.StringVar(&f.LogLevel, "log", "info", "log level: debug, info, warn, error or off")
	fs.DurationVar(&f.LabAhead, "lab-ahead", 0, "laboratory: how far the clock is ahead of the machine's at the start")
	fs.BoolVar(&f.Lab, "lab", false, "laboratory: the clock can be moved by the operator")
	fs.StringToStringVar(&f.Set, "set", nil, "a setting of this component, NAME=VALUE; repeat")
}

// Process runs one component as this process until ctx ends.
func Process(ctx context.Context, name string, f Flags, wire Wire) (err error) {
	if f.Listen == "" || f.Identity == "" || f.State == "" && !f.Stateless {
		return errors.New("--listen, --identity and --state are all needed")
	}
	if err := NoDumps(f.Lab); err != nil {
		return err
	}
	points, err := crashPoints(f.Set, f.Lab)
	if err != nil {
		return err
	}
	own := name // is that of the identity
	if f.StandInFor != "" {
		own, name = f.StandInFor, name+"-"+f.StandInFor
	}
	log, err := obs.Logger(os.Stderr, f.LogLevel, name)
	if err != nil {
		return err
	}
	id, err := rpc.LoadIdentity(f.Identity)
	if err != nil {
		return err
	}
	id.LogTo(log)
	place, err := placed(f)
	if err != nil {
		return err
	}
	tp, err := obs.Tracing(ctx, obs.TraceConfig{Service: name, Place: place, OTLP: f.OTLP})
	if err != nil {
		return err
	}
	mp, unmeter, err := metering(ctx, name, place, f, log)
	if err != nil {
		return errors.Join(err, tp.Shutdown(ctx))
	}
	defer func() {
		flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
		defer cancel()
		if e := errors.Join(tp.Shutdown(flush), unmeter(flush)); e != nil {
			log.Warn("the last spans and metrics were not all exported", "error", e)
		}
	}()
	env := Env{StateDir: f.State, Log: log, TracerProvider: tp, MeterProvider: mp, Settings: f.Set, Points: points}
	if f.Lab {
		env.Lab = clock.NewLab()
		if env.LabMoves, err = moveOn(env.Lab, f, log); err != nil {
			return err
		}
		env.Clock = env.Lab
	}
	r, err := Start(Config{Name: own, Identity: id, Network: rpc.OS{}, Listen: f.Listen, Health: f.Health, Peers: f.Peers, Env: env}, wire)
	if err != nil {
		return err
	}
	log.Info("serving", "address", f.Listen)
	select {
	case <-ctx.Done():
	case err = <-r.Failed():
	}
	return errors.Join(err, r.Stop())
}

// Main is the whole main function of a component's own binary. scraper is as in Flags.
func Main(name string, wire Wire, scraper Scraper) {
	MainWith(name, func(Flags) (Wire, error) { return wire, nil }, func(*pflag.FlagSet, *Flags) {}, scraper)
}

// MainWith is Main for a component that has flags of its own, which bind adds, and that
// is wired by what they say.
func MainWith(name string, wire func(Flags) (Wire, error), bind func(*pflag.FlagSet, *Flags), scraper Scraper) {
	if err := ForgetFreed(); err != nil {
		fail(name, err)
	}
	f := Flags{Scraper: scraper}
	fs := pflag.NewFlagSet(name, pflag.ContinueOnError)
	f.Bind(fs)
	bind(fs, &f)
	if err := fs.Parse(os.Args[1:]); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return
		}
		fail(name, err)
	}
	if len(fs.Args()) > 0 {
		fail(name, fmt.Errorf("unexpected argument: %s", strings.Join(fs.Args(), " ")))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	w, err := wire(f)
	if err == nil {
		err = Process(ctx, name, f, w)
	}
	if err != nil {
		stop()
		fail(name, err)
	}
}

func fail(name string, err error) {
	_, _ = fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	os.Exit(1)
}
