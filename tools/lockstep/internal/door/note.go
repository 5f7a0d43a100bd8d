package door

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/notes"
)

const (
	// NoteName is the name of the note in the folder of a laboratory.
	NoteName = "lab.json"
	// LockName is the name of the file there that its process holds a lock on.
	LockName = "lock"
	// notePrefix begins the names of the notes where Find looks by itself.
	notePrefix = "lab-"
)

// ErrNone is the error of Find when no laboratory was named and none runs.
var ErrNone = errors.New("no laboratory is running: start one with lockstep lab, or name its folder with --lab")

// Publish writes the note into the folder and where Find looks; the function that it
// returns takes both away.
func (i Info) Publish() (retire func() error, err error) {
	i.Version = Version
	text, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("note of the laboratory: %w", err)
	}
	retire, err = notes.Publish(text, filepath.Join(i.Dir, NoteName), notePrefix, i.PID)
	if err != nil {
		return nil, fmt.Errorf("note of the laboratory: %w", err)
	}
	return retire, nil
}

// Find returns the laboratory of a folder, or, without one, the newest that this user
// runs; it is ErrNone when there is none.
func Find(dir string) (Info, error) {
	if dir != "" {
		return in(dir)
	}
	folder, err := notes.Folder()
	if err != nil {
		return Info{}, fmt.Errorf("%w: use --lab", err)
	}
	for _, path := range notes.Newest(folder, notePrefix) {
		i, err := read(path)
		switch {
		case err != nil:
		case i.answers():
			return i, nil
		default: // left by a process that could not clear up
			_ = durable.Remove(path)
		}
	}
	return Info{}, ErrNone
}

// in reads the note of a folder, and says what is wrong when nobody answers.
func in(dir string) (Info, error) {
	i, err := read(filepath.Join(dir, NoteName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Info{}, fmt.Errorf("no laboratory runs in %s: start one with lockstep lab --dir %s", dir, dir)
	case errors.Is(err, fs.ErrPermission):
		return Info{}, fmt.Errorf("the folder %s is not this user's: use the laboratory as the user who started it", dir)
	case err != nil:
		return Info{}, err
	case !i.answers() && free(dir):
		return Info{}, fmt.Errorf("the laboratory in %s is gone: its process %d ended without clearing up; start it again with lockstep lab --dir %s, it goes on where it was", dir, i.PID, dir)
	case !i.answers():
		return Info{}, fmt.Errorf("the laboratory in %s does not answer, though its process %d is there: wait, or end that process and start lockstep lab --dir %s", dir, i.PID, dir)
	}
	return i, nil
}

func read(path string) (Info, error) {
	// Whoever can write the note says where the operator's words go.
	if st, err := os.Stat(path); err == nil && !private(st) {
		return Info{}, fmt.Errorf("%s can be written by others than this user: chmod 600 it, or start the laboratory again", path)
	}
	text, err := durable.ReadFile(path)
	if err != nil {
		return Info{}, err
	}
	var i Info
	if err := json.Unmarshal(text, &i); err != nil {
		return Info{}, fmt.Errorf("%s is no note of a laboratory: %w; remove it and start lockstep lab again", path, err)
	}
	if i.Version != Version {
		return Info{}, fmt.Errorf("%s is of another version of lockstep (form %d, not %d): start the laboratory with this one", path, i.Version, Version)
	}
	return i, nil
}

// private says that nobody but this user, or root, can have written a file.
func private(st fs.FileInfo) bool {
	sys, ok := st.Sys().(*syscall.Stat_t)
	return ok && st.Mode().Perm()&0o022 == 0 && (int(sys.Uid) == os.Geteuid() || sys.Uid == 0)
}

// answers knocks at the laboratory's own door, or at the identity provider's when there
// is no such door.
func (i Info) answers() bool {
	if i.Lab != "" {
		return notes.Answers(i.Lab)
	}
	return notes.Answers(i.IdP)
}

// free says that no process holds the folder any more. The number of a process that is
// gone may be another's by now; the lock on the folder is not.
func free(dir string) bool {
	f, err := os.Open(filepath.Join(dir, LockName))
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	defer func() { _ = f.Close() }()
	return unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) == nil
}
