// Package device opens the TPM behind an address. Everything above it speaks TPM
// 2.0 commands and cannot tell one from another; how well it protects keys is
// said here, where the address is known.
package device

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

// Opened is a TPM and what is known of it from its address.
type Opened struct {
	transport.TPM
	io.Closer
	// Hardware is true for the kernel's TPM device.
	Hardware bool
	// Name for people.
	Name string
}

// dialTime bounds the connection to a socket.
const dialTime = 5 * time.Second

const softName = "Lockstep emulated TPM (keys lie in process memory)"

// Open opens a TPM by its address:
//
//	soft:PATH          a software TPM whose state is the file PATH
//	soft:              the same, in the folder of the agent
//	mem:               a software TPM that is gone with the process
//	device:/dev/tpmrm0 the kernel's TPM, through its resource manager
//	unix:PATH          a TPM behind a socket, such as swtpm
//	tcp:HOST:PORT      the same over TCP, on the local machine only
func Open(addr, dir string) (*Opened, error) {
	kind, rest, ok := strings.Cut(addr, ":")
	if !ok {
		return nil, fmt.Errorf("TPM address %q: use soft:PATH, mem:, device:PATH, unix:PATH or tcp:HOST:PORT", addr)
	}
	switch kind {
	case "soft":
		return softFile(rest, dir)
	case "mem":
		t, err := softtpm.New(softtpm.Config{})
		if err != nil {
			return nil, err
		}
		return &Opened{TPM: t, Closer: t, Name: softName}, nil
	case "device":
		f, err := os.OpenFile(rest, os.O_RDWR, 0)
		if err != nil {
			return nil, fmt.Errorf("TPM device: %w", err)
		}
		return &Opened{TPM: &packets{rw: f}, Closer: f, Hardware: true, Name: "TPM 2.0 of this machine"}, nil
	case "unix", "tcp":
		return socket(kind, rest)
	}
	return nil, fmt.Errorf("TPM address %q: there is no kind %q: use soft, mem, device, unix or tcp", addr, kind)
}

func softFile(path, dir string) (*Opened, error) {
	if path == "" {
		path = filepath.Join(dir, "tpm.state")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("folder of the soft TPM: %w", err)
	}
	t, err := softtpm.OpenFile(path, softtpm.Config{})
	if err != nil {
		return nil, err
	}
	return &Opened{TPM: t, Closer: t, Name: softName}, nil
}

func socket(kind, rest string) (*Opened, error) {
	if kind == "tcp" {
		host, _, err := net.SplitHostPort(rest)
		if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return nil, fmt.Errorf("TPM address tcp:%s: only a TPM on this machine can be trusted with commands in clear", rest)
		}
	}
	d := net.Dialer{Timeout: dialTime}
	c, err := d.DialContext(context.Background(), kind, rest)
	if err != nil {
		return nil, fmt.Errorf("TPM socket: %w", err)
	}
	return &Opened{TPM: &stream{c: c}, Closer: c, Name: "TPM 2.0 emulator at " + kind + ":" + rest}, nil
}
