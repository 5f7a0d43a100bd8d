//go:build unix

package device

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ready tells a connection that is good from one that broke while nobody used it:
// a command for the latter was surely not executed.
func ready(c net.Conn) error {
	s, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	var n int
	var peek error
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		n, _, peek = unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return true
	})
	switch {
	case err != nil:
		return err
	case errors.Is(peek, unix.EAGAIN):
		return nil // nothing to read: it is open
	case peek != nil:
		return peek
	case n == 0:
		return io.EOF
	default:
		return errors.New("bytes came that nobody asked for")
	}
}

// kernel is the kernel's TPM device: one write a command, one read an answer. The
// file does not block, so that a command has a time limit: the write returns at
// once and the file becomes readable when the answer is there. (Not an os.File:
// that would read at once, get nothing and call it the end of the file.)
type kernel struct{ fd int }

func openKernel(path string) (wire, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open TPM device", Path: path, Err: err}
	}
	return &kernel{fd}, nil
}

// Close closes the device. The kernel waits for a command under way, so that is
// left to a goroutine.
func (k *kernel) Close() error {
	fd := k.fd
	go func() { _ = unix.Close(fd) }()
	return nil
}

func (k *kernel) exchange(command []byte, limit time.Duration) ([]byte, error) {
	n, err := unix.Write(k.fd, command)
	if err != nil {
		return nil, err
	}
	if n != len(command) {
		return nil, fmt.Errorf("the device took %d of %d bytes", n, len(command))
	}
	if err := k.wait(limit); err != nil {
		return nil, err
	}
	out := make([]byte, maxResponse)
	if n, err = unix.Read(k.fd, out); err != nil {
		return nil, err
	}
	if n < headerSize {
		return nil, fmt.Errorf("answer of %d bytes", n)
	}
	return out[:n], nil
}

func (k *kernel) wait(limit time.Duration) error {
	end := time.Now().Add(limit)
	for {
		left := time.Until(end)
		if left <= 0 {
			return fmt.Errorf("no answer in %v: %w", limit, os.ErrDeadlineExceeded)
		}
		fds := []unix.PollFd{{Fd: int32(k.fd), Events: unix.POLLIN}}
		_, err := unix.Poll(fds, int(left.Milliseconds())+1)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		case fds[0].Revents&unix.POLLIN != 0:
			return nil
		case fds[0].Revents != 0:
			return errors.New("the device hung up")
		}
	}
}
