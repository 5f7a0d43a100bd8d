package wambroker_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// idle answers at once: what a call costs that does nothing.
type idle struct {
	idpv1.UnimplementedNonceServiceServer
}

func (idle) IssueNonce(context.Context, *idpv1.IssueNonceRequest) (*idpv1.IssueNonceResponse, error) {
	return &idpv1.IssueNonceResponse{Nonce: "n"}, nil
}

// noop is a call over the same kind of connection as the broker's.
func noop(b *testing.B) func() {
	method := idpv1.NonceService_IssueNonce_FullMethodName
	conn := connect(b, rpc.LoopbackConfig{Caller: "app", Server: "idp", Allow: rpc.AllowList{method: {"app"}}},
		func(r grpc.ServiceRegistrar) { idpv1.RegisterNonceServiceServer(r, idle{}) })
	c := idpv1.NewNonceServiceClient(conn)
	return func() {
		if _, err := c.IssueNonce(b.Context(), &idpv1.IssueNonceRequest{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCachedToken gives a cached token and says how many idle calls that is
// worth (x_noop). Three calls lie in it: app to broker, broker to plug-in, plug-in
// to authority. What a full cache adds is in internal/tokencache.
func BenchmarkCachedToken(b *testing.B) {
	d := newDevice(b)
	idleCall := noop(b)
	idleCall()
	d.token(b)
	var idleTime time.Duration
	b.ResetTimer()
	for range b.N {
		d.token(b)
		b.StopTimer()
		t := time.Now()
		idleCall()
		idleTime += time.Since(t)
		b.StartTimer()
	}
	b.StopTimer()
	b.ReportMetric(float64(b.Elapsed())/float64(idleTime), "x_noop")
	if d.count("RedeemPRT") != 1 {
		b.Fatalf("calls %v", d.calls)
	}
}
