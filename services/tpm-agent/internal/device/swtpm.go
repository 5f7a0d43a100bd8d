//go:build unix

package device

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// stopTime is how long a swtpm may take to end after its sockets are closed.
	stopTime = 3 * time.Second
	// maxWords bounds what is kept of what a swtpm prints, in bytes.
	maxWords = 1 << 10
)

// findSWTPM looks for the program and makes its folder.
func findSWTPM(dir string) (string, error) {
	program, err := exec.LookPath("swtpm")
	if err != nil {
		return "", fmt.Errorf("TPM address swtpm: the program swtpm is not installed: install the package swtpm, or use another TPM address: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("folder of the swtpm: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return "", fmt.Errorf("folder of the swtpm: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("folder %s of the swtpm has mode %#o and others can reach the keys: chmod 700 it", dir, info.Mode().Perm())
	}
	return program, nil
}

// child is a swtpm of the agent's own. Its command channel and its control channel
// are anonymous socket pairs, so no other process can reach it, and it ends by
// itself when the agent does, because then they are closed.
type child struct {
	stream
	control net.Conn
	process *os.Process
	words   *lastWords
	ended   chan struct{}
}

// spawn starts a swtpm. --fd and clientfd are the way that works: with a socket
// pair as --server, swtpm 0.7 takes a CPU and answers nothing.
func spawn(program, dir string) (_ wire, err error) {
	commands, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	control, theirControl, err := socketPair()
	if err != nil {
		return nil, errors.Join(err, commands.Close(), theirs.Close())
	}
	c := &child{stream: stream{commands}, control: control, words: &lastWords{}, ended: make(chan struct{})}
	cmd := exec.Command(program, "socket", "--tpm2", "--tpmstate", "dir="+dir+",mode=0600", //nolint:gosec,noctx // G204: the program is swtpm from the PATH; it lives as long as the link
		"--fd", "3", "--ctrl", "type=unixio,clientfd=4", "--flags", "not-need-init,startup-clear")
	cmd.ExtraFiles = []*os.File{theirs, theirControl} // they become 3 and 4
	cmd.Stdout, cmd.Stderr = c.words, c.words
	// A group of its own: an interrupt from the terminal is for the agent, which
	// shuts the TPM down in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = cmd.Start()
	_, _ = theirs.Close(), theirControl.Close() // the child has its own
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start swtpm: %w", err), commands.Close(), control.Close())
	}
	c.process = cmd.Process
	go func() {
		_ = cmd.Wait() // how it ended shows in what it printed
		close(c.ended)
	}()
	return c, nil
}

func socketPair() (ours net.Conn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socket pair: %w", err)
	}
	unix.CloseOnExec(fds[0])
	unix.CloseOnExec(fds[1])
	mine, theirs := os.NewFile(uintptr(fds[0]), "tpm"), os.NewFile(uintptr(fds[1]), "tpm")
	ours, err = net.FileConn(mine)
	err = errors.Join(err, mine.Close())
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("socket pair: %w", err), theirs.Close())
	}
	return ours, theirs, nil
}

// exchange adds what the program said when it ended: that is where a damaged state
// file shows.
func (c *child) exchange(command []byte, limit time.Duration) ([]byte, error) {
	out, err := c.stream.exchange(command, limit)
	if err == nil {
		return out, nil
	}
	select {
	case <-c.ended:
	case <-time.After(stopTime / 10):
		return nil, err
	}
	return nil, fmt.Errorf("%w (swtpm ended: %s)", err, c.words)
}

// Close ends the program.
func (c *child) Close() error {
	err := errors.Join(c.stream.Close(), c.control.Close())
	select {
	case <-c.ended:
	case <-time.After(stopTime):
		if kill := c.process.Kill(); kill != nil && !errors.Is(kill, os.ErrProcessDone) {
			return errors.Join(err, kill)
		}
		<-c.ended
	}
	return ignoreClosed(err)
}

// ignoreClosed drops the error of closing what the other end closed before.
func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, fs.ErrClosed) {
		return nil
	}
	return err
}

// lastWords keeps the end of what a program prints.
type lastWords struct {
	mu sync.Mutex
	b  []byte
}

// Write keeps the last bytes.
func (w *lastWords) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.b = append(w.b, p...)
	if n := len(w.b) - maxWords; n > 0 {
		w.b = append([]byte(nil), w.b[n:]...)
	}
	return len(p), nil
}

// String is what was printed, in one line.
func (w *lastWords) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines := bytes.Join(bytes.Fields(w.b), []byte(" "))
	if len(lines) == 0 {
		return "it said nothing"
	}
	return strings.ToValidUTF8(string(lines), "?")
}
