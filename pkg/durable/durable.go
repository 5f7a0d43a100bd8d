// Package durable keeps small files that must survive a crash at any moment:
// the new content is either wholly there or not at all.
//
// Callers are the rooms that keep state on disk (key blobs, PRT partitions,
// device state, token cache). It knows nothing of what it writes.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// MaxFile bounds what ReadFile takes, in bytes: every file kept here is small,
// and a huge one is damage or an attack.
const MaxFile = 1 << 20

// Points is told each moment between two effects at which a crash would matter.
// The zero value does nothing; a test gives a function that panics at one point
// and then looks at what is left.
type Points func(point string)

// Reached reports a point.
func (p Points) Reached(point string) {
	if p != nil {
		p(point)
	}
}

// WriteFile replaces the file at path by data, mode 0600, creating its folder
// (0700) when missing. When it returns nil, data is on disk; when it does not,
// or the process dies, the old content is.
func WriteFile(path string, data []byte, points Points) error {
	staged, err := Stage(path, data, points)
	if err != nil {
		return err
	}
	return staged.Commit()
}

// Staged is new content for a file: wholly on disk, beside the file, under a name that
// begins with a dot.
type Staged struct {
	path, temp string
	points     Points
}

// Stage writes the new content of the file at path, mode 0600, without touching the
// file; a disk that is full shows here. It is for whoever has more than one file to
// change: stage all, then commit all. Either Commit or Discard follows.
func Stage(path string, data []byte, points Points) (_ *Staged, err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return nil, fmt.Errorf("state file: %w", err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	points.Reached("temp-created")
	if _, err = f.Write(data); err != nil {
		return nil, fmt.Errorf("state file: %w", err)
	}
	if err = f.Sync(); err != nil {
		return nil, fmt.Errorf("state file: %w", err)
	}
	if err = f.Close(); err != nil {
		return nil, fmt.Errorf("state file: %w", err)
	}
	points.Reached("temp-written")
	return &Staged{path: path, temp: f.Name(), points: points}, nil
}

// Commit puts the new content in the place of the old. An error of its first step, the
// rename, leaves the old one; after that the new one is there, and an error says only
// that a crash of the machine may bring the old one back.
func (s *Staged) Commit() error {
	if err := os.Rename(s.temp, s.path); err != nil {
		_ = os.Remove(s.temp)
		return fmt.Errorf("state file: %w", err)
	}
	s.points.Reached("renamed")
	return syncDir(filepath.Dir(s.path))
}

// Discard gives the new content up. A nil Staged has none.
func (s *Staged) Discard() {
	if s != nil {
		_ = os.Remove(s.temp)
	}
}

// ReadFile reads a file that WriteFile wrote. A missing file is fs.ErrNotExist.
func ReadFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > MaxFile {
		return nil, fmt.Errorf("state file %s is not a regular file of at most %d bytes", path, MaxFile)
	}
	return os.ReadFile(path)
}

// Remove deletes the file, for good even after a crash. A file that is not there
// is no error.
func Remove(path string) error {
	if err := os.Remove(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("state file: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a rename or removal itself durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	defer func() { _ = d.Close() }()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	return nil
}
