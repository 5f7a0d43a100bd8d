package rpc_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// both are the two ways to call what is linked in; a caller cannot tell them apart.
func both(t *testing.T, caller string, do func(context.Context) (*idpv1.IssueNonceResponse, error)) map[string]grpc.ClientConnInterface {
	t.Helper()
	direct, err := rpc.Direct(rpc.LoopbackConfig{Caller: caller, Server: "idp", Allow: allow()}, func(r grpc.ServiceRegistrar) {
		idpv1.RegisterNonceServiceServer(r, nonceServer{do: do})
		idpv1.RegisterRealmServiceServer(r, idpv1.UnimplementedRealmServiceServer{})
	})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]grpc.ClientConnInterface{"loopback": loopback(t, caller, do), "direct": direct}
}

func TestDirectIsLoopbackWithoutANetwork(t *testing.T) {
	ask := func(conn grpc.ClientConnInterface, ctx context.Context) (*idpv1.IssueNonceResponse, error) {
		return idpv1.NewNonceServiceClient(conn).IssueNonce(ctx, &idpv1.IssueNonceRequest{})
	}
	kept := &idpv1.IssueNonceResponse{Nonce: "n"}
	for way, conn := range both(t, "lsa-cloudap", func(ctx context.Context) (*idpv1.IssueNonceResponse, error) {
		if end, ok := ctx.Deadline(); !ok || time.Until(end) > time.Minute || rpc.Caller(ctx) != "lsa-cloudap" {
			return nil, errors.New("no deadline, or another caller")
		}
		return kept, nil
	}) {
		got, err := ask(conn, t.Context())
		if err != nil || got.GetNonce() != "n" {
			t.Fatalf("%s: %v, %v", way, got, err)
		}
		got.Nonce = "changed"
		if kept.GetNonce() != "n" {
			t.Errorf("%s: the caller holds the callee's message", way)
		}
		_, err = idpv1.NewRealmServiceClient(conn).DiscoverRealm(t.Context(), &idpv1.DiscoverRealmRequest{})
		if prterr.KindOf(err) != prterr.Denied {
			t.Errorf("%s: a method that is not listed: %v", way, err)
		}
		if _, err := conn.NewStream(t.Context(), &grpc.StreamDesc{}, "/x/y"); err == nil && way == "direct" {
			t.Errorf("%s: a stream was opened", way)
		}
		if err := conn.Invoke(t.Context(), "/no.Such/Method", &idpv1.IssueNonceRequest{}, &idpv1.IssueNonceResponse{}); err == nil {
			t.Errorf("%s: a method that nobody serves was called", way)
		}
	}
	for way, conn := range both(t, "app", func(context.Context) (*idpv1.IssueNonceResponse, error) { return kept, nil }) {
		if _, err := ask(conn, t.Context()); prterr.KindOf(err) != prterr.Denied {
			t.Errorf("%s: a caller that is not listed: %v", way, err)
		}
	}
	for way, conn := range both(t, "lsa-cloudap", func(context.Context) (*idpv1.IssueNonceResponse, error) { panic("secret") }) {
		if _, err := ask(conn, t.Context()); prterr.KindOf(err) != prterr.Internal || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: a panic: %v", way, err)
		}
	}
	for way, conn := range both(t, "lsa-cloudap", func(context.Context) (*idpv1.IssueNonceResponse, error) {
		return nil, prterr.AADSTS(aadsts.InvalidNonce, "").WithClaims(`{"a":1}`)
	}) {
		_, err := ask(conn, t.Context())
		var e *prterr.Error
		if !errors.As(err, &e) || e.Code != aadsts.InvalidNonce || e.Claims != `{"a":1}` {
			t.Errorf("%s: %#v", way, err)
		}
	}
	for way, conn := range both(t, "lsa-cloudap", func(context.Context) (*idpv1.IssueNonceResponse, error) {
		return nil, prterr.Wrap(prterr.Internal, errors.New("the cause"), "broken")
	}) {
		if _, err := ask(conn, t.Context()); prterr.KindOf(err) != prterr.Internal || strings.Contains(err.Error(), "cause") {
			t.Errorf("%s: a cause crossed: %v", way, err)
		}
	}
	if _, err := rpc.Direct(rpc.LoopbackConfig{Server: "idp"}, func(grpc.ServiceRegistrar) {}); err == nil {
		t.Error("a connection without a caller was made")
	}
}
