package account

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/lockstep-sso/lockstep/pkg/statefiles"
)

// Folder of the accounts in the state folder.
const Folder = "accounts"

// Store keeps one file per account in one folder, mode 0600. Each is replaced as a whole,
// so PRT and session key on disk always belong together. It does no locking: the authority
// writes an account from one goroutine at a time.
type Store struct{ files *statefiles.Files }

// Open reads all accounts of the state folder, where there may be none. A file that cannot
// be used goes to quarantine, with an event, and an error says so; the others are not
// affected. An older copy of a file, or one of an account that was removed, is such a file.
func Open(files *statefiles.Files) (*Store, []Record, []error) {
	s := &Store{files: files}
	names, err := files.List(Folder)
	if err != nil {
		return s, nil, []error{err}
	}
	var all []Record
	var bad []error
	for _, name := range names {
		r, err := s.load(name)
		switch {
		case err == nil:
			all = append(all, r)
		case !errors.Is(err, fs.ErrNotExist):
			bad = append(bad, files.Reject(name, err.Error()))
		}
	}
	return s, all, bad
}

func (s *Store) load(name string) (Record, error) {
	data, err := s.files.Read(name)
	if err != nil {
		return Record{}, err
	}
	defer clear(data)
	r, err := decode(data)
	if err == nil && r.FileName() != name {
		err = errors.New("it holds another account than its name says")
	}
	return r, err
}

// Save writes an account; when it returns nil, it survives a crash.
func (s *Store) Save(r Record) error {
	data, err := encode(r)
	if err != nil {
		return fmt.Errorf("work account: %w", err)
	}
	defer clear(data)
	return s.files.Write(r.FileName(), data)
}

// Remove forgets an account.
func (s *Store) Remove(id ID) error { return s.files.Remove(id.FileName()) }

// Old are the accounts whose files turned out to be old ones since the last call, by their
// file names: what was read of them is not to be used any more. It does what is left to do
// of the check of the start, and costs nothing when that is nothing.
func (s *Store) Old() []string { return s.files.Settle() }

// Verified reports whether the files were held against what the tpm-agent remembers.
func (s *Store) Verified() bool { return s.files.Verification() != statefiles.Pending }
