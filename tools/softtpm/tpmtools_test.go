package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport/linuxudstpm"
	"github.com/lockstep-sso/lockstep/pkg/tpmca"
)

// judged is the variable by which make tpm-tools says that the judge has to
// run. Without it the test is skipped; with it what is missing fails.
const judged = "SOFTTPM_TPM2_TOOLS"

// TestTPM2Tools lets tpm2-tools, which nobody here wrote, use the TPM over both
// framings. Each script in testdata/tpm2-tools is one case; the scripts run in
// order and one leaves files to the next. swtpm is the control: a case that
// fails there is a wrong case.
func TestTPM2Tools(t *testing.T) {
	if os.Getenv(judged) == "" {
		t.Skip("this takes two minutes: run `make tpm-tools`")
	}
	for _, p := range []string{"bash", "openssl", "swtpm", "tpm2_startup", "xxd"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Fatalf("%s is not installed (Debian: tpm2-tools, swtpm, openssl, xxd)", p)
		}
	}
	scripts, err := filepath.Glob("testdata/tpm2-tools/*.sh")
	ok(t, err)
	slices.Sort(scripts)
	if len(scripts) == 0 {
		t.Fatal("there are no cases")
	}
	passed, failed := 0, 0
	for i, target := range []string{"swtpm", "mssim", "control"} {
		t.Run(target, func(t *testing.T) {
			dir, ca := t.TempDir(), t.TempDir()
			tcti := ""
			if target == "control" {
				tcti = control(t, ca)
			} else {
				tcti = serving(t, "--framing", target, "--listen", "tcp:127.0.0.1:0", "--ca", ca).TCTI
			}
			root := filepath.Join(dir, "root.pem")
			authority, err := tpmca.Open(ca)
			ok(t, err)
			ok(t, os.WriteFile(root, authority.RootPEM(), 0o600))
			for _, script := range scripts {
				name := strings.TrimSuffix(filepath.Base(script), ".sh")
				good := t.Run(name, func(t *testing.T) { judge(t, script, dir, "TPM2TOOLS_TCTI="+tcti, "ROOT="+root) })
				if good {
					passed++
				} else {
					failed++
				}
			}
		})
		failed += (i+1)*len(scripts) - passed - failed // cases that had no TPM to run on
	}
	t.Logf("%d passed, %d failed", passed, failed)
	verdict = fmt.Sprintf("%d passed, %d failed", passed, failed)
}

// prelude makes a script strict. Tools leave the objects they load, as they may
// where a resource manager is; here is none, so each is followed by a flush.
const prelude = `set -eu -o pipefail
has() { grep "$@" > /dev/null; }
refused() { if "$@"; then echo "not refused: $*" >&2; exit 1; fi; }
for tool in $(compgen -c tpm2_ | sort -u); do
	eval "$tool() { local rc=0; command $tool \"\$@\" || rc=\$?; command tpm2_flushcontext -t 2> /dev/null || true; return \$rc; }"
done
trap 'echo "line $((LINENO)): $BASH_COMMAND" >&2' ERR
set -E
`

// judge runs one script. A line that fails ends it, and the output says which;
// "! command" has to fail, which the shell alone would not see to.
func judge(t *testing.T, script, dir string, env ...string) {
	t.Helper()
	b, err := os.ReadFile(script)
	ok(t, err)
	lines := strings.Split(string(b), "\n")
	for i, l := range lines {
		if rest, found := strings.CutPrefix(strings.TrimSpace(l), "! "); found {
			lines[i] = "refused " + rest
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", prelude+strings.Join(lines, "\n"))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, tail(string(out), 12))
	}
}

// tail is the last lines of a text.
func tail(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// control serves a swtpm that was manufactured by the authority in ca.
func control(t *testing.T, ca string) string {
	t.Helper()
	dir := t.TempDir()
	commands := filepath.Join(dir, "s")
	cmd := exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+dir, "--server", "type=unixio,path="+commands,
		"--ctrl", "type=unixio,path="+commands+".ctrl", "--flags", "not-need-init,startup-clear")
	cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
	ok(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("unix", commands)
		if err == nil {
			_ = c.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	authority, err := tpmca.Open(ca)
	ok(t, err)
	tpm, err := linuxudstpm.Open(commands)
	ok(t, err)
	defer func() { _ = tpm.Close() }()
	_, err = tpm2.GetRandom{BytesRequested: 1}.Execute(tpm)
	ok(t, err)
	_, err = tpmca.Manufacture(t.Context(), tpm, authority)
	ok(t, err)
	return "swtpm:path=" + commands
}
