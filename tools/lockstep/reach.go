package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/reach"
)

// maxTargetsFile bounds a file of targets, in bytes.
const maxTargetsFile = 64 << 10

func reachCommand() *cobra.Command {
	var file string
	var patience, after time.Duration
	cmd := &cobra.Command{
		Use:   "reach [HOST:PORT ...]",
		Short: "Say which TCP connections open from here, as JSON lines",
		Long: `Say which TCP connections open from here, one JSON object a line. Nothing is sent.
In a cluster it is the inside of make verify-netpol, which compares it with the policies.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			text := strings.Join(args, "\n")
			if file != "" {
				f, err := os.Open(file)
				if err != nil {
					return err
				}
				more, err := io.ReadAll(io.LimitReader(f, maxTargetsFile))
				if err := errors.Join(err, f.Close()); err != nil {
					return fmt.Errorf("targets: %w", err)
				}
				text += "\n" + string(more)
			}
			targets, err := reach.Targets(text)
			if err != nil {
				return err
			}
			// Who enforces policies learns of a new pod some time after it runs.
			select {
			case <-time.After(after):
			case <-cmd.Context().Done():
				return context.Cause(cmd.Context())
			}
			return reach.Write(cmd.OutOrStdout(), reach.Try(cmd.Context(), targets, patience))
		},
	}
	cmd.Flags().StringVar(&file, "targets", "", "file with more of them, one a line")
	cmd.Flags().DurationVar(&after, "after", 0, "how long to wait before the first")
	cmd.Flags().DurationVar(&patience, "timeout", 3*time.Second, "how long to wait for each")
	return cmd
}
