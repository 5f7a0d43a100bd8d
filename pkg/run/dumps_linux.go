package run

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// dumpableEnv keeps the memory of a laboratory's processes readable for programs of the
// same user, such as tests that search it.
const dumpableEnv = "LOCKSTEP_LAB_DUMPABLE"

// NoDumps keeps the memory of this process out of core dumps, and away from debuggers
// of the same user: a process that holds a password for a moment would leave it in a
// file for years. It belongs after ForgetFreed, because a new program is dumpable again.
func NoDumps(lab bool) error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("core dumps: %w", err)
	}
	if lab && os.Getenv(dumpableEnv) == "on" {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("core dumps: %w", err)
	}
	return nil
}
