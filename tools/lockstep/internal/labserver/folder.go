package labserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/door"
)

const (
	stateName = "state.json"
	// stateVersion is the form of the state file.
	stateVersion = 1
	// maxSocket is what the path of a unix socket may take on every system, in bytes:
	// Linux has 108 with the zero at the end, others have 104.
	maxSocket = 103
	// longest is the longest name of a socket below the folder.
	longest = "run/device-50-lsa-cloudap.sock"
	// standard is how many devices there are when nobody says.
	standard = 2
)

// folder is the folder of a laboratory, taken for this process alone.
type folder struct {
	dir  string
	temp bool
	lock *os.File

	mu    sync.Mutex
	state state
}

// state is what the laboratory itself keeps; the components keep theirs beside it.
type state struct {
	Version int `json:"version"`
	Devices int `json:"devices"`
	// Ahead is how far the clocks are ahead of the machine's, in nanoseconds.
	Ahead time.Duration `json:"ahead"`
	// Latest is the latest time that is known to have been shown in the laboratory.
	Latest time.Time `json:"latest"`
}

// openFolder takes a folder, or makes one that goes.
func openFolder(dir string) (*folder, error) {
	f := &folder{dir: dir, temp: dir == ""}
	var err error
	if f.temp {
		f.dir, err = os.MkdirTemp("", "lockstep-")
	} else {
		f.dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("folder of the laboratory: %w", err)
	}
	if err := f.take(); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

func (f *folder) take() error {
	if n := len(f.path(longest)); n > maxSocket {
		return fmt.Errorf("the folder %s is too deep by %d bytes: sockets lie in it, whose paths have at most %d: use a shorter one, such as --dir /tmp/lab", f.dir, n-maxSocket, maxSocket)
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return f.explained(err)
	}
	if err := f.suits(); err != nil {
		return err
	}
	// What lies below is for this user alone: keys, sockets, identities.
	if err := os.Chmod(f.dir, 0o700); err != nil { //nolint:gosec // a folder needs the x
		return f.explained(err)
	}
	var err error
	if f.lock, err = os.OpenFile(f.path(door.LockName), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return f.explained(err)
	}
	if err := unix.Flock(int(f.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.lock.Close()
		f.lock = nil // it is the other one's
		return fmt.Errorf("a laboratory runs in %s already: use it, end it, or give this one another folder with --dir", f.dir)
	}
	return f.read()
}

// suits refuses a folder with other things in it: everything below will be changed.
func (f *folder) suits() error {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return f.explained(err)
	}
	_, err = os.Stat(f.path(door.LockName))
	if len(entries) > 0 && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the folder %s has other things in it: give the laboratory an empty folder, or a new one, with --dir", f.dir)
	}
	return nil
}

// explained says what to do about a folder that cannot be used.
func (f *folder) explained(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("the folder %s cannot be used by this user: %w: chown it, or use another one with --dir", f.dir, err)
	}
	return fmt.Errorf("folder of the laboratory: %w", err)
}

func (f *folder) read() error {
	text, err := durable.ReadFile(f.path(stateName))
	if errors.Is(err, fs.ErrNotExist) {
		f.state = state{Version: stateVersion}
		return nil
	}
	if err != nil {
		return f.explained(err)
	}
	if err := json.Unmarshal(text, &f.state); err != nil || f.state.Version != stateVersion || f.state.Ahead < 0 {
		return fmt.Errorf("%s is not what a laboratory of this version wrote: restore it, or begin anew with another --dir", f.path(stateName))
	}
	return nil
}

// setDevices says how many devices there are; 0 leaves it.
func (f *folder) setDevices(n int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n == 0 {
		n = f.state.Devices
	}
	if n == 0 {
		n = standard
	}
	if n < 0 || n > MaxDevices {
		return fmt.Errorf("a laboratory has 1 to %d devices, not %d", MaxDevices, n)
	}
	f.state.Devices = n
	return f.write()
}

// ahead is how far the clocks start ahead of the machine's, so that time in the
// laboratory never goes back, not even when somebody set the machine's clock back.
func (f *folder) ahead(now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return max(f.state.Ahead, f.state.Latest.Sub(now), 0)
}

// keep writes how far the clocks are ahead. It is called before the clocks are moved: a
// crash in between then leaves a laboratory whose time went on, never one whose time
// goes back.
func (f *folder) keep(now time.Time, ahead time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state.Ahead = ahead
	if latest := now.Add(ahead).UTC(); latest.After(f.state.Latest) {
		f.state.Latest = latest
	}
	return f.write()
}

func (f *folder) write() error {
	text, err := json.Marshal(f.state)
	if err != nil {
		return fmt.Errorf("state of the laboratory: %w", err)
	}
	return durable.WriteFile(f.path(stateName), text, nil)
}

func (f *folder) close() error {
	var errs []error
	if f.lock != nil {
		errs = append(errs, os.RemoveAll(f.path(identities)), f.lock.Close()) // of an authority that is gone
	}
	if f.temp {
		errs = append(errs, os.RemoveAll(f.dir))
	}
	return errors.Join(errs...)
}

func (f *folder) path(parts ...string) string {
	return filepath.Join(append([]string{f.dir}, parts...)...)
}
