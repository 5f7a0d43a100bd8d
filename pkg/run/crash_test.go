//go:build unix

package run

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestCrashPoint is a process that reaches its points, and dies at the one that is
// armed, the second time.
func TestCrashPoint(t *testing.T) {
	if os.Getenv("LOCKSTEP_TEST_CRASH") != "" {
		points, err := crashPoints(map[string]string{crashSetting: "here#2"}, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{"elsewhere", "here", "elsewhere"} {
			points.Reached(p)
		}
		_, _ = os.Stdout.WriteString("alive\n")
		points.Reached("here")
		_, _ = os.Stdout.WriteString("still alive\n")
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCrashPoint$")
	cmd.Env = append(os.Environ(), "LOCKSTEP_TEST_CRASH=1")
	out, err := cmd.CombinedOutput()
	var ended *exec.ExitError
	if !errors.As(err, &ended) || ended.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL || string(out) != "alive\n" {
		t.Errorf("%v, %q", err, out)
	}
}

func TestT11_CrashPointsAreForALaboratory(t *testing.T) {
	if p, err := crashPoints(nil, false); p != nil || err != nil {
		t.Errorf("nothing armed: %v", err)
	}
	if _, err := crashPoints(map[string]string{crashSetting: "here"}, false); err == nil || !strings.Contains(err.Error(), "--lab") {
		t.Errorf("outside a laboratory: %v", err)
	}
	for _, bad := range []string{"here#", "here#0", "here#-1", "here#x"} {
		if _, err := crashPoints(map[string]string{crashSetting: bad}, true); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
