//go:build goexperiment.runtimesecret

package secret

import (
	"runtime"
	"runtime/secret"
)

// Erases reports whether Do erases anything in this build.
const Erases = runtime.GOOS == "linux" && (runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64")

// Do calls f and erases the registers and the stack that f used, and its heap
// allocations once nothing points to them and the garbage collector has seen it.
// What should outlive f is copied into memory that was allocated outside. Not
// erased: what other goroutines allocate meanwhile, and global variables.
func Do(f func()) { secret.Do(f) }
