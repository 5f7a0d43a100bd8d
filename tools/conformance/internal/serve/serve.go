// Package serve starts the tenant that the clients are run against, and knows who
// and what is in it.
//
// What lives here: the process of lockstep serve, the environment that points a
// client at it, and the names of testdata/tenants.yaml. What never may: anything of
// the server's code; the binary is a black box. The runner starts it, the programs
// that hold clients read the environment.
package serve

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// startTimeout bounds the time until the server says where it is.
const startTimeout = 30 * time.Second

// Server is a running lockstep serve.
type Server struct {
	// Ready is the line that it printed.
	Ready Ready
	cmd   *exec.Cmd
	ended chan struct{}
	err   error // why it ended, once ended is closed
}

// Ready says where a server is.
type Ready struct {
	// HTTPS and Proxy are HOST:PORT.
	HTTPS, Proxy string
	// CA is the file with the certificate that clients have to trust.
	CA string
	// Tenants are the tenants of the file, in its order.
	Tenants []struct{ ID, Domain string }
}

// Start runs the binary on free ports of the loopback interface. Its log goes to a
// file in dir.
func Start(ctx context.Context, binary, tenants, dir string) (*Server, error) {
	log, err := os.Create(filepath.Join(dir, "serve.log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.CommandContext(ctx, binary, "serve", "--listen", "127.0.0.1:0", "--proxy", "127.0.0.1:0",
		"--tenants", tenants, "--state", filepath.Join(dir, "state"), "--json")
	cmd.Stderr = log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w: run make build", binary, err)
	}
	s := &Server{cmd: cmd, ended: make(chan struct{})}
	first := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			if n == 0 {
				first <- lines.Text()
			}
		}
		close(first)
		s.err = cmd.Wait()
		close(s.ended)
	}()
	select {
	case line, ok := <-first:
		if !ok {
			return nil, fmt.Errorf("lockstep serve ended before it was ready: see %s", log.Name())
		}
		if err := json.Unmarshal([]byte(line), &s.Ready); err != nil {
			_ = s.Stop()
			return nil, fmt.Errorf("lockstep serve printed no JSON: %w", err)
		}
	case <-time.After(startTimeout):
		_ = s.Stop()
		return nil, fmt.Errorf("lockstep serve was not ready after %s: see %s", startTimeout, log.Name())
	}
	if s.Ready.Proxy == "" || s.Ready.CA == "" || len(s.Ready.Tenants) == 0 {
		_ = s.Stop()
		return nil, errors.New("lockstep serve named no proxy, no CA or no tenant")
	}
	return s, nil
}

// Ended is closed when the server has ended, whoever ended it.
func (s *Server) Ended() <-chan struct{} { return s.ended }

// Stop ends the server and waits for it. A server that ended before is an error.
func (s *Server) Stop() error {
	select {
	case <-s.ended:
		return errors.Join(errors.New("lockstep serve ended during the run"), s.err)
	default:
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-s.ended:
		return s.err
	case <-time.After(s.cmd.WaitDelay):
		return errors.Join(errors.New("lockstep serve did not end on SIGTERM"), s.cmd.Process.Kill())
	}
}

// Env is the environment of a client: base less every proxy and CA variable, with
// those of the server, and the world by name. Variables of one run begin with CONF_.
func (s *Server) Env(base []string, binary, dir, tools string) []string {
	var env []string
	for _, kv := range base {
		name, _, _ := strings.Cut(kv, "=")
		switch upper := strings.ToUpper(name); {
		case strings.HasSuffix(upper, "_PROXY"), strings.HasSuffix(upper, "_CA_BUNDLE"), strings.HasPrefix(upper, "SSL_CERT_"),
			strings.HasPrefix(upper, "AZURE_"), strings.HasPrefix(upper, "CONF_"), upper == "NODE_EXTRA_CA_CERTS", upper == "PATH", upper == "BROWSER":
		default:
			env = append(env, kv)
		}
	}
	proxy := "http://" + s.Ready.Proxy
	add := func(name, value string) { env = append(env, name+"="+value) }
	add("HTTPS_PROXY", proxy)
	add("https_proxy", proxy)
	add("NO_PROXY", "localhost,127.0.0.1")
	add("no_proxy", "localhost,127.0.0.1")
	for _, name := range [...]string{"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE", "CONF_CA"} {
		add(name, s.Ready.CA)
	}
	add("CONF_HTTPS", s.Ready.HTTPS)
	add("CONF_LOCKSTEP", binary)
	add("CONF_STATE", filepath.Join(dir, "state"))
	add("CONF_WORK", dir)
	add("CONF_BROWSER", filepath.Join(tools, "xdg-open"))
	add("BROWSER", filepath.Join(tools, "xdg-open")+" %s &") // Python's webbrowser reads it: the browser runs beside it
	add("PATH", tools+string(os.PathListSeparator)+os.Getenv("PATH"))
	for _, kv := range World() {
		add(kv[0], kv[1])
	}
	return env
}
