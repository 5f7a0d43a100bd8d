// Command softtpm serves the emulated TPM of this repository to programs that
// expect a TPM behind a socket, and does what the maker of a TPM does.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// notice is what everybody is told who starts or looks at one.
const notice = "an emulated TPM, no hardware: its keys lie in the memory of this process and in its state file"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := root().ExecuteContext(ctx)
	stop()
	if err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "softtpm: %v\n", err)
		os.Exit(1)
	}
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "softtpm",
		Short:         "A TPM 2.0 in software: " + notice,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	cmd.AddCommand(serveCommand(), manufactureCommand(), caCommand(), infoCommand())
	return cmd
}
