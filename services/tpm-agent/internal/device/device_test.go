package device

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

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
	for _, addr := range []string{"mem:", "soft:", "soft:" + filepath.Join(dir, "deep", "tpm.state"), "unix:" + sock, "tcp:" + tcp} {
		t.Run(addr[:strings.Index(addr, ":")], func(t *testing.T) {
			o, err := Open(addr, dir)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = o.Close() }()
			startAndAsk(t, o)
			if o.Hardware || o.Name == "" {
				t.Errorf("hardware %v, name %q: software must not pass for a chip", o.Hardware, o.Name)
			}
		})
	}
}

func TestAddressesThatAreRefused(t *testing.T) {
	dir := t.TempDir()
	for _, addr := range []string{"", "soft", "file:/x", "tcp:192.0.2.1:2321", "tcp:example.test:2321", "tcp:localhost", "unix:" + filepath.Join(dir, "none"), "device:" + filepath.Join(dir, "none")} {
		if o, err := Open(addr, dir); err == nil {
			_ = o.Close()
			t.Errorf("%q was opened", addr)
		}
	}
}

// TestABrokenStreamStaysBroken: after a bad answer nobody knows where the next one
// begins, so no later command may take the rest of this one for its own answer.
func TestABrokenStreamStaysBroken(t *testing.T) {
	good := binary.BigEndian.AppendUint32([]byte{0x80, 1, 0, 0, 0, 10}, 0)
	for name, bad := range map[string][]byte{
		"too short": {0x80, 1, 0, 0, 0, 9, 0, 0, 0, 0},
		"too long":  {0x80, 1, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			commands := 0
			addr := serve(t, "tcp", "127.0.0.1:0", func([]byte) [][]byte {
				if commands++; commands == 1 {
					return [][]byte{bad, good}
				}
				return [][]byte{good}
			})
			o, err := Open("tcp:"+addr, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = o.Close() }()
			for range 2 {
				if out, err := o.Send(good); err == nil {
					t.Errorf("took %x for an answer", out)
				}
			}
		})
	}
}

func TestTwoAgentsDoNotShareOneStateFile(t *testing.T) {
	dir := t.TempDir()
	o, err := Open("soft:", dir)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := Open("soft:", dir); err == nil {
		_ = second.Close()
		t.Error("two TPMs on one state file would undo each other's changes")
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open("soft:", dir)
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
}

// pipe stands for the kernel's device: one write a command, one read an answer.
type pipe struct {
	tpm transport.TPM
	out []byte
}

func (p *pipe) Write(b []byte) (int, error) {
	out, err := p.tpm.Send(b)
	p.out = out
	return len(b), err
}
func (p *pipe) Read(b []byte) (int, error) { return copy(b, p.out), nil }

func TestPackets(t *testing.T) {
	tpm, err := softtpm.New(softtpm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	startAndAsk(t, &packets{rw: &pipe{tpm: tpm}})
}
