package rpc_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// TestPatience: a method that waits for a person has more than a minute, within
// bounds, when its caller has; a caller's own deadline still goes before it.
func TestPatience(t *testing.T) {
	method := idpv1.NonceService_IssueNonce_FullMethodName
	for what, f := range map[string]struct {
		patience rpc.Patience
		caller   time.Duration
		least    time.Duration
		most     time.Duration
	}{
		"none":            {nil, time.Hour, 55 * time.Second, time.Minute},
		"another method":  {rpc.Patience{"/x/Y": time.Hour}, time.Hour, 55 * time.Second, time.Minute},
		"ten minutes":     {rpc.Patience{method: 10 * time.Minute}, time.Hour, 9 * time.Minute, 10 * time.Minute},
		"too many":        {rpc.Patience{method: time.Hour}, time.Hour, 14 * time.Minute, 15 * time.Minute},
		"caller has less": {rpc.Patience{method: 10 * time.Minute}, 2 * time.Minute, time.Minute, 2 * time.Minute},
	} {
		var left time.Duration
		do := func(ctx context.Context) (*idpv1.IssueNonceResponse, error) {
			end, _ := ctx.Deadline()
			left = time.Until(end)
			return &idpv1.IssueNonceResponse{}, nil
		}
		conn, stop, err := rpc.Loopback(rpc.LoopbackConfig{Caller: "lsa-cloudap", Server: "idp", Allow: allow(), Patience: f.patience},
			func(r grpc.ServiceRegistrar) { idpv1.RegisterNonceServiceServer(r, nonceServer{do: do}) })
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), f.caller)
		if _, err := idpv1.NewNonceServiceClient(conn).IssueNonce(ctx, &idpv1.IssueNonceRequest{}); err != nil || left < f.least || left > f.most {
			t.Errorf("%s: %v left, %v", what, left, err)
		}
		cancel()
		stop()
	}
}
