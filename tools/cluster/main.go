// Command cluster runs Lockstep in a Kubernetes cluster of kind: it makes the cluster,
// brings the images in, deploys, plays the flows, breaks components and judges the
// whole. The targets of the Makefile that begin with kind-, and cluster-test, are its
// commands.
//
// What never may live here: a manifest, or a rule about one; those are deploy/ and
// tools/manifests.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/lockstep-sso/lockstep/tools/cluster/internal/need"
	"github.com/lockstep-sso/lockstep/tools/cluster/internal/settings"
)

// exitCode is an error that has a code of its own and was told already.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := root().ExecuteContext(ctx)
	stop()
	var code exitCode
	switch {
	case err == nil:
	case errors.As(err, &code):
		os.Exit(int(code))
	default:
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "Run Lockstep in a Kubernetes cluster of kind, and judge it there",
		Long: `Run Lockstep in a Kubernetes cluster of kind, and judge it there.

The environment says which cluster: KIND_CLUSTER its name (lockstep), KIND_CONFIG its
file (deploy/kind/cluster.yaml), KIND_NODE_IMAGE the image of its nodes (the file's),
KIND_RUN a command before kind and kubectl, KIND_PATIENCE a factor for all time limits.`,
		SilenceUsage: true, SilenceErrors: true,
	}
	cmd.PersistentFlags().String("root", "../..", "the `folder` of the repository")
	cmd.AddCommand(upCommand(), demoCommand(), playCommand(), traceCommand(), faultCommand(), healCommand(), downCommand(), testCommand())
	return cmd
}

// command makes a command that needs programs before it begins.
func command(use, short string, programs []need.Program, run func(context.Context, *world) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := cmd.Flags().GetString("root")
			if err != nil {
				return fmt.Errorf("root: %w", err)
			}
			set, err := settings.Read(dir)
			if err != nil {
				return err
			}
			w := newWorld(set, cmd.OutOrStdout(), cmd.ErrOrStderr())
			if err := need.Check(cmd.Context(), w.shell, programs...); err != nil {
				return err
			}
			return run(cmd.Context(), w)
		},
	}
}
