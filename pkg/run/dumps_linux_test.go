package run_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lockstep-sso/lockstep/pkg/run"
)

// TestOBS11_NoCoreDump aborts a process with a secret in its memory. Without NoDumps the
// core that it leaves has the secret in it, which shows that this machine would keep one.
func TestOBS11_NoCoreDump(t *testing.T) {
	if mode := os.Getenv("LOCKSTEP_TEST_DUMP"); mode != "" {
		abort(mode == "off")
		return
	}
	if pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern"); err != nil || bytes.ContainsAny(pattern, "|/") {
		t.Skipf("cores of this machine do not go to the working folder: core_pattern is %q, %v", pattern, err)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &limit); err != nil || limit.Max < 64<<20 {
		t.Skipf("cores of 64 MiB are needed, and the hard limit is %d: %v", limit.Max, err)
	}
	if left := dump(t, "on"); !holds(t, left, plainSecret()) {
		t.Fatalf("the process that is not protected left no core with its secret: %v", left)
	}
	if left := dump(t, "off"); len(left) > 0 {
		t.Errorf("the protected process left %v", left)
	}
}

// plainSecret is put together when it is needed, so that the program itself does not
// hold it.
func plainSecret() string { return strings.Join([]string{"canary", "in", "the", "core"}, "-") }

// abort is the process: it says what it can of itself, and dies.
func abort(protected bool) {
	kept := plainSecret()
	if protected {
		if err := run.NoDumps(false); err != nil {
			fmt.Println(err)
			return
		}
	}
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	fmt.Println("dumpable", dumpable, err)
	_ = syscall.Kill(os.Getpid(), syscall.SIGABRT)
	time.Sleep(time.Minute) // it is over long before
	runtime.KeepAlive(&kept)
}

// dump runs the process in a folder of its own and returns what it left there.
func dump(t *testing.T, mode string) []string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", `ulimit -c unlimited 2>/dev/null || ulimit -c $(ulimit -H -c); exec "$0" -test.run=^TestOBS11_NoCoreDump$`, os.Args[0])
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LOCKSTEP_TEST_DUMP="+mode, "GOTRACEBACK=crash")
	out, err := cmd.CombinedOutput()
	var ended *exec.ExitError
	if !errors.As(err, &ended) || ended.Sys().(syscall.WaitStatus).Signal() != syscall.SIGABRT {
		t.Fatalf("the process did not abort: %v\n%s", err, out)
	}
	if want := map[string]string{"on": "dumpable 1 <nil>", "off": "dumpable 0 <nil>"}[mode]; !strings.Contains(string(out), want) {
		t.Errorf("the process is %q, want %q", out, want)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return left
}

func holds(t *testing.T, files []string, text string) bool {
	t.Helper()
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(raw, []byte(text)) {
			return true
		}
	}
	return false
}
