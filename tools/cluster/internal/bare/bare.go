// Package bare runs etcd and kube-apiserver on the loopback, and nothing else of
// Kubernetes: no node, no container. Schema, defaults, validation and admission
// (PodSecurity among it) are those of a real server; nothing is scheduled or started.
// It is where manifests are judged on a machine without containers. What never may live
// here: a manifest. The command test calls it.
package bare

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/lockstep-sso/lockstep/tools/cluster/internal/sh"
)

// upWithin bounds the start of the two servers: 17 s were seen on a machine under load.
const upWithin = 3 * time.Minute

// Config says which programs, and where.
type Config struct {
	Shell *sh.Shell
	// Etcd and APIServer are the programs.
	Etcd, APIServer string
	// Dir is an empty folder for keys, data and logs.
	Dir string
}

// Server is an API server that runs.
type Server struct {
	cfg  Config
	stop []func()
	done []<-chan error
	logs []*os.File
}

// Start starts both and returns when the API is ready. Kubeconfig has the way there.
func Start(ctx context.Context, cfg Config, ready func(context.Context, string) error) (_ *Server, err error) {
	s := &Server{cfg: cfg}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	keys, err := newPKI(cfg.Dir)
	if err != nil {
		return nil, err
	}
	for file, name := range map[string]string{"etcd": "etcd", "apiserver": "kube-apiserver", "accounts": "accounts"} {
		if err := keys.issue(file, name); err != nil {
			return nil, err
		}
	}
	if err := keys.issue("admin", "admin", "system:masters"); err != nil {
		return nil, err
	}
	ports, err := freePorts(ctx, 3)
	if err != nil {
		return nil, err
	}
	if err := s.start(ctx, "etcd.log", cfg.Etcd, etcdArgs(keys, ports)); err != nil {
		return nil, err
	}
	if err := s.start(ctx, "apiserver.log", cfg.APIServer, apiArgs(keys, ports)); err != nil {
		return nil, err
	}
	if err := s.kubeconfig(keys, ports[2]); err != nil {
		return nil, err
	}
	return s, s.await(ctx, ready)
}

func etcdArgs(k *pki, ports []int) []string {
	client, peer := loopback(ports[0]), loopback(ports[1])
	return []string{
		"--data-dir", k.path("etcd"), "--unsafe-no-fsync",
		"--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default=" + peer,
		"--client-cert-auth", "--trusted-ca-file", k.path("ca.pem"), "--cert-file", k.path("etcd.pem"), "--key-file", k.path("etcd.key"),
		"--peer-client-cert-auth", "--peer-trusted-ca-file", k.path("ca.pem"), "--peer-cert-file", k.path("etcd.pem"), "--peer-key-file", k.path("etcd.key"),
	}
}

func apiArgs(k *pki, ports []int) []string {
	return []string{
		"--etcd-servers", loopback(ports[0]),
		"--etcd-cafile", k.path("ca.pem"), "--etcd-certfile", k.path("apiserver.pem"), "--etcd-keyfile", k.path("apiserver.key"),
		"--bind-address", "127.0.0.1", "--secure-port", strconv.Itoa(ports[2]),
		"--tls-cert-file", k.path("apiserver.pem"), "--tls-private-key-file", k.path("apiserver.key"),
		"--client-ca-file", k.path("ca.pem"), "--anonymous-auth=false", "--authorization-mode", "RBAC",
		"--service-account-key-file", k.path("accounts.pem"), "--service-account-signing-key-file", k.path("accounts.key"),
		"--service-account-issuer", "https://bare.invalid", "--service-cluster-ip-range", "10.0.0.0/24",
		// Nobody makes the default service accounts here, and its plugin wants them.
		"--disable-admission-plugins", "ServiceAccount",
		// Without it the server refuses a privileged pod itself, before PodSecurity is asked.
		"--allow-privileged=true",
	}
}

// Kubeconfig is the path of the administrator's.
func (s *Server) Kubeconfig() string { return filepath.Join(s.cfg.Dir, "kubeconfig") }

// Log is the path of the API server's log.
func (s *Server) Log() string { return filepath.Join(s.cfg.Dir, "apiserver.log") }

// Close ends both, the API server first, and waits for their end.
func (s *Server) Close() {
	for i := len(s.stop) - 1; i >= 0; i-- {
		s.stop[i]()
		for range s.done[i] { // until it is closed; an end by order is no news
		}
	}
	for _, f := range s.logs {
		_ = f.Close()
	}
	s.stop, s.done, s.logs = nil, nil, nil
}

func (s *Server) start(ctx context.Context, log, program string, args []string) error {
	f, err := os.OpenFile(filepath.Join(s.cfg.Dir, log), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	s.logs = append(s.logs, f)
	stop, done := s.cfg.Shell.Start(ctx, sh.Job{Name: program, Args: args, Out: f, Err: f})
	s.stop, s.done = append(s.stop, stop), append(s.done, done)
	return nil
}

func (s *Server) await(ctx context.Context, ready func(context.Context, string) error) error {
	ctx, cancel := context.WithTimeout(ctx, upWithin)
	defer cancel()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		err := ready(ctx, s.Kubeconfig())
		if err == nil {
			return nil
		}
		select {
		case ended := <-s.done[0]:
			return s.dead("etcd", ended)
		case ended := <-s.done[1]:
			return s.dead("kube-apiserver", ended)
		case <-ctx.Done():
			return fmt.Errorf("the API server is not ready after %s: %w; the end of its log:\n%s", upWithin, err, end(s.Log()))
		case <-tick.C:
		}
	}
}

func (s *Server) dead(who string, ended error) error {
	file := filepath.Join(s.cfg.Dir, "etcd.log")
	if who != "etcd" {
		file = s.Log()
	}
	if ended == nil {
		ended = errors.New("it ended")
	}
	return fmt.Errorf("%s: %w; the end of its log:\n%s", who, ended, end(file))
}

// kubeconfig is JSON, which every reader of YAML takes.
func (s *Server) kubeconfig(k *pki, port int) error {
	text := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"bare",
"clusters":[{"name":"bare","cluster":{"server":%q,"certificate-authority":%q}}],
"users":[{"name":"admin","user":{"client-certificate":%q,"client-key":%q}}],
"contexts":[{"name":"bare","context":{"cluster":"bare","user":"admin"}}]}
`, loopback(port), k.path("ca.pem"), k.path("admin.pem"), k.path("admin.key"))
	if err := os.WriteFile(s.Kubeconfig(), []byte(text), 0o600); err != nil {
		return fmt.Errorf("kubeconfig: %w", err)
	}
	return nil
}

// end is the last 3 KiB of a file.
func end(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && info.Size() > 3<<10 {
		if _, err := f.Seek(-3<<10, io.SeekEnd); err != nil {
			return err.Error()
		}
	}
	text, err := io.ReadAll(io.LimitReader(f, 3<<10))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func loopback(port int) string { return "https://127.0.0.1:" + strconv.Itoa(port) }

// freePorts finds ports that are free now. All are held until all are known, so that
// they differ.
func freePorts(ctx context.Context, n int) ([]int, error) {
	var (
		ports []int
		held  []net.Listener
	)
	defer func() {
		for _, l := range held {
			_ = l.Close()
		}
	}()
	for range n {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("free port: %w", err)
		}
		held = append(held, l)
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
