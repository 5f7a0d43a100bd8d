package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

func TestHealthFollowsTheSigner(t *testing.T) {
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	d, err := openHealth(t.Context(), "tcp:"+addr)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ask := func() grpc_health_v1.HealthCheckResponse_ServingStatus {
		got, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		if err != nil {
			t.Error(err)
		}
		return got.GetStatus()
	}
	if got := ask(); got != grpc_health_v1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("before it signs: %v", got)
	}
	d.ready()
	if got := ask(); got != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("when it signs: %v", got)
	}
	d.close()
	if _, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err == nil {
		t.Error("after the end it answers")
	}
	if _, err := openHealth(t.Context(), addr); err == nil {
		t.Error("an address of another form is taken")
	}
}

// TestACommandSaysWhatIsWrong before it writes anything.
func TestACommandSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yaml")
	if err := os.WriteFile(bad, []byte("namespaces: {a: {trusts: [b]}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	kube := filepath.Join(dir, "none")
	for want, args := range map[string][]string{
		"required flag":         {"sign", "--ca-dir", dir},
		"trusts b":              {"sign", "--ca-dir", dir, "--table", bad},
		"no such file":          {"bootstrap", "--ca-dir", dir, "--table", filepath.Join(dir, "none.yaml")},
		"an hour is the least":  {"bootstrap", "--ca-dir", dir, "--table", bad, "--life", "1m"},
		"way to the cluster":    {"bootstrap", "--ca-dir", filepath.Join(dir, "ca"), "--table", "testdata/table.yaml", "--kubeconfig", kube},
		"unknown command \"x\"": {"x"},
	} {
		cmd := root()
		cmd.SetArgs(args)
		cmd.SilenceErrors = true
		if err := cmd.ExecuteContext(context.WithoutCancel(t.Context())); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
}
