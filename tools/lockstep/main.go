// Command lockstep is the whole system in one binary: it runs the flows, and it
// can be any one component.
package main

import (
	"context"
	"errors"
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
	var exit exitError
	if errors.As(err, &exit) {
		os.Exit(int(exit))
	}
	if err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "lockstep: %v\n", err)
		os.Exit(1)
	}
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "lockstep",
		Short:         "The Primary Refresh Token system of Entra ID and Windows, in the open",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	cmd.AddCommand(
		demoCommand(), componentCommand(),
		labCommand(), playCommand(), faultCommand(), clockCommand(), traceCommand(), ladderCommand(),
		statusCommand(), whyCommand(), partitionsCommand(), eventsCommand(), describeCommand(), errorCommand(),
		serveCommand(), trustCommand(), reachCommand(), tenantCommand(), authenticatorCommand(), windowCommand(), whatIfCommand(), huntCommand(),
	)
	return cmd
}
