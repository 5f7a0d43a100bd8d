package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/go-tpm/tpm2"
	"github.com/spf13/cobra"

	"github.com/lockstep-sso/lockstep/pkg/obs"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
	"github.com/lockstep-sso/lockstep/pkg/tpmca"
	"github.com/lockstep-sso/lockstep/pkg/tpmsocket"
)

// serveFlags are what serve is told.
type serveFlags struct {
	state, listen, framing, ca, log string
	rsa, asJSON                     bool
}

// ready is what serve says once clients can connect.
type ready struct {
	What     string `json:"what"`
	State    string `json:"state"` // empty: thrown away at the end
	Framing  string `json:"framing"`
	Commands string `json:"commands"`
	Control  string `json:"control"`
	TCTI     string `json:"tcti"` // for TPM2TOOLS_TCTI
	Started  bool   `json:"started"`
	PID      int    `json:"pid"`
}

func serveCommand() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve a TPM at a socket until interrupted, or until a client stops it",
		Long: `Serve a TPM at a socket until interrupted, or until a client stops it. The second
channel, for power, is at the next port, or at PATH.ctrl. There is no authentication:
a Unix socket takes clients of your own user, and TCP is for loopback addresses alone.

Without --state everything is thrown away at the end. With --ca the TPM is started and
has an endorsement certificate, and its platform hierarchy is closed until its power is
cycled; without, it is as it comes from power on, and a client has to start it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), f)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.state, "state", "", "state file (default none: a new TPM that is thrown away)")
	fl.StringVar(&f.listen, "listen", "tcp:127.0.0.1:2321", "unix:PATH or tcp:HOST:PORT of a loopback address; port 0 is a free one")
	fl.StringVar(&f.framing, "framing", "swtpm", "how commands lie on the stream: swtpm or mssim")
	fl.StringVar(&f.ca, "ca", "", "folder of the authority that certifies the TPM, made when missing (default none)")
	fl.BoolVar(&f.rsa, "rsa", false, "certify an RSA endorsement key too (with --ca)")
	fl.BoolVar(&f.asJSON, "json", false, "print the ready message as one line of JSON")
	fl.StringVar(&f.log, "log", "warn", "log level: debug, info, warn, error or off")
	return cmd
}

func serve(ctx context.Context, out, logs io.Writer, f serveFlags) (err error) {
	log, err := obs.Logger(logs, f.log, "softtpm")
	if err != nil {
		return err
	}
	framing, err := tpmsocket.ParseFraming(f.framing)
	if err != nil {
		return err
	}
	tpm, err := openTPM(f.state)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shut(tpm)) }()
	if f.ca != "" {
		if _, err := manufacture(ctx, tpm, f.ca, f.rsa); err != nil {
			return err
		}
	}
	commands, control, err := listen(f.listen)
	if err != nil {
		return err
	}
	s, err := tpmsocket.New(tpmsocket.Config{TPM: tpm, Power: tpm, Framing: framing, Log: log})
	if err != nil {
		return errors.Join(err, commands.Close(), control.Close())
	}
	r := ready{
		What: notice, State: f.state, Framing: f.framing, Commands: address(commands), Control: address(control),
		TCTI: tcti(f.framing, commands), Started: f.ca != "", PID: os.Getpid(),
	}
	if err := announce(out, r, f.asJSON); err != nil {
		return errors.Join(err, commands.Close(), control.Close())
	}
	if err := s.Serve(ctx, commands, control); !errors.Is(err, tpmsocket.ErrStopped) {
		return err
	}
	log.Info("stopped by a client")
	return nil
}

// openTPM opens the TPM of a state file, or makes one that lasts as long as the
// process.
// openTPM makes the folder of the state file, for the user alone: an empty volume of a
// container has none.
func openTPM(state string) (*softtpm.TPM, error) {
	if state == "" {
		return softtpm.New(softtpm.Config{})
	}
	if err := os.MkdirAll(filepath.Dir(state), 0o700); err != nil {
		return nil, fmt.Errorf("folder of the state file: %w", err)
	}
	return softtpm.OpenFile(state, softtpm.Config{})
}

// shut is the orderly end of a TPM. One that was never started, or that was
// stopped, refuses the shutdown, and there is nothing to save then.
func shut(tpm *softtpm.TPM) error {
	_, err := tpm2.Shutdown{ShutdownType: tpm2.TPMSUClear}.Execute(tpm)
	var rc tpm2.TPMRC
	if errors.As(err, &rc) && !errors.Is(err, tpm2.TPMRCNVUnavailable) {
		err = nil
	}
	return errors.Join(err, tpm.Close())
}

// manufacture starts a TPM and does what its maker does.
func manufacture(ctx context.Context, tpm *softtpm.TPM, dir string, rsa bool) ([][]byte, error) {
	ca, err := tpmca.Open(dir)
	if err != nil {
		return nil, err
	}
	if _, err := (tpm2.Startup{StartupType: tpm2.TPMSUClear}).Execute(tpm); err != nil {
		return nil, fmt.Errorf("start the TPM: %w", err)
	}
	kinds := []tpmca.EK{tpmca.P256}
	if rsa {
		kinds = append(kinds, tpmca.RSA2048)
	}
	return tpmca.Manufacture(ctx, tpm, ca, kinds...)
}

// announce says that clients can connect, and to what.
func announce(out io.Writer, r ready, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	state := r.State
	if state == "" {
		state = "none, thrown away at the end"
	}
	_, err := fmt.Fprintf(out, `This is %s.

commands  %s (%s framing)
power     %s
state     %s

export TPM2TOOLS_TCTI=%s
`, r.What, r.Commands, r.Framing, r.Control, state, r.TCTI)
	return err
}
