package run

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// overwrite is what tells Go's collector to overwrite every block that it frees
// (package runtime, GODEBUG).
const overwrite = "clobberfree=1"

// ForgetFreed makes this process one whose memory forgets: the collector overwrites
// what it frees, so that a session key does not stay readable where a library made a
// copy of it and let go. Only the environment of a new process can say so, so the
// first call starts the program again in its place, with the same arguments and the
// same process id; it belongs before anything else. Where the system has no such
// start, nothing happens.
func ForgetFreed() error {
	settings := slices.DeleteFunc(strings.Split(os.Getenv("GODEBUG"), ","), func(s string) bool { return s == "" })
	if slices.Contains(settings, overwrite) {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start again with a memory that forgets: %w", err)
	}
	env := slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "GODEBUG=") })
	return again(self, append(env, "GODEBUG="+strings.Join(append(settings, overwrite), ",")))
}
