package rpc_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// TestT8_ACallThatIsHeldBackDiesWithItsConnection: a caller opens a call, waits until its
// certificate would long be looked at again, and only then sends the request. Nothing is
// done for it.
func TestT8_ACallThatIsHeldBackDiesWithItsConnection(t *testing.T) {
	raw := func(_ context.Context, _ string, b []byte) ([]byte, error) { return b, nil }
	for name, handsOn := range map[string]rpc.RawHandler{"a server": nil, "a stand-in": raw} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTown(t)
				var calls atomic.Int32
				do := func(context.Context) (*idpv1.IssueNonceResponse, error) {
					calls.Add(1)
					return &idpv1.IssueNonceResponse{}, nil
				}
				cfg := rpc.ServerConfig{
					Identity: w.identity("idp"), Allow: rpc.AllowList{idpv1.NonceService_IssueNonce_FullMethodName: {"dsreg"}},
				}
				if handsOn != nil {
					cfg.Raw, do = func(ctx context.Context, m string, b []byte) ([]byte, error) {
						calls.Add(1)
						return handsOn(ctx, m, b)
					}, nil
				}
				w.serve("mem:idp", cfg, do)
				conn := w.dial("dsreg", "mem:idp")
				held, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true}, idpv1.NonceService_IssueNonce_FullMethodName)
				must(t, err)
				time.Sleep(2 * time.Hour)
				if err := held.SendMsg(&idpv1.IssueNonceRequest{}); err == nil {
					_ = held.CloseSend()
				}
				err = held.RecvMsg(&idpv1.IssueNonceResponse{})
				if err == nil || calls.Load() != 0 {
					t.Errorf("a call that was held for two hours is answered: %v, %d calls", status.Code(err), calls.Load())
				}
				_ = conn.Close()
			})
		})
	}
}

// TestT8_HeadersHaveABound: what comes beside a message, and beside an answer, is bounded as
// the message is; 256 calls at a time of 16 MiB each would be more than a component has.
func TestT8_HeadersHaveABound(t *testing.T) {
	w := newTown(t)
	allow := rpc.AllowList{idpv1.NonceService_IssueNonce_FullMethodName: {"dsreg"}}
	var beside string
	w.serve("mem:idp", rpc.ServerConfig{Identity: w.identity("idp"), Allow: allow}, func(ctx context.Context) (*idpv1.IssueNonceResponse, error) {
		return &idpv1.IssueNonceResponse{}, grpc.SetTrailer(ctx, metadata.Pairs("more", beside))
	})
	client := idpv1.NewNonceServiceClient(w.dial("dsreg", "mem:idp"))
	for n, good := range map[int]bool{8 << 10: true, 64 << 10: false} {
		long := strings.Repeat("a", n)
		beside = ""
		_, err := client.IssueNonce(metadata.AppendToOutgoingContext(t.Context(), "more", long), &idpv1.IssueNonceRequest{})
		if (err == nil) != good {
			t.Errorf("%d bytes beside a request: %v", n, err)
		}
		beside = long
		if _, err := client.IssueNonce(t.Context(), &idpv1.IssueNonceRequest{}); (err == nil) != good {
			t.Errorf("%d bytes beside an answer: %v", n, err)
		}
	}
}
