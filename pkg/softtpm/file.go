package softtpm

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// maxStateFile bounds a state file: 64 persistent objects of 2 KiB and more
// than enough for the rest.
const maxStateFile = 256 << 10

// OpenFile opens the TPM whose state is in a file, or manufactures one if the
// file is not there. cfg.State must be nil; cfg.OnChange is called after the
// file was written.
//
// The file holds the seeds in the clear and is written with mode 0600, whole
// and atomically: temporary file, fsync, rename, fsync of the directory. A
// lock on PATH.lock makes sure that one process at a time uses it, because two
// would undo each other's counters. Errors name the file and what to do.
func OpenFile(path string, cfg Config) (*TPM, error) {
	if cfg.State != nil {
		return nil, errors.New("softtpm: Config.State and a state file exclude each other: leave State nil")
	}
	unlock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, fmt.Errorf("softtpm: %s is in use by another process or cannot be locked: stop the other user of this TPM: %w", path, err)
	}
	t, err := openLocked(path, cfg)
	if err != nil {
		return nil, errors.Join(err, unlock())
	}
	t.unlock = unlock
	return t, nil
}

func openLocked(path string, cfg Config) (*TPM, error) {
	state, err := readState(path)
	if err != nil {
		return nil, err
	}
	then := cfg.OnChange
	cfg.OnChange = func(state []byte) error {
		if err := writeState(path, state); err != nil {
			return err
		}
		if then != nil {
			return then(state)
		}
		return nil
	}
	cfg.State = state
	t, err := New(cfg)
	switch {
	case errors.Is(err, ErrNotState), errors.Is(err, ErrStateDamaged):
		return nil, fmt.Errorf("softtpm: state file %s: %w: restore it from a backup, or move it away to start with a new TPM (all keys of the old one are lost)", path, err)
	case errors.Is(err, ErrStateVersion):
		return nil, fmt.Errorf("softtpm: state file %s: %w: run the version that wrote it", path, err)
	case err != nil:
		return nil, err
	}
	if state == nil { // a new TPM exists from now on, not from its first change
		if err := writeState(path, t.nv.encode(t.clock())); err != nil {
			return nil, fmt.Errorf("softtpm: cannot create state file %s: make its directory writable: %w", path, err)
		}
	}
	return t, nil
}

// readState gives nil if there is no file.
func readState(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("softtpm: cannot read state file %s: check its owner and mode: %w", path, err)
	}
	defer func() { _ = f.Close() }() // read only: nothing to lose
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("softtpm: cannot read state file %s: %w", path, err)
	}
	if info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("softtpm: state file %s has mode %#o and every user can reach the keys: chmod 600 it", path, info.Mode().Perm())
	}
	b, err := io.ReadAll(io.LimitReader(f, maxStateFile+1))
	if err != nil {
		return nil, fmt.Errorf("softtpm: cannot read state file %s: %w", path, err)
	}
	if len(b) > maxStateFile {
		return nil, fmt.Errorf("softtpm: state file %s is larger than %d bytes: %w", path, maxStateFile, ErrNotState)
	}
	return append([]byte{}, b...), nil // never nil: an empty file is damage
}

// writeState replaces the file. The lock makes the fixed temporary name safe;
// one left by a crash is overwritten.
func writeState(path string, state []byte) (err error) {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(state)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	if err := os.Rename(tmp, path); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
