// Command browser opens an address as the user of the run would, signs in and goes
// where it is sent. With a second argument it stops before the address that begins
// with it and prints what was sent there as JSON. Clients that start a browser
// find it on their PATH as xdg-open.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/lockstep-sso/lockstep/tools/conformance/internal/browser"
	"github.com/lockstep-sso/lockstep/tools/conformance/internal/serve"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "browser:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 1 || len(args) > 2 {
		return errors.New("usage: browser URL [STOP]")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	b, err := browser.New(serve.UserFromEnv(os.Getenv))
	if err != nil {
		return err
	}
	if len(args) == 1 {
		return b.Visit(ctx, args[0])
	}
	got, err := b.Walk(ctx, args[0], args[1])
	if err != nil {
		return err
	}
	flat := map[string]string{"trail": b.Trail()}
	for k := range got {
		flat[k] = got.Get(k)
	}
	return json.NewEncoder(os.Stdout).Encode(flat)
}
