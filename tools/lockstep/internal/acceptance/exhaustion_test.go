package acceptance_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// TestT14_MessagesAreBoundedAtEveryDoor sends what is too large to every component: each
// refuses it, and works on.
func TestT14_MessagesAreBoundedAtEveryDoor(t *testing.T) {
	r := newRelays(t, func(string) metadata.MD { return nil })
	for _, name := range []string{"adfs", "dsreg", "idp", "lsa-cloudap", "tpm-agent", "wam-broker"} {
		// Past the relay, at the door itself, by a client that does not stop itself.
		conn, err := grpc.NewClient("passthrough:///mem:"+name+".real", grpc.WithTransportCredentials(credentials.NewTLS(r.client("operator", name))),
			grpc.WithContextDialer(r.network.Dial))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		health := grpc_health_v1.NewHealthClient(conn)
		for _, size := range []int{300 << 10, 8 << 20} {
			_, err := health.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: strings.Repeat("a", size)})
			if code := status.Code(err); code != codes.ResourceExhausted {
				t.Errorf("%s takes %d bytes: %v", name, size, err)
			}
		}
		if _, err := health.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
			t.Errorf("%s does not work on: %v", name, err)
		}
	}
}

// TestT14_CallsUnderWayAreBounded has one caller wait with far more calls than a connection
// takes at once: the others wait for their turn, and other callers do not.
func TestT14_CallsUnderWayAreBounded(t *testing.T) {
	w := newWorld(t, lab.Config{TPM: "mem:"})
	w.join(w.device)
	desktop := w.signIn(w.device)
	conn, err := w.lab.Dial(t.Context(), "window", w.device.Key("wam-broker"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	for range 1000 {
		waiting.Go(func() {
			_, _ = wamv1.NewWindowServiceClient(conn).AwaitInteraction(ctx, &wamv1.AwaitInteractionRequest{LogonSession: desktop.Session.Reveal()})
		})
	}
	time.Sleep(50 * time.Millisecond) // so that they wait; what follows holds in any case
	if _, err := w.token(w.device, desktop); err != nil {
		t.Errorf("an app beside 1,000 waiting windows: %v", err)
	}
	cancel()
	waiting.Wait()
}
