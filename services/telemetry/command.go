package telemetry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockstep-sso/lockstep/pkg/obs"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/run"
)

// Command is the whole program, with the commands spool and pump.
func Command() *cobra.Command {
	cmd := &cobra.Command{
		Use: "telemetry", Short: "Bring traces and metrics out of a component that opens no connection",
		SilenceErrors: true, SilenceUsage: true,
	}
	cmd.AddCommand(spoolCommand(), pumpCommand())
	return cmd
}

func spoolCommand() *cobra.Command {
	var f run.Flags
	var socket string
	var keep int
	cmd := &cobra.Command{
		Use: "spool", Short: "Keep what the component beside it exports, until the observer fetches it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			id, err := rpc.LoadIdentity(f.Identity)
			if err != nil {
				return err
			}
			f.Stateless = true
			// It is a part of the component whose identity it has.
			return run.Process(cmd.Context(), id.Name, f, Wire(socket, keep))
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&socket, "receive", "", "where the component exports to, unix:PATH")
	fl.StringVar(&f.Listen, "listen", "", "address to serve the observer at: unix:PATH or tcp:HOST:PORT")
	fl.StringVar(&f.Identity, "identity", "", "folder with cert.pem, key.pem and ca.pem of the component")
	fl.StringVar(&f.Health, "health", "", "answer plaintext gRPC health checks, and nothing else, at this address: tcp:HOST:PORT")
	fl.StringVar(&f.LogLevel, "log", "info", "log level: debug, info, warn, error or off")
	fl.IntVar(&keep, "keep", DefaultKeep, "how much is kept, in bytes; when more comes the oldest is dropped and counted")
	for _, name := range []string{"receive", "listen", "identity"} {
		_ = cmd.MarkFlagRequired(name) // it is defined above
	}
	return cmd
}

// Wire makes a spool that takes exports at socket, unix:PATH.
func Wire(socket string, keep int) run.Wire {
	return func(env *run.Env) (*run.Component, error) {
		if !strings.HasPrefix(socket, "unix:") {
			return nil, fmt.Errorf("--receive %q is not unix:PATH: who exports has no certificate, so the way has to be the user's own", socket)
		}
		s, err := New(Config{Keep: keep})
		if err != nil {
			return nil, err
		}
		r, err := receive(s, socket)
		if err != nil {
			return nil, err
		}
		env.Own(r)
		return &run.Component{Service: s, Allow: Allow()}, nil
	}
}

// pumping is what a pump is told.
type pumping struct{ spool, server, identity, otlp, health, logLevel string }

func pumpCommand() *cobra.Command {
	var f pumping
	cmd := &cobra.Command{
		Use: "pump", Short: "Fetch from a spool, as observer, and send to a collector", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return pump(cmd.Context(), f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.spool, "spool", "", "address of the spool: unix:PATH or tcp:HOST:PORT")
	fl.StringVar(&f.server, "server", "tpm-agent", "component whose spool it is")
	fl.StringVar(&f.identity, "identity", "", "folder with cert.pem, key.pem and ca.pem of observer")
	fl.StringVar(&f.otlp, "otlp", "", "OTLP/gRPC receiver to send to: HOST:PORT or unix:PATH")
	fl.StringVar(&f.health, "health", "", "answer plaintext gRPC health checks, and nothing else, at this address: tcp:HOST:PORT")
	fl.StringVar(&f.logLevel, "log", "info", "log level: debug, info, warn, error or off")
	for _, name := range []string{"spool", "identity", "otlp"} {
		_ = cmd.MarkFlagRequired(name) // it is defined above
	}
	return cmd
}

func pump(ctx context.Context, f pumping) (err error) {
	if err := run.NoDumps(false); err != nil {
		return err
	}
	log, err := obs.Logger(os.Stderr, f.logLevel, "telemetry")
	if err != nil {
		return err
	}
	id, err := rpc.LoadIdentity(f.identity)
	if err != nil {
		return err
	}
	id.LogTo(log)
	from, err := rpc.Dial(rpc.DialConfig{Network: rpc.OS{}, Addr: f.spool, Identity: id, Server: f.server})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := obs.Collector(f.otlp)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	p, err := NewPump(PumpConfig{Spool: from, Collector: to, Log: log})
	if err != nil {
		return err
	}
	if f.health != "" {
		stop, err := run.ServeHealth(f.health)
		if err != nil {
			return err
		}
		defer stop()
	}
	return p.Run(ctx)
}
