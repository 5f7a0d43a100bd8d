package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// build builds the program as the Makefile does.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cluster")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".")
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// run runs it with a PATH and returns its exit code and what it said.
func run(t *testing.T, program, path string, args ...string) (int, string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, append([]string{"--root", "../.."}, args...)...)
	cmd.Env = []string{"PATH=" + path, "HOME=" + t.TempDir()}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), said.String()
}

// Each command says what it needs, all of it at once, before it does anything.
func TestEachCommandNamesWhatIsMissing(t *testing.T) {
	program := build(t)
	const docker, kind, kubectl = "docker 20.10 or newer is needed", "kind 0.33 or newer is needed", "kubectl 1.36 or newer is needed"
	for _, c := range []struct {
		args []string
		says []string
	}{
		{[]string{"up"}, []string{docker, kind, kubectl, "go 1.26 or newer is needed", "make 3.81 or newer is needed", "docs.docker.com/engine/install", "go install sigs.k8s.io/kind@v0.33.0"}},
		{[]string{"demo"}, []string{kubectl, "kubernetes.io/docs/tasks/tools"}},
		{[]string{"play", "--commands", "state"}, []string{kubectl}},
		{[]string{"trace", "--flow", "renewal"}, []string{kubectl}},
		{[]string{"fault", "--component", "idp", "--rules", "(drop)"}, []string{kubectl}},
		{[]string{"heal", "--component", "idp"}, []string{kubectl}},
		{[]string{"down"}, []string{docker, kind}},
		{[]string{"test"}, []string{"NO CLUSTER", docker, kind, kubectl, "ETCD_BIN, APISERVER_BIN, KUBECTL_BIN", "go 1.26 or newer is needed"}},
		{[]string{"test", "--stage", "kind"}, []string{docker, kind, kubectl}},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			code, said := run(t, program, t.TempDir(), c.args...)
			if code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			for _, s := range c.says {
				if !strings.Contains(said, s) {
					t.Errorf("it does not say %q:\n%s", s, said)
				}
			}
		})
	}
}

// A program that is there and too old, or that does not answer, is as good as none.
func TestOldAndMutePrograms(t *testing.T) {
	program := build(t)
	dir := t.TempDir()
	for name, script := range map[string]string{
		"docker":  "echo 'Cannot connect to the Docker daemon' >&2; exit 1",
		"kind":    "echo 'kind v0.31.0 go1.25.0 linux/amd64'",
		"kubectl": `echo '{"clientVersion":{"gitVersion":"v1.32.4"}}'`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	code, said := run(t, program, dir, "test", "--stage", "kind")
	if code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	for _, s := range []string{"its daemon does not answer (start it, or set DOCKER_HOST): Cannot connect", "kind is 0.31, and 0.33 or newer is needed", "kubectl is 1.32, and 1.36 or newer is needed"} {
		if !strings.Contains(said, s) {
			t.Errorf("it does not say %q:\n%s", s, said)
		}
	}
}
