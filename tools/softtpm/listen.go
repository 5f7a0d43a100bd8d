package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
)

// controlSuffix is where tpm2-tss looks for the second channel of a Unix socket.
const controlSuffix = ".ctrl"

// pairTries bounds the search for two free ports in a row.
const pairTries = 64

// listen opens the command channel and the one for power beside it.
func listen(address string) (commands, control net.Listener, err error) {
	kind, rest, _ := strings.Cut(address, ":")
	switch kind {
	case "unix":
		return listenUnix(rest)
	case "tcp":
		return listenTCP(rest)
	}
	return nil, nil, fmt.Errorf("--listen %s is not unix:PATH or tcp:HOST:PORT", address)
}

func listenUnix(path string) (commands, control net.Listener, err error) {
	if path == "" {
		return nil, nil, errors.New("--listen unix: names no path")
	}
	for _, p := range []string{path, path + controlSuffix} {
		if err := vacant(p); err != nil {
			return nil, nil, err
		}
	}
	if commands, err = (rpc.OS{}).Listen("unix:" + path); err != nil {
		return nil, nil, err
	}
	if control, err = (rpc.OS{}).Listen("unix:" + path + controlSuffix); err != nil {
		return nil, nil, errors.Join(err, commands.Close())
	}
	return commands, control, nil
}

// vacant says whether a socket may be made at a path: nothing is there, or a
// socket that nobody serves any more.
func vacant(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("%s is there and is no socket: choose another path", path)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	if err == nil {
		return errors.Join(fmt.Errorf("%s is served by another process: stop it, or choose another path", path), c.Close())
	}
	return nil
}

func listenTCP(address string) (commands, control net.Listener, err error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, nil, fmt.Errorf("--listen tcp:%s: %w", address, err)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	ip := net.ParseIP(host)
	if ip == nil || !ip.IsLoopback() {
		return nil, nil, fmt.Errorf("--listen tcp:%s: whoever connects owns the TPM, so the address must be a loopback one", address)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 65535 {
		return nil, nil, fmt.Errorf("--listen tcp:%s: the port must be a number below 65535, because the next one is used too", address)
	}
	if number != 0 {
		return pair(host, int(number))
	}
	for range pairTries {
		probe, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			return nil, nil, err
		}
		free := probe.Addr().(*net.TCPAddr).Port
		_ = probe.Close()
		if commands, control, err := pair(host, free); err == nil {
			return commands, control, nil
		}
	}
	return nil, nil, errors.New("--listen: no two free ports in a row")
}

// pair listens at a port and the next.
func pair(host string, port int) (commands, control net.Listener, err error) {
	if commands, err = net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port))); err != nil {
		return nil, nil, err
	}
	if control, err = net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port+1))); err != nil {
		return nil, nil, errors.Join(err, commands.Close())
	}
	return commands, control, nil
}

// address is a listener's address in the form that --listen takes.
func address(l net.Listener) string { return l.Addr().Network() + ":" + l.Addr().String() }

// tcti is what tpm2-tss calls the same place.
func tcti(framing string, l net.Listener) string {
	if a, ok := l.Addr().(*net.TCPAddr); ok {
		return fmt.Sprintf("%s:host=%s,port=%d", framing, a.IP, a.Port)
	}
	return fmt.Sprintf("%s:path=%s", framing, l.Addr())
}
