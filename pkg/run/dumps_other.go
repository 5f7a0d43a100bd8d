//go:build !linux

package run

// NoDumps does nothing here: there is one call for it on Linux only.
func NoDumps(bool) error { return nil }
