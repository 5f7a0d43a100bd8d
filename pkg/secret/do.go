//go:build !goexperiment.runtimesecret

package secret

// Erases reports whether Do erases anything in this build.
const Erases = false

// Do calls f. Built with GOEXPERIMENT=runtimesecret it also erases what f left
// behind; this build does not have that, and f alone wipes what it holds.
func Do(f func()) { f() }
