package serve_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/serve"
)

// start runs a server whose notes nobody outside of the test sees.
func start(t *testing.T, cfg serve.Config) *serve.Server {
	t.Helper()
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	s, err := serve.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func alone(t *testing.T) { t.Helper(); t.Setenv("XDG_RUNTIME_DIR", t.TempDir()) }

func stop(t *testing.T, s *serve.Server) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// visitor is a client that was given the variables and nothing else.
func visitor(t *testing.T, i serve.Info) *http.Client {
	t.Helper()
	ca, err := os.ReadFile(i.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	tr := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: i.Proxy}), TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Timeout: 5 * time.Second, Transport: tr}
}

func reaches(t *testing.T, c *http.Client, name string) {
	t.Helper()
	resp, err := c.Get("https://" + name + "/")
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	_ = resp.Body.Close()
	if resp.StatusCode == http.StatusMisdirectedRequest {
		t.Errorf("%s is not served", name)
	}
}

func TestDEP02_DEP04_AWholeTenantInOneProcess(t *testing.T) {
	alone(t)
	s := start(t, serve.Config{Names: []string{"idp.lab.test"}})
	i := s.Info()
	for _, name := range []string{"login.microsoftonline.com", "enterpriseregistration.windows.net", "graph.microsoft.com", "sts.adatum.test", "idp.lab.test"} {
		reaches(t, visitor(t, i), name)
	}
	mex, err := visitor(t, i).Get("https://sts.adatum.test/adfs/services/trust/mex")
	if err != nil {
		t.Fatal(err)
	}
	if _ = mex.Body.Close(); mex.StatusCode != http.StatusOK || !strings.Contains(mex.Header.Get("Content-Type"), "xml") {
		t.Errorf("the federation provider answers %s, %v", mex.Status, mex.Header)
	}
	page, err := visitor(t, i).Get("https://login.microsoftonline.com/error?code=50126")
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(page.Body)
	if _ = page.Body.Close(); page.StatusCode != http.StatusOK || !strings.Contains(string(text), "InvalidUserNameOrPassword") {
		t.Errorf("the page of an error code: %s", page.Status)
	}
	if len(i.Tenants) != 2 || i.Tenants[0].Domain != "contoso.test" || len(i.Users) < 6 || i.PID != os.Getpid() {
		t.Errorf("the note: %+v", i)
	}
	conn, err := i.Dial()
	if err != nil {
		t.Fatal(err)
	}
	admin := directoryv1.NewAdminServiceClient(conn)
	if _, err := admin.SetUserEnabled(t.Context(), &directoryv1.SetUserEnabledRequest{UserPrincipalName: "alice@contoso.test"}); err != nil {
		t.Errorf("the operator: %v", err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	stop(t, s)
	if _, err := os.Stat(i.State); !os.IsNotExist(err) {
		t.Errorf("the state is still there: %v", err)
	}
	if _, err := serve.Find(""); err == nil || !strings.Contains(err.Error(), "no lockstep serve is running") {
		t.Errorf("after the end: %v", err)
	}
}

func TestDEP05_ARestartHasNewKeysUnlessStateIsKept(t *testing.T) {
	alone(t)
	ca := func(cfg serve.Config) []byte {
		s := start(t, cfg)
		defer stop(t, s)
		b, err := os.ReadFile(s.Info().CA)
		if err != nil {
			t.Fatal(err)
		}
		reaches(t, visitor(t, s.Info()), "login.windows.net")
		return b
	}
	if bytes.Equal(ca(serve.Config{}), ca(serve.Config{})) {
		t.Error("a restart without a state folder has the same authority")
	}
	if one, two := signingKeys(t, serve.Config{}), signingKeys(t, serve.Config{}); one == two || !strings.Contains(one, "kid") {
		t.Errorf("a restart without a state folder signs with the same keys:\n%s\n%s", one, two)
	}
	dir := filepath.Join(t.TempDir(), "state")
	if !bytes.Equal(ca(serve.Config{State: dir}), ca(serve.Config{State: dir})) {
		t.Error("a restart on a state folder has another authority")
	}
	if one, two := signingKeys(t, serve.Config{State: dir}), signingKeys(t, serve.Config{State: dir}); one != two {
		t.Errorf("a restart on a state folder signs with other keys:\n%s\n%s", one, two)
	}
	if _, err := os.Stat(filepath.Join(dir, "operator")); !os.IsNotExist(err) {
		t.Error("the operator's identity outlived its authority")
	}
}

// signingKeys are the keys that tokens of a fresh server are verified with.
func signingKeys(t *testing.T, cfg serve.Config) string {
	t.Helper()
	s := start(t, cfg)
	defer stop(t, s)
	resp, err := visitor(t, s.Info()).Get("https://login.microsoftonline.com/common/discovery/v2.0/keys")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("keys: %s, %v", resp.Status, err)
	}
	return string(b)
}

func TestOneServerAStateFolder(t *testing.T) {
	alone(t)
	dir := filepath.Join(t.TempDir(), "s")
	s := start(t, serve.Config{State: dir})
	if _, err := serve.Start(serve.Config{Listen: "127.0.0.1:0", State: dir}); err == nil || !strings.Contains(err.Error(), "in use by another") {
		t.Errorf("a second server: %v", err)
	}
	if i, err := serve.Find(dir); err != nil || i.HTTPS != s.Info().HTTPS {
		t.Errorf("the first one is lost: %v", err)
	}
	stop(t, s)
	if _, err := serve.Find(dir); err == nil || !strings.Contains(err.Error(), "lockstep serve --state "+dir) {
		t.Errorf("after the end: %v", err)
	}
}

func TestTheNewestServerIsFound(t *testing.T) {
	alone(t)
	dir := filepath.Join(t.TempDir(), "s")
	s := start(t, serve.Config{State: dir, Proxy: "off"})
	defer stop(t, s)
	if s.Info().Proxy != "" {
		t.Error("a proxy that was not wanted")
	}
	// A server that died without a word, later than the one that runs.
	notes := filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "lockstep")
	dead := filepath.Join(notes, "serve-1.json")
	if err := os.WriteFile(dead, []byte(`{"admin":"unix:/nowhere/admin.sock","pid":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	late := time.Now().Add(time.Minute)
	if err := os.Chtimes(dead, late, late); err != nil {
		t.Fatal(err)
	}
	if i, err := serve.Find(""); err != nil || i.State != dir {
		t.Errorf("found %+v, %v", i, err)
	}
	if _, err := os.Stat(dead); !os.IsNotExist(err) {
		t.Error("the note of the dead server is still there")
	}
}

// Only who can read the operator's key is the operator.
func TestTheDoorIsTheOperators(t *testing.T) {
	alone(t)
	s := start(t, serve.Config{})
	defer stop(t, s)
	dir := filepath.Join(s.Info().State, "operator")
	if info, err := os.Stat(filepath.Join(dir, "key.pem")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v", err)
	}
	// An identity of another server's authority is nobody here.
	other := start(t, serve.Config{})
	stranger := other.Info()
	stranger.Admin = s.Info().Admin
	conn, err := stranger.Dial()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err = directoryv1.NewReadServiceClient(conn).ListDevices(ctx, &directoryv1.ListDevicesRequest{TenantId: s.Info().Tenants[0].ID})
	if prterr.KindOf(err) != prterr.Unavailable {
		t.Errorf("a stranger at the door: %v", err)
	}
	_ = conn.Close()
	stop(t, other)
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	alone(t)
	bad := filepath.Join(t.TempDir(), "tenants.yaml")
	if err := os.WriteFile(bad, []byte("tenants:\n  - id: 6babcaad-604b-40ac-a9d7-9fd97c0b779f\n    colour: blue\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	for want, cfg := range map[string]serve.Config{
		"line 3":          {Tenants: bad},
		"no such file":    {Tenants: bad + ".not"},
		"other machines":  {Listen: "0.0.0.0:0"},
		"not a host name": {Names: []string{"A B"}},
		"HOST:PORT":       {Listen: "8443"},
		"use a shorter":   {State: filepath.Join(t.TempDir(), strings.Repeat("x", 120))},
		"proxy listener":  {Proxy: taken.Addr().String()},
	} {
		if cfg.Listen == "" {
			cfg.Listen = "127.0.0.1:0"
		}
		if s, err := serve.Start(cfg); err == nil {
			stop(t, s)
			t.Errorf("%q: it started", want)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// A tenant file of one's own, without a federated domain: no federation provider.
func TestATenantFile(t *testing.T) {
	alone(t)
	file := filepath.Join(t.TempDir(), "tenants.yaml")
	yaml := `tenants:
  - id: 0f0f0f0f-604b-40ac-a9d7-9fd97c0b779f
    display_name: Mine
    domains:
      - name: mine.test
    users:
      - id: 1f6b0a5c-8f0d-4a53-9d3c-2f6f2c1d7a01
        upn: me@mine.test
        display_name: Me
        password: a password of mine
`
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, serve.Config{Tenants: file})
	defer stop(t, s)
	if i := s.Info(); len(i.Tenants) != 1 || i.Tenants[0].Domain != "mine.test" || len(i.Users) != 1 {
		t.Errorf("%+v", i)
	}
	for _, n := range s.Info().Names {
		if strings.Contains(n, "adatum") {
			t.Errorf("%s is served", n)
		}
	}
}
