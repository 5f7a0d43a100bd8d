package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/propagation"

	"github.com/lockstep-sso/lockstep/pkg/obs"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/run"
	"github.com/lockstep-sso/lockstep/pkg/scrape"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/browsercore"
	"github.com/lockstep-sso/lockstep/services/faulty"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/components"
)

// componentCommand makes this process one component. demo --processes starts
// itself with it.
func componentCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "component", Short: "Run one component as this process"}
	for _, name := range components.Names() {
		var flags run.Flags
		if name != "tpm-agent" { // as its own binary, which links no HTTP server for metrics
			flags.Scraper = scrape.Open
		}
		c := &cobra.Command{
			Use: name, Short: "Run " + name, Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				if err := run.ForgetFreed(); err != nil {
					return err
				}
				return run.Process(cmd.Context(), name, flags, components.Wires()[name])
			},
		}
		flags.Bind(c.Flags())
		cmd.AddCommand(c)
	}
	cmd.AddCommand(browsercoreCommand(), faultyCommand())
	return cmd
}

// faultyCommand makes this process a stand-in.
func faultyCommand() *cobra.Command {
	flags := run.Flags{Scraper: scrape.Open}
	cmd := &cobra.Command{
		Use: faulty.Name, Short: "Stand in the place of a component of a laboratory and break calls by rules", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := faulty.Known(flags.StandInFor); err != nil {
				return err
			}
			return run.Process(cmd.Context(), faulty.Name, flags, faulty.Wire(flags.StandInFor))
		},
	}
	flags.Bind(cmd.Flags())
	cmd.Flags().StringVar(&flags.StandInFor, "stand-in-for", "", "component in whose place to stand, under its identity")
	return cmd
}

// maxSession bounds what is read from the session pipe, in bytes.
const maxSession = 4096

func browsercoreCommand() *cobra.Command {
	var identity, authority, otlp string
	var fd uint
	cmd := &cobra.Command{
		Use: "browsercore", Short: "Answer a browser's native messages on standard input and output", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			session, err := readSession(fd)
			if err != nil {
				return err
			}
			id, err := rpc.LoadIdentity(identity)
			if err != nil {
				return err
			}
			tp, err := obs.Tracing(cmd.Context(), obs.TraceConfig{Service: "browsercore", OTLP: otlp})
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, tp.Shutdown(context.WithoutCancel(cmd.Context()))) }()
			conn, err := rpc.Dial(rpc.DialConfig{Network: rpc.OS{}, Addr: authority, Identity: id, Server: "lsa-cloudap", TracerProvider: tp})
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, conn.Close()) }()
			host, err := browsercore.New(browsercore.Config{Authority: conn, LogonSession: session})
			if err != nil {
				return err
			}
			ctx := rpc.Propagators().Extract(cmd.Context(), propagation.MapCarrier{
				"traceparent": os.Getenv("TRACEPARENT"), "baggage": os.Getenv("BAGGAGE"),
			})
			return host.Serve(ctx, cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&identity, "identity", "", "folder with cert.pem, key.pem and ca.pem")
	f.StringVar(&authority, "authority", "", "address of the PRT authority: unix:PATH or tcp:HOST:PORT")
	f.UintVar(&fd, "session-fd", 3, "inherited file descriptor to read the logon session from")
	f.StringVar(&otlp, "otlp", "", "export traces to this OTLP/gRPC receiver")
	return cmd
}

// readSession takes the logon session from an inherited pipe: it is a secret, and
// neither arguments nor environment keep one.
func readSession(fd uint) (secret.Text, error) {
	f := os.NewFile(uintptr(fd), "session")
	if f == nil {
		return secret.Text{}, fmt.Errorf("file descriptor %d is not open", fd)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxSession))
	if err != nil {
		return secret.Text{}, fmt.Errorf("logon session: %w", err)
	}
	return secret.NewText(string(b)), nil
}
