// Package cloud is the lockstep serve that a run signs in to.
//
// What lives here: the process, a client that trusts its authority and goes through
// its proxy, and the operator's command line. What never may: code of the server;
// the binary is a black box. The tests of the module are the only callers.
package cloud

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// startTimeout bounds the time until the server says where it is.
	startTimeout = 60 * time.Second
	// requestTimeout bounds one request of the client, and stopTimeout the end of the process.
	requestTimeout, stopTimeout = 30 * time.Second, 15 * time.Second
)

// Login is the name of the sign-in host, as the world knows it.
const Login = "login.microsoftonline.com"

// Config says what to start.
type Config struct {
	// Binary is lockstep, and Tenants the file with its tenants.
	Binary, Tenants string
	// Dir is an empty folder for state and log.
	Dir string
}

// Cloud is a running lockstep serve.
type Cloud struct {
	// HTTP goes through the server's proxy, trusts its authority and nothing else,
	// and follows no redirect.
	HTTP *http.Client
	// Proxy is HOST:PORT, and Log the file with what the server said.
	Proxy, Log string

	cfg   Config
	https string
	roots *x509.CertPool
	cmd   *exec.Cmd
	ended chan struct{}
	err   error // why it ended, once ended is closed
}

// Start runs the binary on free ports of the loopback interface.
func Start(ctx context.Context, cfg Config) (*Cloud, error) {
	c := &Cloud{cfg: cfg, Log: filepath.Join(cfg.Dir, "serve.log"), ended: make(chan struct{})}
	log, err := os.Create(c.Log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	c.cmd = exec.CommandContext(ctx, cfg.Binary, "serve", "--listen", "127.0.0.1:0", "--proxy", "127.0.0.1:0",
		"--tenants", cfg.Tenants, "--state", c.state(), "--lab", "--json")
	c.cmd.Stderr = log
	c.cmd.Cancel = func() error { return c.cmd.Process.Signal(syscall.SIGTERM) }
	c.cmd.WaitDelay = stopTimeout
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} // also when a test breaks off the run
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w: run make build", cfg.Binary, err)
	}
	first := make(chan []byte, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			if n == 0 {
				first <- append([]byte(nil), lines.Bytes()...)
			}
		}
		close(first)
		c.err = c.cmd.Wait()
		close(c.ended)
	}()
	select {
	case line := <-first:
		err = c.ready(line)
	case <-time.After(startTimeout):
		err = errors.New("it said nothing")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lockstep serve did not start: %w: see %s", err, c.Log), c.Stop())
	}
	return c, nil
}

func (c *Cloud) state() string { return filepath.Join(c.cfg.Dir, "state") }

// ready reads the line that the server printed.
func (c *Cloud) ready(line []byte) error {
	var r struct{ HTTPS, Proxy, CA string }
	if err := json.Unmarshal(line, &r); err != nil {
		return fmt.Errorf("no line of JSON: %w", err)
	}
	ca, err := os.ReadFile(r.CA)
	if err != nil {
		return err
	}
	c.roots = x509.NewCertPool()
	if !c.roots.AppendCertsFromPEM(ca) {
		return errors.New("its authority is no certificate")
	}
	c.https, c.Proxy = r.HTTPS, r.Proxy
	c.HTTP = &http.Client{
		Timeout:       requestTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:           http.ProxyURL(&url.URL{Scheme: "http", Host: r.Proxy}),
			TLSClientConfig: &tls.Config{RootCAs: c.roots, MinVersion: tls.VersionTLS12},
		},
	}
	return nil
}

// PublicKeys are the base64 SHA-256 sums of the keys with which the server answers
// for these names. The chain to its authority is checked here, once, so that a
// browser may take the keys for good.
func (c *Cloud) PublicKeys(ctx context.Context, names ...string) ([]string, error) {
	var sums []string
	for _, name := range names {
		d := tls.Dialer{Config: &tls.Config{RootCAs: c.roots, ServerName: name, MinVersion: tls.VersionTLS12}}
		conn, err := d.DialContext(ctx, "tcp", c.https)
		if err != nil {
			return nil, fmt.Errorf("the server as %s: %w", name, err)
		}
		leaf := conn.(*tls.Conn).ConnectionState().PeerCertificates[0]
		_ = conn.Close()
		sum := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
		sums = append(sums, base64.StdEncoding.EncodeToString(sum[:]))
	}
	return sums, nil
}

// Stop ends the server. A server that ended before is an error.
func (c *Cloud) Stop() error {
	select {
	case <-c.ended:
		return errors.Join(errors.New("lockstep serve ended by itself"), c.err)
	default:
	}
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-c.ended:
		return c.err
	case <-time.After(stopTimeout):
		return errors.Join(errors.New("lockstep serve did not end on SIGTERM"), c.cmd.Process.Kill())
	}
}
