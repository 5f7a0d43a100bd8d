package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/door"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/labserver"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/trust"
)

func labCommand() *cobra.Command {
	var (
		cfg    labserver.Config
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "lab",
		Short: "Run a laboratory with devices that stays: cloud, devices, a clock to move",
		Long: `Run a laboratory until interrupted: the cloud and some devices, each with a TPM, and a
clock that can be moved. Persons, apps and administrators act in it by commands:

  lockstep play 'join user=alice'
  lockstep play 'sign-in user=alice'
  lockstep clock advance 4h
  lockstep trace last --diagram

Without --dir everything is thrown away at the end. With it devices, keys, PRTs, the
tenants and the time go on at the next start; only logon sessions end, as they do when
a computer is switched off.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if cmd.Flags().Changed("devices") && cfg.Devices < 1 {
				return fmt.Errorf("a laboratory has 1 to %d devices, not %d", labserver.MaxDevices, cfg.Devices)
			}
			cfg.Lab.Log = cmd.ErrOrStderr()
			cfg.Progress = progress(cmd.ErrOrStderr())
			s, err := labserver.Start(cmd.Context(), cfg)
			cfg.Progress("")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			if err := announceLab(cmd.OutOrStdout(), s.Info(), s.Now(), asJSON); err != nil {
				return err
			}
			select {
			case <-cmd.Context().Done():
				return nil
			case err := <-s.Failed():
				return fmt.Errorf("the door of the laboratory: %w", err)
			}
		},
	}
	f := cmd.Flags()
	f.IntVar(&cfg.Devices, "devices", 0, fmt.Sprintf("number of devices, 1 to %d (default as many as last time, or 2)", labserver.MaxDevices))
	f.StringVar(&cfg.Dir, "dir", "", "folder for everything, which stays (default one that is removed at the end)")
	f.StringVar(&cfg.Lab.Tenants, "tenants", "", "tenant file (default the built-in one)")
	f.StringVar(&cfg.Lab.TPM, "tpm", "", "TPM of the devices: mem:, soft:PATH, swtpm:DIR, ...; tcp:, unix: and device: are for one device (default a soft TPM in a file)")
	f.StringVar(&cfg.Lab.SoftwareKeys, "software-keys", "", "when the TPM cannot be used: allow or refuse keys in software; only ignores the TPM")
	f.BoolVar(&cfg.Lab.HTTPS, "https", false, "have the devices speak Entra's HTTPS protocol with the cloud")
	f.BoolVar(&cfg.Lab.NativeSessionKeys, "native-session-keys", false, "have session keys wrapped for the TPM, in place of Entra's form")
	f.BoolVar(&cfg.Lab.Domain, "domain", false, "give the devices a way to the domain of the federated organisation")
	f.StringVar(&cfg.Lab.OTLP, "otlp", "", "export the traces to this OTLP/gRPC receiver too, HOST:PORT")
	f.StringVar(&cfg.Lab.LogLevel, "log", "", "print the components' logs of this level on standard error: debug, info, warn, error")
	f.BoolVar(&asJSON, "json", false, "print the ready message as one line of JSON")
	return cmd
}

// announceLab says that the doors are open.
func announceLab(out io.Writer, i door.Info, now time.Time, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(i)
	}
	showTable(out, "The laboratory is open", nil, []table.Row{
		{"folder", i.Dir}, {"time", now.UTC().Format(time.RFC3339)}, {"devices", strings.Join(i.Names(), " ")},
	})
	flag := " --lab " + trust.Quote(i.Dir)
	_, err := fmt.Fprintf(out, "In another terminal:\n\n"+
		"  lockstep play%[1]s 'join user=alice'\n  lockstep play%[1]s 'sign-in user=alice'\n  lockstep trace%[1]s last --diagram\n"+
		"  lockstep clock%[1]s advance 4h\n  lockstep tenant --state %[2]s user list\n\n"+
		"The newest laboratory is found without its folder, too. To end: Ctrl-C.\n", flag, trust.Quote(i.Dir))
	return err
}
