// Command tpmconformance runs go-tpm's own TPM tests against pkg/softtpm.
//
// It runs the tests of the go-tpm version that the product uses, prints one
// line a failure and a count, and exits with 1 when a test failed, was skipped,
// is missing from the run or is not in expected.txt.
package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	// The tests below are those of a dependency: go.mod keeps what they need
	// only if something here imports it.
	_ "github.com/google/go-cmp/cmp"
	_ "github.com/google/go-tpm/tpm2/transport/simulator"
)

const (
	tests   = "github.com/google/go-tpm/tpm2/test/..."
	module  = "github.com/google/go-tpm"
	product = "../.."
	// The tests take seconds; the rest of total is for a first build.
	limit = 100 * time.Second
	total = 10 * time.Minute
)

// expected names every test of the suite, one a line.
//
//go:embed expected.txt
var expected string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, total)
	err := run(ctx, os.Stdout)
	cancel()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "tpmconformance:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	here, err := version(ctx, ".")
	if err != nil {
		return err
	}
	there, err := version(ctx, product)
	if err != nil {
		return err
	}
	if here != there {
		return fmt.Errorf("the tests are of go-tpm %s and the product uses %s: change tools/tpmconformance/go.mod", here, there)
	}
	cmd := goCommand(ctx, ".", "test", "-json", "-count=1", "-timeout", limit.String(), tests)
	events, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start go test: %w", err)
	}
	r, err := readResults(events)
	// A failed test is in the results, so the exit status says nothing new
	// unless every test seems to have passed.
	exit := cmd.Wait()
	if err != nil {
		return err
	}
	good := r.report(out, strings.Fields(expected))
	if exit != nil && good {
		_, _ = fmt.Fprint(out, r.noise)
		return fmt.Errorf("no test failed and yet go test did: %w", exit)
	}
	if !good {
		return errors.New("softtpm is not what go-tpm's tests expect")
	}
	return nil
}

// version asks which go-tpm the module in a folder uses.
func version(ctx context.Context, folder string) (string, error) {
	b, err := goCommand(ctx, folder, "list", "-m", "-f", "{{.Version}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("cannot tell the version of go-tpm in %s: %w", folder, err)
	}
	return strings.TrimSpace(string(b)), nil
}

// goCommand runs the go tool outside the workspace of the product, and without
// a C compiler: that none is needed is part of what is shown here.
func goCommand(ctx context.Context, folder string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // every argument is a constant of this file
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	return cmd
}
