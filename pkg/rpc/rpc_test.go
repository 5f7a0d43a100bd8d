package rpc_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/step"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// nonceServer answers as its function says.
type nonceServer struct {
	idpv1.UnimplementedNonceServiceServer
	do func(context.Context) (*idpv1.IssueNonceResponse, error)
}

func (s nonceServer) IssueNonce(ctx context.Context, _ *idpv1.IssueNonceRequest) (*idpv1.IssueNonceResponse, error) {
	return s.do(ctx)
}

func allow() rpc.AllowList {
	return rpc.AllowList{idpv1.NonceService_IssueNonce_FullMethodName: {"lsa-cloudap", "wam-broker"}}
}

func loopback(t *testing.T, caller string, do func(context.Context) (*idpv1.IssueNonceResponse, error)) *grpc.ClientConn {
	t.Helper()
	conn, stop, err := rpc.Loopback(rpc.LoopbackConfig{Caller: caller, Server: "idp", Allow: allow()}, func(r grpc.ServiceRegistrar) {
		idpv1.RegisterNonceServiceServer(r, nonceServer{do: do})
		idpv1.RegisterRealmServiceServer(r, idpv1.UnimplementedRealmServiceServer{})
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return conn
}

func TestOnlyListedCallersPass(t *testing.T) {
	var saw string
	do := func(ctx context.Context) (*idpv1.IssueNonceResponse, error) {
		saw = rpc.Caller(ctx)
		return &idpv1.IssueNonceResponse{Nonce: "n"}, nil
	}
	for caller, ok := range map[string]bool{"lsa-cloudap": true, "wam-broker": true, "app": false, "idp": false} {
		saw = ""
		_, err := idpv1.NewNonceServiceClient(loopback(t, caller, do)).IssueNonce(t.Context(), &idpv1.IssueNonceRequest{})
		if ok && (err != nil || saw != caller) {
			t.Errorf("%s: handler saw %q, %v", caller, saw, err)
		}
		if !ok && (prterr.KindOf(err) != prterr.Denied || saw != "") {
			t.Errorf("%s: got %v, handler saw %q", caller, err, saw)
		}
	}
}

func TestAMethodThatIsNotListedIsRefused(t *testing.T) {
	conn := loopback(t, "lsa-cloudap", nil)
	_, err := idpv1.NewRealmServiceClient(conn).DiscoverRealm(t.Context(), &idpv1.DiscoverRealmRequest{})
	if prterr.KindOf(err) != prterr.Denied {
		t.Errorf("got %v", err)
	}
	if _, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Errorf("health: %v", err)
	}
	w, err := grpc_health_v1.NewHealthClient(conn).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err == nil {
		_, err = w.Recv()
	}
	if err == nil || !strings.Contains(err.Error(), "streams are not served") {
		t.Errorf("a stream: %v", err)
	}
}

func TestErrorsPanicsAndDeadlinesHaveNames(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(context.Context) (*idpv1.IssueNonceResponse, error)
		kind prterr.Kind
		code aadsts.Code
	}{
		"ours": {func(context.Context) (*idpv1.IssueNonceResponse, error) {
			return nil, prterr.AADSTS(aadsts.InvalidNonce, "")
		}, prterr.Denied, aadsts.InvalidNonce},
		"foreign": {func(context.Context) (*idpv1.IssueNonceResponse, error) { return nil, errors.New("canary") }, prterr.Internal, 0},
		"panic":   {func(context.Context) (*idpv1.IssueNonceResponse, error) { panic("canary") }, prterr.Internal, 0},
		"deadline": {func(ctx context.Context) (*idpv1.IssueNonceResponse, error) {
			<-ctx.Done()
			return nil, prterr.FromContext(ctx)
		}, prterr.Deadline, 0},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			_, err := idpv1.NewNonceServiceClient(loopback(t, "lsa-cloudap", c.do)).IssueNonce(ctx, &idpv1.IssueNonceRequest{})
			var e *prterr.Error
			if !errors.As(err, &e) || e.Kind != c.kind || e.Code != c.code || strings.Contains(e.Msg, "canary") {
				t.Errorf("got %#v", err)
			}
		})
	}
}

