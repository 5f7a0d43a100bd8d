package run_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/run"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// counter is a component that knows something in memory alone.
type counter struct {
	idpv1.UnimplementedNonceServiceServer
	mu    sync.Mutex
	calls int
}

func (c *counter) Register(r grpc.ServiceRegistrar) { idpv1.RegisterNonceServiceServer(r, c) }
func (*counter) Close() error                       { return nil }
func (c *counter) IssueNonce(context.Context, *idpv1.IssueNonceRequest) (*idpv1.IssueNonceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	return &idpv1.IssueNonceResponse{}, nil
}

// TestAComponentMovesAndKeepsWhatItKnows: nobody serves at the address before, and who
// takes it is called by those who had a connection.
func TestAComponentMovesAndKeepsWhatItKnows(t *testing.T) {
	dir := t.TempDir()
	for name, where := range map[string]struct {
		net        rpc.Network
		from, into string
	}{
		"memory":  {rpc.NewMem(), "mem:idp", "mem:idp.real"},
		"sockets": {rpc.OS{}, "unix:" + filepath.Join(dir, "a.sock"), "unix:" + filepath.Join(dir, "b.sock")},
	} {
		t.Run(name, func(t *testing.T) {
			ca, err := rpc.NewCA()
			if err != nil {
				t.Fatal(err)
			}
			begin := func(addr string, c *counter) *run.Running {
				id, err := ca.Issue("idp")
				if err != nil {
					t.Fatal(err)
				}
				r, err := run.Start(run.Config{Name: "idp", Identity: id, Network: where.net, Listen: addr}, func(*run.Env) (*run.Component, error) {
					return &run.Component{Service: c, Allow: rpc.AllowList{idpv1.NonceService_IssueNonce_FullMethodName: {"app"}}}, nil
				})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := r.Stop(); err != nil {
						t.Error(err)
					}
				})
				return r
			}
			app, err := ca.Issue("app")
			if err != nil {
				t.Fatal(err)
			}
			call := func(addr string) func() error {
				conn, err := rpc.Dial(rpc.DialConfig{Network: where.net, Addr: addr, Identity: app, Server: "idp"})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = conn.Close() })
				return func() error {
					_, err := idpv1.NewNonceServiceClient(conn).IssueNonce(t.Context(), &idpv1.IssueNonceRequest{})
					return err
				}
			}
			moves, takes := &counter{}, &counter{}
			r := begin(where.from, moves)
			early := call(where.from)
			if err := early(); err != nil {
				t.Fatal(err)
			}
			if err := r.Move(where.into); err != nil {
				t.Fatal(err)
			}
			begin(where.from, takes)
			for range 20 {
				if err := early(); err != nil {
					t.Fatal(err)
				}
			}
			if err := call(where.into)(); err != nil || moves.calls != 2 || takes.calls != 20 {
				t.Errorf("%d calls where it moved, %d where it was: %v", moves.calls, takes.calls, err)
			}
			select {
			case err := <-r.Failed():
				t.Errorf("moving was taken for a failure: %v", err)
			default:
			}
		})
	}
}
