package canary_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/demo"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// world is a lab of processes with one joined device and a tap before its agent.
// Everything it writes is in dir: state, the components' logs and their traces.
type world struct {
	t      *testing.T
	dir    string
	lab    *lab.Lab
	device *lab.Device
	tenant demo.Tenant
	admin  directoryv1.AdminServiceClient
	tap    *tap
	spans  *spans
	stop   func()
	// aborted says that a component was ended by force, so that not all end in order.
	aborted bool
}

func newWorld(t *testing.T, dir, tpm string, change ...func(*lab.Config)) *world {
	t.Helper()
	t.Setenv("LOCKSTEP_LAB_DUMPABLE", "on") // else only root reads the memory of a component
	bin := filepath.Join(dir, "lockstep")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "github.com/lockstep-sso/lockstep/tools/lockstep").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	w := &world{t: t, dir: dir, tenant: demo.DefaultTenant(), spans: receiveSpans(t, filepath.Join(dir, "spans.sock"))}
	log := w.logTo(filepath.Join(dir, "log"))
	cfg := lab.Config{
		Dir: filepath.Join(dir, "lab"), Processes: true, Self: []string{bin, "component"}, TPM: tpm, LogLevel: "debug", OTLP: "unix:" + filepath.Join(dir, "spans.sock"),
	}
	for _, c := range change {
		c(&cfg)
	}
	l, err := lab.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	w.lab, w.stop = l, func() {
		once.Do(func() {
			if err := l.Close(); err != nil && !w.aborted {
				t.Error(err)
			}
			log()
		})
	}
	t.Cleanup(w.stop)
	operator, err := l.Dial(t.Context(), "operator", "idp")
	if err != nil {
		t.Fatal(err)
	}
	w.admin = directoryv1.NewAdminServiceClient(operator)
	if w.device, err = l.AddDevice(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.tap = newTap(t, filepath.Join(dir, "lab", "run", w.device.Name+"-tpm-agent.sock"), func(component string) string { return w.device.StateDir(component) + "-identity" })
	// Who has called the agent already has a connection that does not go through the tap.
	for _, caller := range []string{"dsreg", "lsa-cloudap", "wam-broker"} {
		if err := w.device.Restart(t.Context(), caller); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.device.Operator.Join(t.Context(), w.tenant.User, w.tenant.Password, "DESKTOP"); err != nil {
		t.Fatal(err)
	}
	return w
}

// logTo gives the processes that start from now on a file as standard error, and
// returns what ends that.
func (w *world) logTo(path string) (end func()) {
	w.t.Helper()
	f, err := os.Create(path)
	if err != nil {
		w.t.Fatal(err)
	}
	before := os.Stderr
	os.Stderr = f // the lab's processes inherit it
	return func() { os.Stderr = before; _ = f.Close() }
}

// firstDay is what somebody new does: sign in, which brings a session key, ask for
// a token, sign out. Some also use the browser, or stay until the PRT is renewed.
func (w *world) firstDay(nth int) {
	w.t.Helper()
	upn := fmt.Sprintf("person%d@contoso.test", nth)
	if _, err := w.admin.CreateUser(w.t.Context(), &directoryv1.CreateUserRequest{UserPrincipalName: upn, Password: w.tenant.Password.Reveal()}); err != nil {
		w.t.Fatal(err)
	}
	w.signIn(upn, nth%10 == 0)
	if nth%10 == 5 {
		if err := w.lab.Advance(w.t.Context(), 4*time.Hour+time.Minute); err != nil {
			w.t.Fatal(err)
		}
		w.signIn(upn, false)
	}
}

func (w *world) signIn(upn string, browser bool) {
	w.t.Helper()
	ctx := w.t.Context()
	desktop, _, err := w.device.LogonUI.SignIn(ctx, upn, w.tenant.Password)
	if err != nil {
		w.t.Fatalf("%s: %v", upn, err)
	}
	wait, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := w.device.Operator.AwaitSSOState(wait, nil); err != nil {
		w.t.Fatalf("%s: %v", upn, err)
	}
	if _, _, err := w.device.App(w.tenant.App).Token(ctx, desktop, w.tenant.Resource, true); err != nil {
		w.t.Fatalf("%s: %v", upn, err)
	}
	if browser {
		if v, err := w.device.Browser.Open(ctx, desktop, w.tenant.Page, secret.Text{}); err != nil || v.SignInPage {
			w.t.Fatalf("%s: no single sign-on: %v", upn, err)
		}
	}
	if err := w.device.LogonUI.SignOut(ctx, desktop); err != nil {
		w.t.Fatal(err)
	}
}

// pids are the processes of the lab by component.
func (w *world) pids() map[string]int {
	w.t.Helper()
	found := map[string]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		w.t.Skipf("no /proc to find processes in: %v", err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		line, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline")) // it may have ended
		args := strings.Split(string(line), "\x00")
		if len(args) > 2 && strings.HasPrefix(args[0], w.dir) && args[1] == "component" {
			found[args[2]] = pid
		}
	}
	for _, name := range []string{"idp", "adfs", "tpm-agent", "dsreg", "lsa-cloudap", "wam-broker"} {
		if found[name] == 0 {
			w.t.Fatalf("no process of %s among %v", name, found)
		}
	}
	return found
}

// spans takes the traces of all processes as they are sent.
type spans struct {
	collector.UnimplementedTraceServiceServer
	mu  sync.Mutex
	raw []byte
}

func receiveSpans(t *testing.T, socket string) *spans {
	t.Helper()
	l, err := rpc.OS{}.Listen("unix:" + socket)
	if err != nil {
		t.Fatal(err)
	}
	s, server := new(spans), grpc.NewServer()
	collector.RegisterTraceServiceServer(server, s)
	go func() { _ = server.Serve(l) }() // ends with Stop
	t.Cleanup(server.Stop)
	return s
}

// Export keeps what came.
func (s *spans) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	raw, err := proto.Marshal(r)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raw = append(s.raw, raw...)
	return &collector.ExportTraceServiceResponse{}, nil
}

func (s *spans) all() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.raw
}
