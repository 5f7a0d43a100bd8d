package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"sync/atomic"
	"unicode/utf8"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/ids"
)

const (
	// version of the file. One of another version is not read: guessing at it could
	// lose a registration that another release can still use.
	version  = 1
	fileName = "device.json"
)

// Bounds of a record's texts, in bytes.
const (
	maxKeySet      = 128
	maxDisplayName = 64 * utf8.UTFMax
)

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

// file is the form on disk. It holds public data only, and what the certificate
// says is not said twice.
type file struct {
	Version int           `json:"version"`
	Current *fileIdentity `json:"current,omitempty"`
	Pending *fileIdentity `json:"pending,omitempty"`
	Leaving bool          `json:"leaving,omitempty"`
}

type fileIdentity struct {
	KeySet      string `json:"key_set_id"`
	Certificate []byte `json:"certificate"`
	DisplayName string `json:"display_name"`
	JoinedBy    string `json:"joined_by"`
}

func encode(r Record) ([]byte, error) {
	data, err := json.MarshalIndent(file{Version: version, Current: flat(r.Current), Pending: flat(r.Pending), Leaving: r.Leaving}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("device state: %w", err)
	}
	return data, nil
}

func flat(i *Identity) *fileIdentity {
	if i == nil {
		return nil
	}
	return &fileIdentity{KeySet: i.KeySet, Certificate: i.Certificate.Raw, DisplayName: i.DisplayName, JoinedBy: string(i.JoinedBy)}
}

// decode reads a file as from a stranger. Errors name the member and never quote
// its value.
func decode(data []byte) (Record, error) {
	var head struct {
		Version *int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return Record{}, fmt.Errorf("%w: it is not whole JSON of the expected form", ErrDamaged)
	}
	if head.Version == nil {
		return Record{}, fmt.Errorf("%w: it has no version", ErrDamaged)
	}
	if *head.Version != version {
		return Record{}, fmt.Errorf("%w: version %d is not %d", ErrVersion, *head.Version, version)
	}
	var f file
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return Record{}, fmt.Errorf("%w: it has a member of the wrong type or with an unknown name", ErrDamaged)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Record{}, fmt.Errorf("%w: it goes on after its end", ErrDamaged)
	}
	return f.record()
}

func (f file) record() (Record, error) {
	r := Record{Leaving: f.Leaving}
	var err error
	if r.Current, err = f.Current.identity(); err != nil {
		return Record{}, fmt.Errorf("%w: current: %w", ErrDamaged, err)
	}
	if r.Pending, err = f.Pending.identity(); err != nil {
		return Record{}, fmt.Errorf("%w: pending: %w", ErrDamaged, err)
	}
	if r.Current == nil && (r.Leaving || r.Pending == nil) {
		return Record{}, fmt.Errorf("%w: it names no identity", ErrDamaged)
	}
	return r, nil
}

func (f *fileIdentity) identity() (*Identity, error) {
	if f == nil {
		return nil, nil
	}
	upn, err := ids.ParseUPN(f.JoinedBy)
	if err != nil {
		return nil, fmt.Errorf("joined_by: %w", err)
	}
	if f.KeySet == "" || len(f.KeySet) > maxKeySet {
		return nil, fmt.Errorf("key_set_id is not 1 to %d bytes", maxKeySet)
	}
	if f.DisplayName == "" || len(f.DisplayName) > maxDisplayName {
		return nil, fmt.Errorf("display_name is not 1 to %d bytes", maxDisplayName)
	}
	id, err := NewIdentity(f.KeySet, f.Certificate, f.DisplayName, upn)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return id, nil
}
