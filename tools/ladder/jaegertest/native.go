package jaegertest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

const (
	// programEnv is the path of Jaeger's program; needEnv, when it is 1, has a test fail
	// that would skip without it.
	programEnv = "JAEGER"
	needEnv    = "LOCKSTEP_NEED_JAEGER"
	// upWithin bounds the start of Jaeger.
	upWithin = 60 * time.Second
)

// Native starts the real Jaeger, with its traces in memory, on addresses of its own. The
// program is that which JAEGER names, or bin/jaeger of the repository. Where there is
// none the test is skipped, or fails when LOCKSTEP_NEED_JAEGER is 1.
func Native(t testing.TB) Jaeger {
	t.Helper()
	program := find()
	if program == "" {
		if os.Getenv(needEnv) == "1" {
			t.Fatalf("there is no Jaeger: run make jaeger, or name its program in %s", programEnv)
		}
		t.Skipf("there is no Jaeger to compare with: run make jaeger, or name its program in %s", programEnv)
	}
	ports := free(t, 5)
	j := Jaeger{OTLP: "127.0.0.1:" + ports[0], URL: "http://127.0.0.1:" + ports[1]}
	config := filepath.Join(t.TempDir(), "jaeger.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, jaegerConfig, ports[2], ports[3], ports[1], ports[4], ports[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	log := &tail{}
	cmd := exec.Command(program, "--config", "file:"+config) //nolint:gosec,noctx // the program that the tester names; it ends with the test
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = log, log, &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		_ = cmd.Wait() // it has no work of ours to lose
	})
	ctx, cancel := context.WithTimeout(t.Context(), upWithin)
	defer cancel()
	for !answers(ctx, j.URL+"/api/v3/services") || !listens(ctx, j.OTLP) {
		select {
		case <-ctx.Done():
			t.Fatalf("Jaeger did not start: %v\n%s", ctx.Err(), log)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return j
}

// jaegerConfig has Jaeger keep traces in memory. The addresses are those of its metrics,
// health, query over HTTP and gRPC, and OTLP.
const jaegerConfig = `
service:
  extensions: [jaeger_storage, jaeger_query, healthcheckv2]
  pipelines:
    traces: {receivers: [otlp], exporters: [jaeger_storage_exporter]}
  telemetry:
    logs: {level: warn}
    metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: %s}}}}]}
    resource: {service.name: jaeger}
extensions:
  healthcheckv2: {use_v2: true, http: {endpoint: "127.0.0.1:%s"}}
  jaeger_query:
    storage: {traces: kept}
    http: {endpoint: "127.0.0.1:%s"}
    grpc: {endpoint: "127.0.0.1:%s"}
  jaeger_storage:
    backends: {kept: {memory: {max_traces: 10000}}}
receivers:
  otlp: {protocols: {grpc: {endpoint: "127.0.0.1:%s"}}}
exporters:
  jaeger_storage_exporter: {trace_storage: kept}
`

// find is the path of Jaeger's program, or empty.
func find() string {
	if named := os.Getenv(programEnv); named != "" {
		return named
	}
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			path := filepath.Join(dir, "bin", "jaeger")
			if _, err := os.Stat(path); err == nil {
				return path
			}
			return ""
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

// free are ports of this machine that nobody listened at a moment ago.
func free(t testing.TB, n int) []string {
	t.Helper()
	var ports []string
	for range n {
		var lc net.ListenConfig
		l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }() //nolint:revive // all at once, so that they differ
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, port)
	}
	return ports
}

func answers(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func listens(ctx context.Context, addr string) bool {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}
