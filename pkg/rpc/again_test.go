package rpc_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/connectivity"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// flaky is a network on which attempts fail when told so, and connections can be lost:
// at once, or so that nobody notices before something is sent.
type flaky struct {
	rpc.Network
	fail, dials atomic.Int32
	mu          sync.Mutex
	conns       []*losable
}

type losable struct {
	net.Conn
	deaf atomic.Bool
}

// Write loses the connection when it is the first to notice.
func (l *losable) Write(b []byte) (int, error) {
	if l.deaf.Load() {
		_ = l.Close()
		return 0, errors.New("connection reset")
	}
	return l.Conn.Write(b)
}

func (f *flaky) Dial(ctx context.Context, addr string) (net.Conn, error) {
	f.dials.Add(1)
	if f.fail.Add(-1) >= 0 {
		return nil, errors.New("connection refused")
	}
	c, err := f.Network.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	l := &losable{Conn: c}
	f.mu.Lock()
	f.conns = append(f.conns, l)
	f.mu.Unlock()
	return l, nil
}

func (f *flaky) lose(how func(*losable)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.conns {
		how(c)
	}
	f.conns = nil
}

// TestDEP06_WhatWasNotSentIsSentAgainOnce: a call that finds its connection lost, and the
// next attempt refused as by a server that has just died, reaches the next one. What was
// sent and not answered is an error, and the server has it once.
func TestDEP06_WhatWasNotSentIsSentAgainOnce(t *testing.T) {
	var calls atomic.Int32
	var during atomic.Pointer[func()]
	f := &flaky{Network: rpc.NewMem()}
	ca, err := rpc.NewCA()
	must(t, err)
	idp, err := ca.Issue("idp")
	must(t, err)
	server, err := rpc.NewServer(rpc.ServerConfig{Identity: idp, Allow: allow()})
	must(t, err)
	idpv1.RegisterNonceServiceServer(server, nonceServer{do: func(ctx context.Context) (*idpv1.IssueNonceResponse, error) {
		calls.Add(1)
		if do := during.Load(); do != nil {
			(*do)()
			<-ctx.Done()
		}
		return &idpv1.IssueNonceResponse{}, nil
	}})
	l, err := f.Listen("mem:idp")
	must(t, err)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	caller, err := ca.Issue("lsa-cloudap")
	must(t, err)
	conn, err := rpc.Dial(rpc.DialConfig{Network: f, Addr: "mem:idp", Identity: caller, Server: "idp"})
	must(t, err)
	t.Cleanup(func() { must(t, conn.Close()) })
	ask := func() error {
		_, err := idpv1.NewNonceServiceClient(conn).IssueNonce(t.Context(), &idpv1.IssueNonceRequest{})
		return err
	}
	must(t, ask())
	const noticed = "a loss that was noticed"
	for what, lose := range map[string]func(*losable){
		noticed:                  func(c *losable) { _ = c.Close() },
		"one that is not yet":    func(c *losable) { _ = c.Close() },
		"one at the next packet": func(c *losable) { c.deaf.Store(true) },
	} {
		for range 20 {
			f.fail.Store(0)
			before := calls.Load()
			f.lose(lose)
			if what == noticed {
				conn.WaitForStateChange(t.Context(), connectivity.Ready)
			}
			f.fail.Store(1)
			switch err := ask(); {
			case err == nil && calls.Load() != before+1:
				t.Fatalf("%s: the server had the call %d times", what, calls.Load()-before)
			case err != nil && (what == noticed || prterr.KindOf(err) != prterr.Unavailable || calls.Load() != before):
				t.Fatalf("%s: %v, and the server had the call %d times", what, err, calls.Load()-before)
			}
			f.fail.Store(0)
			must(t, ask())
		}
	}

	before := calls.Load()
	cut := func() {
		during.Store(nil)
		f.lose(func(c *losable) { _ = c.Close() })
	}
	during.Store(&cut)
	if err := ask(); prterr.KindOf(err) != prterr.Unavailable || calls.Load() != before+1 {
		t.Errorf("cut during a call: %v, and the server had it %d times", err, calls.Load()-before)
	}
	must(t, ask())

	// Nobody is there: two attempts, and an error at once.
	server.Stop()
	must(t, l.Close())
	for ask() == nil { // until the end was noticed
	}
	dials := f.dials.Load()
	if err := ask(); prterr.KindOf(err) != prterr.Unavailable || f.dials.Load() > dials+2 {
		t.Errorf("without a server: %v after %d attempts", err, f.dials.Load()-dials)
	}
}
