//go:build unix

package run_test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/run"
)

// TestForgetFreed starts this program as one that forgets: it is the same process
// afterwards, keeps what else GODEBUG says, and starts again only once.
func TestForgetFreed(t *testing.T) {
	if os.Getenv("LOCKSTEP_TEST_FORGET") != "" {
		if err := run.ForgetFreed(); err != nil {
			t.Fatal(err)
		}
		fmt.Printf("pid=%d GODEBUG=%s\n", os.Getpid(), os.Getenv("GODEBUG"))
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestForgetFreed$")
	cmd.Env = append(os.Environ(), "LOCKSTEP_TEST_FORGET=1", "GODEBUG=gctrace=0")
	var out strings.Builder
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		t.Fatal(err, out.String())
	}
	want := "pid=" + strconv.Itoa(cmd.Process.Pid) + " GODEBUG=gctrace=0,clobberfree=1\n"
	if !strings.Contains(out.String(), want) {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
}
