package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/briandowns/spinner"
	"github.com/spf13/cobra"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/demo"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

func demoCommand() *cobra.Command {
	var (
		cfg     lab.Config
		asJSON  bool
		hops    bool
		tenants string
		faults  []string
	)
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the four documented flows and show every step",
		Long: `Run the four documented flows on one device and show every step: first sign-in
(A-F), app token (A, C-E without and A, B, E with a refresh token), browser SSO
(A-F) and renewal (A-G). Exits non-zero when a step is missing, failed or came
out of order.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			cfg.Tenants = tenants
			if cfg.Faults, err = faultsOf(faults); err != nil {
				return err
			}
			if cfg.Processes {
				self, err := os.Executable()
				if err != nil {
					return fmt.Errorf("path of this program: %w", err)
				}
				cfg.Self = []string{self, "component"}
			}
			l, err := lab.Start(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, l.Close()) }()
			stop := progress(cmd.ErrOrStderr())
			defer func() { err = errors.Join(err, tellStruck(cmd, l)) }()
			defer stop("")
			return demo.New(demo.Config{Lab: l, Out: cmd.OutOrStdout(), JSON: asJSON, Hops: hops, Progress: stop}).Run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.BoolVar(&asJSON, "json", false, "print one JSON object a step: flow, step, from, to, what, ms")
	f.BoolVar(&hops, "hops", false, "also show the calls between components that have no letter")
	f.BoolVar(&cfg.Processes, "processes", false, "run every component as a process of its own, over unix sockets")
	f.StringVar(&cfg.OTLP, "otlp", "", "export the traces to this OTLP/gRPC receiver, HOST:PORT")
	f.StringVar(&cfg.SoftwareKeys, "software-keys", "", "when the TPM cannot be used: allow or refuse keys in software; only ignores the TPM")
	f.StringVar(&cfg.TPM, "tpm", "", "TPM of the device: mem:, soft:PATH, swtpm:DIR, unix:PATH, tcp:HOST:PORT or device:/dev/tpmrm0 (default a soft TPM in a file)")
	f.BoolVar(&cfg.NativeSessionKeys, "native-session-keys", false, "have session keys wrapped for the TPM, which derives from them inside, in place of Entra's form")
	f.StringArrayVar(&faults, "fault", nil, "break calls of a component, 'COMPONENT: RULES' such as 'tpm-agent: (delay 200ms)'; repeat")
	f.Uint64Var(&cfg.FaultSeed, "fault-seed", 0, "seed of what the rules leave to chance, to have a failure again (default one of its own)")
	f.StringVar(&cfg.LogLevel, "log", "", "print the components' logs of this level on standard error: debug, info, warn, error")
	return cmd
}

// progress shows what takes long on a terminal; elsewhere it prints one line for
// each thing, so that a log shows it too.
func progress(w io.Writer) func(string) {
	file, _ := w.(*os.File)
	if file == nil || !isTerminal(file) {
		return func(what string) {
			if what != "" {
				_, _ = fmt.Fprintf(w, "%s ...\n", what)
			}
		}
	}
	s := spinner.New(spinner.CharSets[11], 100*time.Millisecond, spinner.WithWriterFile(file))
	return func(what string) {
		s.Stop()
		if what != "" {
			s.Suffix = " " + what
			s.Start()
		}
	}
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
