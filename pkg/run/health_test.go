package run_test

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/run"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// slow is a service whose end takes as long as the test wants.
type slow struct {
	service
	asked, end chan struct{}
}

func (s *slow) Register(r grpc.ServiceRegistrar) { idpv1.RegisterNonceServiceServer(r, s) }

func (s *slow) Close() error {
	close(s.asked)
	<-s.end
	return nil
}

func freeAddress(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func plaintext(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestHealthOfAComponent asks as the kubelet does: without an identity, in plaintext.
// The answer is that the component serves, until it begins to stop.
func TestHealthOfAComponent(t *testing.T) {
	ca, _ := rpc.NewCA()
	id, _ := ca.Issue("idp")
	spans := tracetest.NewSpanRecorder()
	addr := freeAddress(t)
	s := &slow{asked: make(chan struct{}), end: make(chan struct{})}
	r, err := run.Start(run.Config{
		Name: "idp", Identity: id, Network: rpc.OS{}, Listen: "unix:" + filepath.Join(t.TempDir(), "run", "idp.sock"), Health: "tcp:" + addr,
		Env: run.Env{TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))},
	}, func(*run.Env) (*run.Component, error) {
		return &run.Component{Service: s, Allow: rpc.AllowList{idpv1.NonceService_IssueNonce_FullMethodName: {"wam-broker"}}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	conn := plaintext(t, addr)
	ask := func() grpc_health_v1.HealthCheckResponse_ServingStatus {
		resp, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		if err != nil {
			t.Error(err)
		}
		return resp.GetStatus()
	}
	if got := ask(); got != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("while it serves: %v", got)
	}
	onlyHealth(t, conn)
	stopped := make(chan error, 1)
	go func() { stopped <- r.Stop() }()
	<-s.asked
	if got := ask(); got != grpc_health_v1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("while it stops: %v", got)
	}
	close(s.end)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if _, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("after the stop: %v", err)
	}
	if n := len(spans.Started()); n != 0 {
		t.Errorf("the probes left %d spans", n)
	}
}

// onlyHealth tries what else a server could offer to somebody without an identity.
func onlyHealth(t *testing.T, conn *grpc.ClientConn) {
	t.Helper()
	if _, err := idpv1.NewNonceServiceClient(conn).IssueNonce(t.Context(), &idpv1.IssueNonceRequest{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("the component's own contract: %v", err)
	}
	if _, err := grpc_health_v1.NewHealthClient(conn).List(t.Context(), &grpc_health_v1.HealthListRequest{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("list: %v", err)
	}
	w, err := grpc_health_v1.NewHealthClient(conn).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err == nil {
		_, err = w.Recv()
	}
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("watch: %v", err)
	}
	long := make([]byte, 5<<10)
	if _, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: string(long)}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a question of 5 KiB: %v", err)
	}
}

// TestHealthDoorIsOpenedByItsFlag also finds what happens when it cannot be opened.
func TestHealthDoorIsOpenedByItsFlag(t *testing.T) {
	ca, _ := rpc.NewCA()
	id, _ := ca.Issue("idp")
	dir := t.TempDir()
	if err := id.Save(filepath.Join(dir, "id")); err != nil {
		t.Fatal(err)
	}
	addr := freeAddress(t)
	flags := run.Flags{Listen: "unix:" + filepath.Join(dir, "run", "idp.sock"), Identity: filepath.Join(dir, "id"), State: dir, LogLevel: "off", Health: "tcp:" + addr}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run.Process(ctx, "idp", flags, wire("")) }()
	wait, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	resp, err := grpc_health_v1.NewHealthClient(plaintext(t, addr)).Check(wait, &grpc_health_v1.HealthCheckRequest{}, grpc.WaitForReady(true))
	if err != nil || resp.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("%v, %v", resp, err)
	}
	taken := flags
	taken.Listen = "unix:" + filepath.Join(dir, "run", "other.sock")
	if err := run.Process(t.Context(), "idp", taken, wire("")); err == nil {
		t.Error("a component started without the health door that its flag asks for")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
