package partition

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/lockstep-sso/lockstep/pkg/statefiles"
)

// Folder of the partitions in the state folder.
const Folder = "partitions"

// Store keeps one file per partition in one folder. Each file is replaced as a
// whole, so PRT and session key on disk always belong together. It does no
// locking: the framework writes a partition from one goroutine at a time.
type Store struct{ files *statefiles.Files }

// Open reads all partitions of the state folder, where there may be none. A file that
// cannot be used goes to quarantine, and an error says so; the others are not affected.
func Open(files *statefiles.Files) (*Store, []Partition, []error) {
	s := &Store{files: files}
	names, err := files.List(Folder)
	if err != nil {
		return s, nil, []error{err}
	}
	var all []Partition
	var bad []error
	for _, name := range names {
		p, err := s.load(name)
		switch {
		case err == nil:
			all = append(all, p)
		case !errors.Is(err, fs.ErrNotExist):
			bad = append(bad, files.Reject(name, err.Error()))
		}
	}
	return s, all, bad
}

func (s *Store) load(name string) (Partition, error) {
	data, err := s.files.Read(name)
	if err != nil {
		return Partition{}, err
	}
	p, err := decode(data)
	if err == nil && FileName(p.Key) != name {
		err = errors.New("it holds another partition than its name says")
	}
	return p, err
}

// Save writes a partition; when it returns nil, the partition survives a crash.
func (s *Store) Save(p Partition) error {
	data, err := encode(p)
	if err != nil {
		return fmt.Errorf("partition: %w", err)
	}
	return s.files.Write(FileName(p.Key), data)
}

// Remove forgets a partition.
func (s *Store) Remove(k Key) error { return s.files.Remove(FileName(k)) }

// FileName of a partition in the state folder. It is safe to build: all three parts of a Key are of a fixed alphabet.
func FileName(k Key) string {
	return fmt.Sprintf("%s/%s_%s_%s%s", Folder, k.Tenant, k.User, k.Kind, statefiles.Suffix)
}
