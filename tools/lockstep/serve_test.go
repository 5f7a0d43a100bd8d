package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/serve"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/trust"
)

// serving starts a server in this process that the commands will find.
func serving(t *testing.T, cfg serve.Config) serve.Info {
	t.Helper()
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	cfg.Listen = "127.0.0.1:0"
	s, err := serve.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.Info()
}

// The program as its users run it: ready in time, one line of JSON, gone without
// a trace on SIGTERM.
func TestDEP02_ServeAsAProcess(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "lockstep")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	// A machine may be busy with other tests: one start of some has to be in time.
	best := time.Hour
	var cmd *exec.Cmd
	var i serve.Info
	for try := 0; try < 5 && best > 2*time.Second; try++ {
		if cmd != nil {
			end(t, cmd)
		}
		began := time.Now()
		cmd, i = process(t, bin)
		best = min(best, time.Since(began))
	}
	if best > 2*time.Second {
		t.Errorf("ready after %v", best)
	}
	ca, err := os.ReadFile(i.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	c := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	resp, err := c.Get("https://" + i.HTTPS + "/")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if i.PID != cmd.Process.Pid || len(i.Tenants) != 2 || i.IssuerHost != "login.microsoftonline.com" || !strings.HasPrefix(i.Admin, "unix:/") {
		t.Errorf("%+v", i)
	}
	end(t, cmd)
	if _, err := os.Stat(i.State); !os.IsNotExist(err) {
		t.Errorf("the state is still there: %v", err)
	}
}

// process starts the program and reads its ready message.
func process(t *testing.T, bin string) (*exec.Cmd, serve.Info) {
	t.Helper()
	cmd := exec.Command(bin, "serve", "--listen", "127.0.0.1:0", "--proxy", "127.0.0.1:0", "--json")
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir())
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadBytes('\n')
	var i serve.Info
	if err != nil || json.Unmarshal(line, &i) != nil {
		t.Fatalf("the ready message: %s, %v", line, err)
	}
	return cmd, i
}

func end(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the end: %v", err)
	}
}

func TestServeSaysWhatIsServed(t *testing.T) {
	i := serving(t, serve.Config{})
	var out bytes.Buffer
	if err := announce(&out, i, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{i.HTTPS, i.Proxy, i.CA, "contoso.test", i.Tenants[1].ID, "alice@contoso.test", `eval "$(lockstep trust --shell --state '` + i.State + `')"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

// What trust prints is read by a shell, and a client that reads nothing else
// finds the laboratory.
func TestDEP04_TrustForAShell(t *testing.T) {
	i := serving(t, serve.Config{State: filepath.Join(t.TempDir(), "it's here")})
	for _, args := range [][]string{{"trust", "--shell"}, {"trust", "--state", i.State}} {
		out, err := command(t, args...)
		if err != nil {
			t.Fatal(err)
		}
		out = withoutNotes(out)
		sh := exec.CommandContext(t.Context(), "sh", "-euc", out+"\nprintf '%s\\n' \"$SSL_CERT_FILE\" \"$REQUESTS_CA_BUNDLE\" \"$CURL_CA_BUNDLE\" \"$NODE_EXTRA_CA_CERTS\" \"$HTTPS_PROXY\" \"$https_proxy\" \"$NO_PROXY\"")
		sh.Env = []string{"PATH=" + os.Getenv("PATH")}
		got, err := sh.CombinedOutput()
		want := strings.Repeat(i.CA+"\n", 4) + strings.Repeat("http://"+i.Proxy+"\n", 2) + "localhost,127.0.0.1,::1\n"
		if err != nil || string(got) != want {
			t.Errorf("%v: %v\n%s\nwant\n%s", args, err, got, want)
		}
	}
	// Everything but the variables is a comment.
	out, err := command(t, "trust")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(withoutNotes(out)) {
		if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "export ") {
			t.Errorf("a shell would run %q", line)
		}
	}
	for _, want := range []string{"REQUESTS_CA_BUNDLE", "roadtx", "127.0.0.1 login.microsoftonline.com", "--listen 127.0.0.1:443", "certutil"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// withoutNotes leaves out what goes to standard error.
func withoutNotes(out string) string {
	var b strings.Builder
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "lockstep: ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func TestDEP04_TrustForPrograms(t *testing.T) {
	i := serving(t, serve.Config{State: filepath.Join(t.TempDir(), "s")})
	out, err := command(t, "trust", "--json", "--state", i.State)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		CA    string
		Env   map[string]string
		Hosts []string
		Names []string
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || got.CA != i.CA || got.Env["NODE_EXTRA_CA_CERTS"] != i.CA || len(got.Names) < 10 || len(got.Hosts) < 10 {
		t.Errorf("%v\n%s", err, out)
	}
	dir := filepath.Join(t.TempDir(), "out")
	if out, err = command(t, "trust", "--write", dir, "--state", i.State); err != nil || strings.Count(out, "\n") != 3 {
		t.Fatalf("%v\n%s", err, out)
	}
	env, err := os.ReadFile(filepath.Join(dir, "env"))
	if err != nil || !strings.Contains(string(env), "SSL_CERT_FILE="+trust.Quote(filepath.Join(dir, "ca.pem"))) {
		t.Errorf("%v\n%s", err, env)
	}
	written, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	original, _ := os.ReadFile(i.CA)
	if err != nil || !bytes.Equal(written, original) || bytes.Contains(written, []byte("PRIVATE")) {
		t.Errorf("the certificate: %v", err)
	}
	hosts, err := command(t, "trust", "--hosts", "--state", i.State)
	if err != nil || !strings.Contains(hosts, "\n127.0.0.1 enterpriseregistration.windows.net\n") || strings.Contains(hosts, "*") || strings.Contains(hosts, "localhost") {
		t.Errorf("%v\n%s", err, hosts)
	}
	if _, err := command(t, "trust", "--json", "--hosts"); err == nil {
		t.Error("two forms at once")
	}
}

func TestTrustWithoutAServer(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	if _, err := command(t, "trust"); err == nil || !strings.Contains(err.Error(), "no lockstep serve is running") {
		t.Errorf("nobody serves: %v", err)
	}
	dir := filepath.Join(t.TempDir(), "s")
	if _, err := command(t, "trust", "--state", dir); err == nil {
		t.Error("a folder that is not there")
	}
	s, err := serve.Start(serve.Config{Listen: "127.0.0.1:0", State: dir})
	if err != nil {
		t.Fatal(err)
	}
	ca := s.Info().CA
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	out, err := command(t, "trust", "--shell", "--state", dir)
	if err != nil || !strings.Contains(out, ca) || strings.Contains(out, "PROXY") || !strings.Contains(out, "this is its certificate only") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestTheClockOfALaboratoryOnly(t *testing.T) {
	lab := clock.NewLab()
	i := serving(t, serve.Config{Lab: lab})
	if out, err := command(t, "tenant", "--state", i.State, "advance", "336h"); err != nil || !strings.HasPrefix(out, "it is ") || time.Until(lab.Now()) < 335*time.Hour {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := command(t, "tenant", "--state", i.State, "advance", "soon"); err == nil {
		t.Error("soon is a duration")
	}
	fixed := serving(t, serve.Config{})
	if _, err := command(t, "tenant", "--state", fixed.State, "advance", "1h"); err == nil || !strings.Contains(err.Error(), "serve --lab") {
		t.Errorf("the clock of a server that is no laboratory: %v", err)
	}
}
