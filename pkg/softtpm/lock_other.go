//go:build !unix

package softtpm

// lockFile does nothing where the system has no advisory locks: there the
// caller must see to it that one process uses a state file.
func lockFile(string) (unlock func() error, err error) {
	return func() error { return nil }, nil
}