func TestT8_OnlyTheFlowCrossesAsBaggage(t *testing.T) {
	var flow step.Flow
	var left int
	conn := loopback(t, "lsa-cloudap", func(ctx context.Context) (*idpv1.IssueNonceResponse, error) {
		flow, left = step.FlowFrom(ctx), baggage.FromContext(ctx).Len()
		return &idpv1.IssueNonceResponse{}, nil
	})
	m, _ := baggage.NewMember("user", "alice")
	b, _ := baggage.New(m)
	ctx := baggage.ContextWithBaggage(step.In(t.Context(), step.Renewal), b)
	if _, err := idpv1.NewNonceServiceClient(conn).IssueNonce(ctx, &idpv1.IssueNonceRequest{}); err != nil {
		t.Fatal(err)
	}
	if flow != step.Renewal || left != 0 {
		t.Errorf("flow %q and %d members crossed", flow, left)
	}
	c := propagation.MapCarrier{"baggage": "prt.flow=evil,x=y"}
	if f := step.FlowFrom(step.Propagator{}.Extract(t.Context(), c)); f != "" {
		t.Errorf("flow %q was taken", f)
	}
}

func TestAServerWithAnotherNameIsNotTalkedTo(t *testing.T) {
	ca, err := rpc.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	addr := "unix:" + filepath.Join(dir, "s", "x.sock")
	serve := func(ca *rpc.CA, name string) {
		id, err := ca.Issue(name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := rpc.NewServer(rpc.ServerConfig{Identity: id, Allow: allow()})
		if err != nil {
			t.Fatal(err)
		}
		idpv1.RegisterNonceServiceServer(s, nonceServer{do: func(context.Context) (*idpv1.IssueNonceResponse, error) { return &idpv1.IssueNonceResponse{}, nil }})
		l, err := rpc.OS{}.Listen(addr)
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = s.Serve(l) }()
		t.Cleanup(s.Stop)
	}
	call := func(name string) error {
		id, err := ca.Issue(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := id.Save(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if id, err = rpc.LoadIdentity(filepath.Join(dir, name)); err != nil || id.Name != name {
			t.Fatalf("loaded %v, %v", id, err)
		}
		conn, err := rpc.Dial(rpc.DialConfig{Network: rpc.OS{}, Addr: addr, Identity: id, Server: "idp"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		_, err = idpv1.NewNonceServiceClient(conn).IssueNonce(t.Context(), &idpv1.IssueNonceRequest{})
		return err
	}
	if err := call("lsa-cloudap"); prterr.KindOf(err) != prterr.Unavailable {
		t.Errorf("nobody listens: %v", err)
	}
	serve(ca, "adfs")
	if err := call("lsa-cloudap"); prterr.KindOf(err) != prterr.Unavailable {
		t.Errorf("another component answered: %v", err)
	}
	other, _ := rpc.NewCA()
	serve(other, "idp")
	if err := call("lsa-cloudap"); prterr.KindOf(err) != prterr.Unavailable {
		t.Errorf("another authority's idp answered: %v", err)
	}
	serve(ca, "idp")
	if err := call("lsa-cloudap"); err != nil {
		t.Errorf("the right one: %v", err)
	}
	if err := call("app"); prterr.KindOf(err) != prterr.Denied {
		t.Errorf("app: %v", err)
	}
}

func TestNames(t *testing.T) {
	ca, err := rpc.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	for name, good := range map[string]bool{
		"a": true, "tpm-agent": true, "a1-": true, strings.Repeat("a", 63): true, strings.Repeat("a", 64): false,
		"": false, "A": false, "aB": false, "1a": false, "-a": false, "a_b": false, "a/b": false, "../x": false, "a.b": false, "a\n": false, "a\x00": false, "ä": false,
	} {
		if _, err := ca.Issue(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, addr := range []string{"", "idp", "mem:", "udp:x:1", "unix:"} {
		if _, err := (rpc.OS{}).Listen(addr); err == nil {
			t.Errorf("listens at %q", addr)
		}
	}
}
