package main

import (
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lockstep-sso/lockstep/pkg/tpmca"
)

func manufactureCommand() *cobra.Command {
	var (
		state, dir string
		rsa        bool
	)
	cmd := &cobra.Command{
		Use:   "manufacture",
		Short: "Give a TPM its endorsement certificate",
		Long: `Give the TPM of a state file its endorsement certificate, issued by the authority in a
folder; both are made when missing. What is there already stays. The certificates are
printed in PEM.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			tpm, err := openTPM(state)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, shut(tpm)) }()
			certificates, err := manufacture(cmd.Context(), tpm, dir, rsa)
			if err != nil {
				return err
			}
			for _, der := range certificates {
				if err := pem.Encode(cmd.OutOrStdout(), &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
					return err
				}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&state, "state", "", "state file")
	f.StringVar(&dir, "ca", "", "folder of the authority")
	f.BoolVar(&rsa, "rsa", false, "certify an RSA endorsement key too")
	must(cmd, "state", "ca")
	return cmd
}

func caCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "ca",
		Short: "Print the root certificate that relying parties trust, making it when missing",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ca, err := tpmca.Open(dir)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "# %s\n%s", ca.Root().Subject, ca.RootPEM())
			return err
		},
	}
	cmd.Flags().StringVar(&dir, "ca", "", "folder of the authority")
	must(cmd, "ca")
	return cmd
}

// must makes flags required; cobra fails only for a flag that there is not.
func must(cmd *cobra.Command, flags ...string) {
	for _, f := range flags {
		if err := cmd.MarkFlagRequired(f); err != nil {
			panic(err)
		}
	}
}
