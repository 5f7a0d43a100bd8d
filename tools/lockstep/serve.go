package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/obs"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/serve"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/trust"
)

func serveCommand() *cobra.Command {
	var (
		cfg      serve.Config
		asJSON   bool
		movable  bool
		logLevel string
		browser  string
	)
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve tenants over HTTPS to clients that expect the cloud",
		Long: `Serve tenants over HTTPS to clients that expect the cloud, under the cloud's host
names and with a certificate authority of its own, until interrupted. Nothing on
the machine is changed; lockstep trust says how to point a client here.

Without --state everything is thrown away at the end and the next start has other
keys; with it keys, devices and the operator's changes stay, and the certificate that
clients trust.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if cfg.Log, err = obs.Logger(cmd.ErrOrStderr(), logLevel, "serve"); err != nil {
				return err
			}
			if movable {
				cfg.Lab = clock.NewLab()
			}
			s, err := serve.Start(cfg)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			if err := announce(cmd.OutOrStdout(), s.Info(), asJSON); err != nil {
				return err
			}
			if browser != "no" {
				openBrowser(cmd.Context(), cmd.ErrOrStderr(), browser, "https://"+s.Info().HTTPS+"/")
			}
			select {
			case <-cmd.Context().Done():
				return nil
			case err := <-s.Failed():
				return err
			}
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Listen, "listen", "127.0.0.1:8443", "address of the HTTPS listener, HOST:PORT; port 0 is a free one")
	f.StringVar(&cfg.Proxy, "proxy", "127.0.0.1:8444", "address of the proxy for clients whose host names are fixed; off is none")
	f.StringVar(&cfg.BehindProxy, "behind-proxy", "", "loopback address for plain HTTP from a proxy on this machine that ends TLS; whoever connects there is believed the client certificate it shows (default none)")
	f.StringVar(&cfg.Tenants, "tenants", "", "tenant file (default the built-in one: contoso.test and fabrikam.test)")
	f.StringVar(&cfg.State, "state", "", "folder for state that stays (default one that is removed at the end)")
	f.StringSliceVar(&cfg.Names, "name", nil, "another host name or address to serve; repeat")
	f.BoolVar(&cfg.Expose, "expose", false, "let other machines connect: passwords of a tenant file are no secret, so mind who can")
	f.BoolVar(&movable, "lab", false, "laboratory: the clock can be moved with lockstep tenant advance")
	f.BoolVar(&asJSON, "json", false, "print the ready message as one line of JSON")
	f.StringVar(&logLevel, "log", "warn", "log level: debug, info, warn, error or off")
	f.StringVar(&browser, "open-browser", "no", "program that opens the first page when ready, such as xdg-open; no is none")
	return cmd
}

// stateFlag is the flag by which commands name a running server.
func stateFlag(f *pflag.FlagSet, state *string) {
	f.StringVar(state, "state", "", "folder of the lockstep serve or lab that is meant (default the newest that runs)")
}

// announce says that clients are served.
func announce(out io.Writer, i serve.Info, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(i)
	}
	rows := []table.Row{{"HTTPS", "https://" + i.HTTPS + " as " + i.IssuerHost + " and other names"}}
	if i.Proxy != "" {
		rows = append(rows, table.Row{"proxy", "http://" + i.Proxy + " leads the cloud's names here"})
	}
	if i.BehindProxy != "" {
		rows = append(rows, table.Row{"behind proxy", "http://" + i.BehindProxy + " for a proxy that ends TLS"})
	}
	rows = append(rows, table.Row{"CA file", i.CA})
	for _, t := range i.Tenants {
		rows = append(rows, table.Row{"tenant", t.Domain + "  " + t.ID})
	}
	rows = append(rows, table.Row{"users", strings.Join(i.Users, " ")}, table.Row{"operator", "lockstep tenant --state " + i.State})
	showTable(out, "Lockstep serves", nil, rows)
	_, err := fmt.Fprintf(out, "Point the clients of a shell here:\n\n  eval \"$(lockstep trust --shell --state %s)\"\n\nMore ways, client by client: lockstep trust. To end: Ctrl-C.\n", trust.Quote(i.State))
	return err
}

// openBrowser shows a page; a machine without a browser is no error.
func openBrowser(ctx context.Context, notes io.Writer, program, url string) {
	cmd := exec.CommandContext(ctx, program, url) //nolint:gosec // the program that the person at the keyboard named
	if err := cmd.Start(); err != nil {
		_, _ = fmt.Fprintf(notes, "lockstep: %s could not be opened: %v\n", url, err)
		return
	}
	go func() { _ = cmd.Wait() }()
}
