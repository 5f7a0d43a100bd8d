package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/softtpm"
	"golang.org/x/sys/unix"
)

// target is a TPM that can be made new.
type target interface {
	Name() string
	Send(cmd []byte) ([]byte, error)
	// Renew makes it a TPM as it leaves its maker, started.
	Renew() error
	// Cycle is an orderly power cycle, started again.
	Cycle() error
	Close() error
}

func startup(t target) error {
	rsp, err := t.Send(cat(u16(tagNoSessions), u32(12), u32(ccStartup), u16(0)))
	return succeeded("Startup", rsp, err)
}

func shutdown(t target) error {
	rsp, err := t.Send(cat(u16(tagNoSessions), u32(12), u32(ccShutdown), u16(0)))
	return succeeded("Shutdown", rsp, err)
}

func succeeded(what string, rsp []byte, err error) error {
	if err == nil && (len(rsp) < 10 || binary.BigEndian.Uint32(rsp[6:]) != 0) {
		err = fmt.Errorf("answered %x", rsp)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// soft is the TPM that is judged.
type soft struct{ *softtpm.TPM }

func (*soft) Name() string { return "soft" }

func (s *soft) Renew() error {
	if s.TPM != nil {
		_ = s.Close()
	}
	tpm, err := softtpm.New(softtpm.Config{})
	if err != nil {
		return err
	}
	s.TPM = tpm
	return startup(s)
}

func (s *soft) Cycle() error {
	return errors.Join(shutdown(s), s.PowerCycle(), startup(s))
}

// swtpm is a swtpm in a child process, reached by socket pairs that nobody else
// can: its --server fd does not work with one, --fd does.
type swtpm struct {
	dir       string
	cmd       *exec.Cmd
	tpm, ctrl net.Conn
}

// answerWithin bounds one command: a key of RSA takes seconds at most.
const answerWithin = time.Minute

func (*swtpm) Name() string { return "swtpm" }

func (s *swtpm) Renew() (err error) {
	_ = s.Close()
	if s.dir, err = os.MkdirTemp("", "tpmdiff"); err != nil {
		return err
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return err
	}
	ourCtrl, theirCtrl, err := socketPair()
	if err != nil {
		return err
	}
	//nolint:gosec // the folder was made above
	s.cmd = exec.CommandContext(context.Background(), "swtpm", "socket", "--tpm2", "--tpmstate", "dir="+s.dir,
		"--fd", "3", "--ctrl", "type=unixio,clientfd=4", "--flags", "not-need-init")
	s.cmd.ExtraFiles = []*os.File{theirs, theirCtrl}
	err = s.cmd.Start()
	_, _ = theirs.Close(), theirCtrl.Close()
	if err != nil {
		return err
	}
	if s.tpm, err = net.FileConn(ours); err != nil {
		return err
	}
	if s.ctrl, err = net.FileConn(ourCtrl); err != nil {
		return err
	}
	_, _ = ours.Close(), ourCtrl.Close()
	return startup(s)
}

func socketPair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs"), nil
}

// retry is TPM_RC_RETRY: swtpm answers it to the first use of a protected key
// after each start, and wants the command again.
const retry = 0x922

func (s *swtpm) Send(cmd []byte) ([]byte, error) {
	for range 5 {
		rsp, err := s.send(cmd)
		if err != nil || binary.BigEndian.Uint32(rsp[6:]) != retry {
			return rsp, err
		}
	}
	return nil, errors.New("swtpm wants a command again and again")
}

func (s *swtpm) send(cmd []byte) ([]byte, error) {
	if err := s.tpm.SetDeadline(time.Now().Add(answerWithin)); err != nil {
		return nil, err
	}
	if _, err := s.tpm.Write(cmd); err != nil {
		return nil, err
	}
	head := make([]byte, 10)
	if _, err := io.ReadFull(s.tpm, head); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[2:])
	if size < 10 || size > 1<<16 {
		return nil, fmt.Errorf("a response of %d bytes", size)
	}
	rsp := make([]byte, size)
	copy(rsp, head)
	_, err := io.ReadFull(s.tpm, rsp[10:])
	return rsp, err
}

func (s *swtpm) Cycle() error {
	if err := shutdown(s); err != nil {
		return err
	}
	if err := s.ctrl.SetDeadline(time.Now().Add(answerWithin)); err != nil {
		return err
	}
	if _, err := s.ctrl.Write(cat(u32(2), u32(0))); err != nil { // CMD_INIT
		return err
	}
	var result [4]byte
	if _, err := io.ReadFull(s.ctrl, result[:]); err != nil || result != [4]byte{} {
		return fmt.Errorf("CMD_INIT: %x, %w", result, err)
	}
	return startup(s)
}

func (s *swtpm) Close() error {
	if s.cmd == nil {
		return nil
	}
	_, _ = s.tpm.Close(), s.ctrl.Close() // ends it
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd = nil
	return os.RemoveAll(s.dir)
}

// reference opens a TPM to compare with, by name.
func reference(name string) (target, error) {
	switch name {
	case "swtpm":
		if _, err := exec.LookPath("swtpm"); err != nil {
			return nil, errors.New("the program swtpm is not installed (Debian: swtpm)")
		}
		return &swtpm{}, nil
	case "mssim":
		return openMSSIM()
	}
	return nil, fmt.Errorf("there is no TPM %q: swtpm or mssim", name)
}
