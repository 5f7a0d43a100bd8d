package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/briandowns/spinner"
	"github.com/spf13/cobra"

	"github.com/lockstep-sso/lockstep/pkg/step"
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
		file    string
		flow    string
		user    string
		device  string
	)
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the four documented flows and show every step",
		Long: `Run the four documented flows on one device and show every step: first sign-in
(A-F), app token (A, C-E without and A, B, E with a refresh token), browser SSO
(A-F) and renewal (A-G). Exits non-zero when a step is missing, failed or came
out of order.

With --deployment the components run elsewhere, as in a cluster: the file says where, and
the ladders are read back from Jaeger. The device leaves its tenant first if an earlier
demo joined it, so that the demo can run again and again.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			cfg.Tenants = tenants
			if cfg.Faults, err = faultsOf(faults); err != nil {
				return err
			}
			if flow != "" && !slices.Contains(step.Flows(), step.Flow(flow)) {
				return fmt.Errorf("--flow: there is no flow %.80q: there are %v", flow, step.Flows())
			}
			if _, ok := demo.People()[user]; !ok {
				return fmt.Errorf("--user: there is no %.80q: there are %v", user, slices.Sorted(maps.Keys(demo.People())))
			}
			if user != "alice" && step.Flow(flow) != step.FirstSignIn {
				return errors.New("--user: somebody else shows --flow first_sign_in alone, for the others are about apps of alice's tenant")
			}
			if device != "" && file == "" {
				return errors.New("--device names a device of a --deployment")
			}
			if file != "" {
				if cfg.Deployment, err = lab.ReadDeployment(file); err != nil {
					return err
				}
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
			if err := ready(cmd.Context(), l, stop); err != nil {
				return err
			}
			return demo.New(demo.Config{
				Lab: l, Out: cmd.OutOrStdout(), JSON: asJSON, Hops: hops, Flow: step.Flow(flow), User: user, Device: device, Progress: stop,
			}).Run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.BoolVar(&asJSON, "json", false, "print one JSON object a step: flow, step, from, to, what, ms")
	f.BoolVar(&hops, "hops", false, "also show the calls between components that have no letter")
	f.StringVar(&flow, "flow", "", "show this flow alone: first_sign_in, app_token, browser_sso or renewal")
	f.StringVar(&user, "user", "alice", "who signs in with --flow first_sign_in, such as carol, whose organisation checks her password")
	f.StringVar(&device, "device", "", "name of a device of the deployment (default its first)")
	f.StringVar(&file, "deployment", "", "file that says where the components are, in place of components of this program's own")
	f.BoolVar(&cfg.Processes, "processes", false, "run every component as a process of its own, over unix sockets")
	f.StringVar(&cfg.OTLP, "otlp", "", "export the traces to this OTLP/gRPC receiver, HOST:PORT")
	f.StringVar(&cfg.SoftwareKeys, "software-keys", "", "when the TPM cannot be used: allow or refuse keys in software; only ignores the TPM")
	f.StringVar(&cfg.TPM, "tpm", "", "TPM of the device: mem:, soft:PATH, swtpm:DIR, unix:PATH, tcp:HOST:PORT or device:/dev/tpmrm0 (default a soft TPM in a file)")
	f.BoolVar(&cfg.NativeSessionKeys, "native-session-keys", false, "have session keys wrapped for the TPM, which derives from them inside, in place of Entra's form")
	f.StringArrayVar(&faults, "fault", nil, "break calls of a component, 'COMPONENT: RULES' such as 'tpm-agent: (delay 200ms)'; repeat")
	f.Uint64Var(&cfg.FaultSeed, "fault-seed", 0, "seed of what the rules leave to chance, to have a failure again (default one of its own)")
	f.StringVar(&cfg.LogLevel, "log", "", "print the components' logs of this level on standard error: debug, info, warn, error")
	for _, own := range []string{"processes", "tpm", "software-keys", "native-session-keys", "log", "fault", "fault-seed"} {
		cmd.MarkFlagsMutuallyExclusive("deployment", own)
	}
	return cmd
}

// readyWithin is how long the components of a deployment have to come up: a first start
// makes keys in a TPM.
const readyWithin = 5 * time.Minute

func ready(ctx context.Context, l *lab.Lab, progress func(string)) error {
	if l.Elsewhere() {
		progress("waiting for the components of the deployment")
	}
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	return l.AwaitReady(ctx, func(err error) { progress("waiting: " + err.Error()) })
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
