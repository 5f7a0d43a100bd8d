package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/test/bufconn"
)

// Network is where addresses mean something: "mem:idp", "unix:/run/x.sock" or
// "tcp:host:port". In-process is an address like any other, not another path
// through the code.
type Network interface {
	Listen(addr string) (net.Listener, error)
	Dial(ctx context.Context, addr string) (net.Conn, error)
}

// memBuffer is the size of one in-memory connection's buffer, in bytes.
const memBuffer = 256 << 10

// Mem is a network inside one process.
type Mem struct {
	mu        sync.Mutex
	listeners map[string]*bufconn.Listener
}

// NewMem returns an empty in-memory network.
func NewMem() *Mem { return &Mem{listeners: map[string]*bufconn.Listener{}} }

// Listen takes "mem:NAME"; a name can be taken again after a restart.
func (m *Mem) Listen(addr string) (net.Listener, error) {
	name, ok := strings.CutPrefix(addr, "mem:")
	if !ok {
		return nil, fmt.Errorf("address %q is not of the form mem:NAME", addr)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	l := bufconn.Listen(memBuffer)
	m.listeners[name] = l
	return l, nil
}

// Dial reaches a listener of the same network.
func (m *Mem) Dial(ctx context.Context, addr string) (net.Conn, error) {
	m.mu.Lock()
	l := m.listeners[strings.TrimPrefix(addr, "mem:")]
	m.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("nobody listens at %s", addr)
	}
	return l.DialContext(ctx)
}

// OS is the machine's network: unix and TCP sockets.
type OS struct{}

// Listen takes "unix:PATH" or "tcp:HOST:PORT". A unix socket is made with mode
// 0600 in a folder of mode 0700, and peers of another user are turned away
// before TLS begins.
func (OS) Listen(addr string) (net.Listener, error) {
	kind, rest, err := split(addr)
	if err != nil {
		return nil, err
	}
	if kind == "tcp" {
		return net.Listen("tcp", rest)
	}
	if err := os.MkdirAll(filepath.Dir(rest), 0o700); err != nil {
		return nil, fmt.Errorf("socket folder: %w", err)
	}
	if err := os.Remove(rest); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("old socket: %w", err)
	}
	l, err := net.Listen("unix", rest)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(rest, 0o600); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("socket mode: %w", err)
	}
	return sameUser{l}, nil
}

// Dial reaches a socket.
func (OS) Dial(ctx context.Context, addr string) (net.Conn, error) {
	kind, rest, err := split(addr)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	return d.DialContext(ctx, kind, rest)
}

func split(addr string) (kind, rest string, err error) {
	kind, rest, ok := strings.Cut(addr, ":")
	if !ok || rest == "" || (kind != "unix" && kind != "tcp") {
		return "", "", fmt.Errorf("address %q is not of the form unix:PATH or tcp:HOST:PORT", addr)
	}
	return kind, rest, nil
}

// sameUser turns away peers that run as somebody else; root may always, it could
// read our memory anyway.
type sameUser struct{ net.Listener }

func (l sameUser) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if uid, err := peerUID(c); err == nil && (uid == 0 || uid == uint32(os.Geteuid())) {
			return c, nil
		}
		_ = c.Close()
	}
}

func peerUID(c net.Conn) (uint32, error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return 0, errors.New("not a unix socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if credErr != nil {
		return 0, credErr
	}
	return cred.Uid, nil
}
