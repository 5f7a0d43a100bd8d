// Command browsercore is the browser's native client host as a program of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/lockstep-sso/lockstep/pkg/run"
	"github.com/lockstep-sso/lockstep/services/browsercore"
)

func main() {
	if err := run.ForgetFreed(); err != nil {
		fail(err)
	}
	p := browsercore.Program{In: os.Stdin, Out: os.Stdout}
	fs := pflag.NewFlagSet("browsercore", pflag.ContinueOnError)
	p.Bind(fs)
	if err := fs.Parse(os.Args[1:]); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return
		}
		fail(err)
	}
	// A browser gives its native host the origin of the extension as an argument, which
	// says nothing here.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := p.Run(ctx)
	stop()
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	_, _ = fmt.Fprintf(os.Stderr, "browsercore: %v\n", err)
	os.Exit(1)
}
