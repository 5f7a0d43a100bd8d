// Command manifests judges what is in deploy/: it renders every overlay as kubectl does,
// without a cluster, and holds it to Pod Security and to rules of this repository. It
// writes the stand-in components, which differ in a name alone, and asks a running
// cluster whether its policies are enforced.
//
// What lives here: knowledge of Kubernetes' objects. What never may: anything that a
// component needs. Callers are people, `make manifests` and `make verify-netpol`.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := root().ExecuteContext(ctx)
	stop()
	if err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "manifests: %v\n", err)
		os.Exit(1)
	}
}

func root() *cobra.Command {
	var dir string
	cmd := &cobra.Command{Use: "manifests", Short: "Judge the deployment on Kubernetes", SilenceErrors: true, SilenceUsage: true}
	cmd.PersistentFlags().StringVar(&dir, "root", "../..", "folder of the repository")
	cmd.AddCommand(checkCommand(&dir), generateCommand(&dir), netpolCommand(&dir))
	return cmd
}
