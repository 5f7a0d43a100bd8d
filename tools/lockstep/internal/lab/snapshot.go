package lab

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Snapshot copies everything that the device keeps to a folder: a backup, or what a
// thief has who copied the disk. With a soft TPM in a file the TPM is in it. The device
// is stopped for that and goes on.
func (d *Device) Snapshot(ctx context.Context, to string) error {
	return d.stopped(ctx, func(component string) error {
		from := d.StateDir(component)
		if _, err := os.Stat(from); errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return copied(from, filepath.Join(to, component))
	})
}

// PutBack puts a snapshot in the place of everything that the device keeps.
func (d *Device) PutBack(ctx context.Context, from string) error {
	return d.stopped(ctx, func(component string) error {
		saved := filepath.Join(from, component)
		if err := os.RemoveAll(d.StateDir(component)); err != nil {
			return err
		}
		if _, err := os.Stat(saved); errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return copied(saved, d.StateDir(component))
	})
}

// stopped does something for each component while none runs.
func (d *Device) stopped(ctx context.Context, do func(component string) error) error {
	all := d.components()
	for _, s := range all {
		if err := d.Stop(s.name); err != nil {
			return err
		}
	}
	var failed error
	for _, s := range all {
		failed = errors.Join(failed, do(s.name))
	}
	for _, s := range all {
		failed = errors.Join(failed, d.Resume(ctx, s.name))
	}
	return failed
}

// copied copies a folder with everything in it, for the owner alone as it was.
func copied(from, to string) error {
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch into := filepath.Join(to, rel); {
		case e.IsDir():
			return os.MkdirAll(into, 0o700)
		case !e.Type().IsRegular():
			return nil // sockets and the like are made again
		default:
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(into, data, 0o600)
		}
	})
}
