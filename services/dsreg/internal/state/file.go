package state

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync/atomic"

	"github.com/lockstep-sso/lockstep/pkg/durable"
)

const fileName = "device.json"

// Errors about the state file; both come with its path and what to do.
var (
	// ErrDamaged says that the file is there and is not a record.
	ErrDamaged = errors.New("the device state file is damaged")
	// ErrVersion says that another release wrote it.
	ErrVersion = errors.New("the device state file was written by another release")
)

// Store keeps the record on disk and in memory. Reading takes no lock; writing
// is for one caller at a time, which enrolment sees to.
type Store struct {
	path   string
	points durable.Points
	record atomic.Pointer[Record]
}

// Open reads the record; a missing file is a device that is not registered.
func Open(dir string, points durable.Points) (*Store, error) {
	if dir == "" {
		return nil, errors.New("device state: the folder is missing")
	}
	s := &Store{path: filepath.Join(dir, fileName), points: points}
	s.record.Store(&Record{})
	data, err := durable.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("device state: %w", err)
	}
	r, err := decode(data)
	if errors.Is(err, ErrVersion) {
		return nil, fmt.Errorf("%s: %w: run that release, or remove the file and join the device again", s.path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: restore the file, or remove it and join the device again", s.path, err)
	}
	s.record.Store(&r)
	return s, nil
}

// Get is the record as it is on disk.
func (s *Store) Get() Record { return *s.record.Load() }

// Put replaces the record. When it returns nil, the new one is on disk; when it
// does not, or the process dies, the old one is.
func (s *Store) Put(r Record) error {
	if r == (Record{}) {
		if err := durable.Remove(s.path); err != nil {
			return err
		}
	} else {
		data, err := encode(r)
		if err != nil {
			return err
		}
		if err := durable.WriteFile(s.path, data, s.points); err != nil {
			return err
		}
	}
	s.record.Store(&r)
	return nil
}
