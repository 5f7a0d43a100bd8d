package partition

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/durable"
)

const suffix = ".json"

// Store keeps one file per partition in one folder. Each file is replaced as a
// whole, so PRT and session key on disk always belong together. It does no
// locking: the framework writes a partition from one goroutine at a time.
type Store struct {
	dir    string
	points durable.Points
}

// Open reads all partitions of the folder, which may be missing. A file that
// cannot be read is reported by an error that names it and stays where it is;
// the others are not affected.
func Open(dir string, points durable.Points) (*Store, []Partition, []error) {
	s := &Store{dir: dir, points: points}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil, nil
	}
	if err != nil {
		return s, nil, []error{fmt.Errorf("partition folder: %w", err)}
	}
	var all []Partition
	var bad []error
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch {
		case leftover(e.Name()):
			// A crash between writing and renaming; it was never valid.
			_ = durable.Remove(path)
		case strings.HasSuffix(e.Name(), suffix):
			p, err := s.load(path)
			if err != nil {
				bad = append(bad, err)
				continue
			}
			all = append(all, p)
		}
	}
	return s, all, bad
}

// leftover reports whether a file is an unfinished one of durable.WriteFile.
func leftover(name string) bool {
	return strings.HasPrefix(name, ".") && strings.Contains(name, suffix+".")
}

func (s *Store) load(path string) (Partition, error) {
	data, err := durable.ReadFile(path)
	if err != nil {
		return Partition{}, fmt.Errorf("partition file %s: %w", path, err)
	}
	p, err := decode(data)
	if err != nil {
		return Partition{}, fmt.Errorf("partition file %s is not used: %w", path, err)
	}
	if s.path(p.Key) != path {
		return Partition{}, fmt.Errorf("partition file %s is not used: it holds another partition than its name says", path)
	}
	return p, nil
}

// Save writes a partition; when it returns nil, the partition survives a crash.
func (s *Store) Save(p Partition) error {
	data, err := encode(p)
	if err != nil {
		return fmt.Errorf("partition: %w", err)
	}
	return durable.WriteFile(s.path(p.Key), data, s.points)
}

// Remove forgets a partition.
func (s *Store) Remove(k Key) error { return durable.Remove(s.path(k)) }

// path is safe to build: all three parts of a Key are of a fixed alphabet.
func (s *Store) path(k Key) string {
	return filepath.Join(s.dir, fmt.Sprintf("%s_%s_%s%s", k.Tenant, k.User, k.Kind, suffix))
}
