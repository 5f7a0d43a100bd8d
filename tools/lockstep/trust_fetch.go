package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/published"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
)

// fetchFlags are what trust fetch is told.
type fetchFlags struct {
	identity, from, certificate, out string
	within                           time.Duration
}

func trustFetchCommand() *cobra.Command {
	var f fetchFlags
	cmd := &cobra.Command{
		Use:   "fetch",
		Short: "Fetch a certificate that a component publishes, over mutual TLS",
		Long: `Fetch a certificate that a component publishes, over mutual TLS, and write it to a
file: the init container of whoever has to trust it and shares no file with it.

  lockstep trust fetch --identity id/idp --from adfs=tcp:sts:9443 --certificate token-signing --out adatum.pem`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return trustFetch(cmd.Context(), f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.identity, "identity", "", "folder with cert.pem, key.pem and ca.pem")
	fl.StringVar(&f.from, "from", "", "component that publishes it, NAME=ADDRESS")
	fl.StringVar(&f.certificate, "certificate", "", published.HTTPSAuthority+" or "+published.TokenSigning)
	fl.StringVar(&f.out, "out", "", "file to write")
	fl.DurationVar(&f.within, "within", time.Minute, "how long to wait for the component")
	for _, name := range []string{"identity", "from", "certificate", "out"} {
		_ = cmd.MarkFlagRequired(name) // fails for a name that is no flag alone
	}
	return cmd
}

func trustFetch(ctx context.Context, f fetchFlags) (err error) {
	server, addr, ok := strings.Cut(f.from, "=")
	if !ok || server == "" || addr == "" {
		return fmt.Errorf("--from %q is not NAME=ADDRESS", f.from)
	}
	id, err := rpc.LoadIdentity(f.identity)
	if err != nil {
		return err
	}
	conn, err := rpc.Dial(rpc.DialConfig{Network: rpc.OS{}, Addr: addr, Identity: id, Server: server})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, f.within)
	defer cancel()
	text, err := published.Fetch(ctx, conn, f.certificate)
	if err != nil {
		return fmt.Errorf("fetch %s of %s: %w", f.certificate, server, err)
	}
	return durable.WriteFile(f.out, text, nil)
}
