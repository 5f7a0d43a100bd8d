package main

import (
	"github.com/spf13/cobra"

	"github.com/lockstep-sso/lockstep/pkg/run"
	"github.com/lockstep-sso/lockstep/pkg/scrape"
	"github.com/lockstep-sso/lockstep/services/browsercore"
	"github.com/lockstep-sso/lockstep/services/faulty"
	"github.com/lockstep-sso/lockstep/services/telemetry"
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
	cmd.AddCommand(browsercoreCommand(), faultyCommand(), telemetry.Command())
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

func browsercoreCommand() *cobra.Command {
	var p browsercore.Program
	cmd := &cobra.Command{
		Use: "browsercore", Short: "Answer a browser's native messages on standard input and output, or over the network", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p.In, p.Out = cmd.InOrStdin(), cmd.OutOrStdout()
			if p.Listen != "" {
				if err := run.ForgetFreed(); err != nil {
					return err
				}
			}
			return p.Run(cmd.Context())
		},
	}
	p.Bind(cmd.Flags())
	return cmd
}
