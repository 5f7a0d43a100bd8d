package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/describe"
)

func describeCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "describe TOKEN|-", Args: cobra.ExactArgs(1),
		Short: "Show what is in a token, a PRT cookie or a signed request, without its secrets",
		Long: `Show header and claims of a token, a PRT cookie, a signed request or an encrypted answer.
Signatures, keys, passwords, refresh tokens and tokens inside are left out. Nothing is
verified and nothing is sent anywhere. With - the token is read from standard input,
where no other user of the machine can see it among the processes.`,
		Example: "  pbpaste | lockstep describe -\n  lockstep describe eyJhbGciOi...",
		RunE: func(cmd *cobra.Command, args []string) error {
			text := args[0]
			if text == "-" {
				raw, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), describe.MaxInput+1))
				if err != nil {
					return fmt.Errorf("standard input: %w", err)
				}
				text = string(raw)
			}
			t, err := describe.Read(text)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(t)
			}
			return describe.Write(cmd.OutOrStdout(), t)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object: kind, header, claims, parts, verified")
	return cmd
}
