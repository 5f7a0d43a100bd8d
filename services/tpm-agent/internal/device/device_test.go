//go:build unix

package device

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"golang.org/x/sys/unix"

	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

// serve answers each connection with f, which gets one command at a time.
func serve(t *testing.T, network, address string, f func(command []byte) [][]byte) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(context.Background(), network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				for {
					command, err := readCommand(c)
					if err != nil {
						return
					}
					for _, part := range f(command) {
						if _, err := c.Write(part); err != nil {
							return
						}
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

func readCommand(r io.Reader) ([]byte, error) {
	head := make([]byte, 10)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	rest := make([]byte, binary.BigEndian.Uint32(head[2:])-10)
	_, err := io.ReadFull(r, rest)
	return slices.Concat(head, rest), err
}

func startAndAsk(t *testing.T, tpm transport.TPM) {
	t.Helper()
	if _, err := (tpm2.Startup{StartupType: tpm2.TPMSUClear}).Execute(tpm); err != nil && !errors.Is(err, tpm2.TPMRCInitialize) {
		t.Fatal(err)
	}
	if r, err := (tpm2.GetRandom{BytesRequested: 16}).Execute(tpm); err != nil || len(r.RandomBytes.Buffer) != 16 {
		t.Fatalf("%v, %v", r, err)
	}
}

func open(t *testing.T, cfg Config) *used {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	o, err := one(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.Close() })
	return o
}

// needSWTPM skips where the program is missing.
func needSWTPM(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("swtpm"); err != nil {
		if os.Getenv("LOCKSTEP_NEED_SWTPM") != "" {
			t.Fatal("swtpm is not installed")
		}
		t.Skip("swtpm is not installed: install the package swtpm")
	}
}

// TestAddresses opens a TPM by each kind of address and uses it.
func TestAddresses(t *testing.T) {
	behind, err := softtpm.New(softtpm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	// The answer comes in pieces, as it may on a socket.
	chunks := func(command []byte) [][]byte {
		out, err := behind.Send(command)
		if err != nil {
			return nil
		}
		return [][]byte{out[:3], out[3:]}
	}
	dir := t.TempDir()
	sock := filepath.Join(dir, "s")
	serve(t, "unix", sock, chunks)
	tcp := serve(t, "tcp", "127.0.0.1:0", chunks)
	for _, addr := range []string{"", "mem:", "soft:", "soft:" + filepath.Join(dir, "deep", "tpm.state"), "unix:" + sock, "tcp:" + tcp} {
		t.Run(addr, func(t *testing.T) {
			o := open(t, Config{Addr: addr})
			startAndAsk(t, o)
			if o.Protection != Emulated || o.Name == "" || o.Reason != "" {
				t.Errorf("protection %v, name %q, reason %q: software must not pass for a chip", o.Protection, o.Name, o.Reason)
			}
		})
	}
}

func TestAddressesThatAreRefused(t *testing.T) {
	dir := t.TempDir()
	for _, addr := range []string{"soft", "file:/x", "tcp:192.0.2.1:2321", "tcp:example.test:2321", "tcp:localhost", "mssim:192.0.2.1:2321"} {
		if o, err := one(t.Context(), Config{Addr: addr, Dir: dir}); err == nil {
			_ = o.Close()
			t.Errorf("%q was opened", addr)
		}
	}
	if _, err := one(t.Context(), Config{Addr: "mem:", Dir: dir, SoftwareKeys: "maybe"}); err == nil {
		t.Error("a policy that is none was taken")
	}
	if _, err := one(t.Context(), Config{Addr: "mem:"}); err == nil {
		t.Error("no folder was taken")
	}
}

// TestAMissingProgramIsNamed: a package that is not installed is the operator's
// mistake, not an absent TPM.
func TestAMissingProgramIsNamed(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := one(t.Context(), Config{Addr: "swtpm:", Dir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "install the package swtpm") {
		t.Errorf("got %v", err)
	}
}

// TestABrokenStreamIsNotUsedAgain: after a bad answer nobody knows where the next
// one begins, so no later command may take the rest of this one for its own answer.
func TestABrokenStreamIsNotUsedAgain(t *testing.T) {
	good := binary.BigEndian.AppendUint32([]byte{0x80, 1, 0, 0, 0, 10}, 0)
	for name, bad := range map[string][]byte{
		"too short": {0x80, 1, 0, 0, 0, 9, 0, 0, 0, 0},
		"too long":  {0x80, 1, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			commands, connections := 0, map[string]bool{}
			addr := serve(t, "tcp", "127.0.0.1:0", func([]byte) [][]byte {
				if commands++; commands == 1 {
					return [][]byte{bad, good}
				}
				return [][]byte{good}
			})
			l := newLink(func(ctx context.Context) (wire, error) {
				w, err := dialStream(ctx, "tcp", addr)
				if err == nil {
					connections[w.(*stream).c.LocalAddr().String()] = true
				}
				return w, err
			}, time.Now)
			defer func() { _ = l.Close() }()
			if out, err := l.Send(good); err == nil {
				t.Errorf("took %x for an answer", out)
			}
			if _, err := l.Send(good); err != nil || len(connections) != 2 {
				t.Errorf("%d connections, %v", len(connections), err)
			}
		})
	}
}

func TestTwoAgentsDoNotShareOneStateFile(t *testing.T) {
	dir := t.TempDir()
	o := open(t, Config{Addr: "soft:", Dir: dir})
	if second, err := one(t.Context(), Config{Addr: "soft:", Dir: dir}); err == nil {
		_ = second.Close()
		t.Error("two TPMs on one state file would undo each other's changes")
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, Config{Addr: "soft:", Dir: dir})
}

// TestTheKernelsDevice puts a socket that keeps the bounds of messages in the
// device's place.
func TestTheKernelsDevice(t *testing.T) {
	tpm, err := softtpm.New(softtpm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		t.Fatal(err)
	}
	k := &kernel{fds[0]}
	var silent atomic.Bool
	go func() {
		b := make([]byte, maxResponse)
		for {
			n, err := unix.Read(fds[1], b)
			if err != nil || n == 0 {
				return
			}
			if silent.Load() {
				continue
			}
			if out, err := tpm.Send(b[:n]); err == nil {
				_, _ = unix.Write(fds[1], out)
			}
		}
	}()
	l := newLink(func(context.Context) (wire, error) { return k, nil }, time.Now)
	startAndAsk(t, l)
	silent.Store(true)
	if _, err := k.exchange(make([]byte, 12), 20*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a device that does not answer: %v", err)
	}
	_ = unix.Close(fds[1])
	if _, err := k.exchange(make([]byte, 12), time.Minute); err == nil {
		t.Error("a device that is gone answered")
	}
}

// TestMSSIM speaks the simulator protocol with a server of it.
func TestMSSIM(t *testing.T) {
	tpm, err := softtpm.New(softtpm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	addr, power := serveMSSIM(t, tpm)
	o := open(t, Config{Addr: "mssim:" + addr})
	startAndAsk(t, o)
	if got := <-power; got != mssimPowerOn {
		t.Errorf("the platform got %d", got)
	}
	if got := <-power; got != mssimNVOn {
		t.Errorf("the platform got %d", got)
	}
}

// serveMSSIM serves a TPM at a port and its platform at the next.
func serveMSSIM(t *testing.T, tpm transport.TPM) (string, chan uint32) {
	t.Helper()
	power := make(chan uint32, 8)
	var lc net.ListenConfig
	for range 50 { // the next port may be taken
		l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		p, err := lc.Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port+1))
		if err != nil {
			_ = l.Close()
			continue
		}
		t.Cleanup(func() { _, _ = l.Close(), p.Close() })
		go accept(p, func(c net.Conn) error {
			var b [4]byte
			if _, err := io.ReadFull(c, b[:]); err != nil {
				return err
			}
			power <- binary.BigEndian.Uint32(b[:])
			_, err := c.Write(make([]byte, 4))
			return err
		})
		go accept(l, func(c net.Conn) error {
			head := make([]byte, 9)
			if _, err := io.ReadFull(c, head); err != nil {
				return err
			}
			command := make([]byte, binary.BigEndian.Uint32(head[5:]))
			if _, err := io.ReadFull(c, command); err != nil {
				return err
			}
			out, err := tpm.Send(command)
			if err != nil || binary.BigEndian.Uint32(head) != mssimSend || head[4] != 0 {
				return io.ErrUnexpectedEOF
			}
			_, err = c.Write(slices.Concat(binary.BigEndian.AppendUint32(nil, uint32(len(out))), out, make([]byte, 4)))
			return err
		})
		return l.Addr().String(), power
	}
	t.Fatal("no two free ports in a row")
	return "", nil
}

// accept serves each connection with f until it fails.
func accept(l net.Listener, f func(net.Conn) error) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = c.Close() }()
			for f(c) == nil {
			}
		}()
	}
}

// used is what holds the keys that are there: the software key store when there are
// keys in it.
type used struct {
	*Opened
	Reason string
	both   *Machine
}

func one(ctx context.Context, cfg Config) (*used, error) {
	m, err := Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	u := &used{m.TPM, m.Reason, m}
	if m.Software != nil {
		u.Opened = m.Software
	}
	return u, nil
}

// Close closes both.
func (u *used) Close() error { return u.both.Close() }
