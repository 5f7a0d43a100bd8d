package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asProgram makes the test binary the program itself, so that tests run it as a
// process of its own without building it again.
const asProgram = "SOFTTPM_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	code := m.Run()
	if verdict != "" {
		fmt.Println(verdict)
	}
	os.Exit(code)
}

// verdict is the last line of a run that make tpm-tools asked for.
var verdict string

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// program is the program with arguments.
func program(ctx context.Context, t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	ok(t, err)
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// run runs the program to its end.
func run(t testing.TB, args ...string) (out string, err error) {
	t.Helper()
	cmd := program(t.Context(), t, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", errors.New(strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// server is softtpm serve as a process.
type server struct {
	ready
	cmd   *exec.Cmd
	ended chan error
}

// serving starts softtpm serve and waits until it serves; it ends with the test.
func serving(t testing.TB, args ...string) *server {
	t.Helper()
	cmd := program(context.Background(), t, append([]string{"serve", "--json"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	ok(t, err)
	ok(t, cmd.Start())
	s := &server{cmd: cmd, ended: make(chan error, 1)}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	go func() { s.ended <- cmd.Wait() }()
	if err == nil {
		err = json.Unmarshal(line, &s.ready)
	}
	if err != nil {
		t.Fatalf("softtpm %v: %v, %q", args, err, line)
	}
	t.Cleanup(func() {
		if err := s.end(t); err != nil {
			t.Errorf("softtpm serve: %v", err)
		}
	})
	return s
}

// end interrupts the server, if it still runs, and gives how it ended.
func (s *server) end(t testing.TB) error {
	t.Helper()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-s.ended:
		s.ended <- err
		return err
	case <-time.After(30 * time.Second):
		_ = s.cmd.Process.Kill()
		t.Fatal("softtpm serve does not end")
		return nil
	}
}
