package serve

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	// operatorDir holds the operator's identity, doorName is the operator's
	// socket; both below the state folder.
	operatorDir = "operator"
	doorName    = "admin.sock"
	lockName    = "lock"
	// maxSocket is what the path of a unix socket may take on every system.
	maxSocket = 100
)

// state is the folder of one server.
type state struct {
	dir  string
	temp bool
	lock *os.File
}

// openState takes a folder for this process alone, or makes one that goes.
func openState(dir string) (*state, error) {
	st := &state{dir: dir, temp: dir == ""}
	var err error
	if st.temp {
		if st.dir, err = os.MkdirTemp("", "lockstep-"); err != nil {
			return nil, fmt.Errorf("state folder: %w", err)
		}
		return st, nil
	}
	if st.dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	if path := st.path(doorName); len(path) > maxSocket {
		return nil, fmt.Errorf("state folder %s: a path of a socket has at most %d bytes: use a shorter one", st.dir, maxSocket)
	}
	if err := os.MkdirAll(st.dir, 0o700); err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	if st.lock, err = os.OpenFile(st.path(lockName), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	if err := unix.Flock(int(st.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("state folder %s is in use by another lockstep serve: end that one or use another folder", st.dir), st.lock.Close())
	}
	return st, nil
}

// door is the address of the operator's socket.
func (st *state) door() string { return "unix:" + st.path(doorName) }

func (st *state) close() error {
	if st.temp {
		return os.RemoveAll(st.dir)
	}
	errs := []error{os.RemoveAll(st.path(operatorDir))} // of an authority that is gone
	if st.lock != nil {
		errs = append(errs, st.lock.Close())
	}
	return errors.Join(errs...)
}

func (st *state) path(parts ...string) string {
	return filepath.Join(append([]string{st.dir}, parts...)...)
}
