// Package sh starts other programs: docker, kind, kubectl, make. It holds how they
// are started, ended and heard; what they are asked is for the callers to know.
// Nothing here passes through a shell, so no argument is read twice.
package sh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// grace is how long a program has between the request to end and the order.
const grace = 5 * time.Second

// Config says where programs run.
type Config struct {
	// Dir is their working directory; empty is this process's own.
	Dir string
	// Prefix is put before the programs that Prefixed names, as "nsenter --net=/run/netns/x"
	// where the cluster's addresses exist in another network namespace alone.
	Prefix []string
	// Prefixed are the programs that get it.
	Prefixed []string
	// Env is added to this process's environment, as NAME=VALUE.
	Env []string
}

// Shell starts programs.
type Shell struct{ cfg Config }

// New makes a Shell.
func New(cfg Config) *Shell { return &Shell{cfg: cfg} }

// Job is one program with its arguments.
type Job struct {
	// Name of the program, or its path, and its arguments.
	Name string
	Args []string
	// In is what it reads from standard input; nil is nothing.
	In io.Reader
	// Out gets its standard output, Err its standard error too; nil drops it.
	Out, Err io.Writer
}

// Failure is a program that ended badly.
type Failure struct {
	// Line is the program with its arguments, as somebody would type it.
	Line string
	// Code is its exit code; -1 when it did not start or was ended by a signal.
	Code int
	// Said is the end of what it wrote to standard error, at most 4 KiB.
	Said string
	// Cause is the error below.
	Cause error
}

// Error has the line, the cause and what was said.
func (f *Failure) Error() string {
	if f.Said == "" {
		return fmt.Sprintf("%s: %v", f.Line, f.Cause)
	}
	return fmt.Sprintf("%s: %v: %s", f.Line, f.Cause, f.Said)
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Cause }

// Run runs a program to its end, or until ctx ends. The error is a *Failure.
func (s *Shell) Run(ctx context.Context, j Job) error {
	argv := append([]string{j.Name}, j.Args...)
	if slices.Contains(s.cfg.Prefixed, j.Name) {
		argv = append(slices.Clone(s.cfg.Prefix), argv...)
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // G204: the program's purpose is to start these, and their arguments pass through no shell
	cmd.Dir = s.cfg.Dir
	cmd.Env = append(os.Environ(), s.cfg.Env...)
	cmd.Stdin, cmd.Stdout = j.In, j.Out
	said := &tail{limit: 4 << 10}
	cmd.Stderr = said
	if j.Err != nil {
		cmd.Stderr = io.MultiWriter(said, j.Err)
	}
	// kubectl and kind put things in order when they are interrupted, not when they are killed.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = grace
	err := cmd.Run()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("%w (%w)", context.Cause(ctx), err)
	}
	return &Failure{Line: strings.Join(argv, " "), Code: cmd.ProcessState.ExitCode(), Said: said.String(), Cause: err}
}

// Output runs a program and returns its standard output.
func (s *Shell) Output(ctx context.Context, name string, args ...string) ([]byte, error) {
	var out bytes.Buffer
	err := s.Run(ctx, Job{Name: name, Args: args, Out: &out})
	return out.Bytes(), err
}

// Feed runs a program with the bytes on standard input and returns its standard output.
func (s *Shell) Feed(ctx context.Context, in []byte, name string, args ...string) ([]byte, error) {
	var out bytes.Buffer
	err := s.Run(ctx, Job{Name: name, Args: args, In: bytes.NewReader(in), Out: &out})
	return out.Bytes(), err
}

// Start starts a program that runs beside the caller, and returns how to end it.
// Its end by itself closes done.
func (s *Shell) Start(ctx context.Context, j Job) (stop func(), done <-chan error) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, j); close(ended) }()
	return cancel, ended
}

// Said returns what a failed program wrote to standard error, or the error's own text.
func Said(err error) string {
	if f := (*Failure)(nil); errors.As(err, &f) && f.Said != "" {
		return f.Said
	}
	return err.Error()
}

// tail keeps the end of what is written to it.
type tail struct {
	limit int
	kept  []byte
}

// Write keeps the last bytes.
func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - t.limit; over > 0 {
		t.kept = append([]byte("..."), t.kept[over:]...)
	}
	return len(p), nil
}

// String is what was kept, without white space at its ends.
func (t *tail) String() string { return strings.TrimSpace(string(t.kept)) }
