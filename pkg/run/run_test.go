package run_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/run"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	labv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lab/v1"
)

// service answers nonces, by asking another component when it has one.
type service struct {
	idpv1.UnimplementedNonceServiceServer
	peer   grpc.ClientConnInterface
	closed chan struct{}
}

func (s *service) Register(r grpc.ServiceRegistrar) { idpv1.RegisterNonceServiceServer(r, s) }
func (s *service) Close() error                     { close(s.closed); return nil }

func (s *service) IssueNonce(ctx context.Context, req *idpv1.IssueNonceRequest) (*idpv1.IssueNonceResponse, error) {
	if s.peer == nil {
		return &idpv1.IssueNonceResponse{Nonce: "for " + rpc.Caller(ctx)}, nil
	}
	return idpv1.NewNonceServiceClient(s.peer).IssueNonce(ctx, req)
}

func wire(peer string) run.Wire {
	return func(env *run.Env) (*run.Component, error) {
		s := &service{closed: make(chan struct{})}
		if peer != "" {
			peers, err := env.Peers(peer)
			if err != nil {
				return nil, err
			}
			s.peer = peers[peer]
		}
		allow := rpc.AllowList{idpv1.NonceService_IssueNonce_FullMethodName: {"wam-broker", "lsa-cloudap"}}
		return &run.Component{Service: s, Allow: allow}, nil
	}
}

func TestTwoComponentsReachEachOther(t *testing.T) {
	ca, err := rpc.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	net := rpc.NewMem()
	start := func(name, peer string) *run.Running {
		id, err := ca.Issue(name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := run.Start(run.Config{
			Name: name, Identity: id, Network: net, Listen: "mem:" + name, Peers: map[string]string{"idp": "mem:idp"},
		}, wire(peer))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	lsa := start("lsa-cloudap", "idp") // before the one it needs: the order is free
	idp := start("idp", "")
	id, _ := ca.Issue("wam-broker")
	conn, err := rpc.Dial(rpc.DialConfig{Network: net, Addr: "mem:lsa-cloudap", Identity: id, Server: "lsa-cloudap"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	resp, err := idpv1.NewNonceServiceClient(conn).IssueNonce(t.Context(), &idpv1.IssueNonceRequest{})
	if err != nil || resp.GetNonce() != "for lsa-cloudap" {
		t.Errorf("got %v, %v", resp, err)
	}
	if err := errors.Join(lsa.Stop(), idp.Stop()); err != nil {
		t.Error(err)
	}
	<-lsa.Component.Service.(*service).closed
	if _, err := idpv1.NewNonceServiceClient(conn).IssueNonce(t.Context(), &idpv1.IssueNonceRequest{}); prterr.KindOf(err) != prterr.Unavailable {
		t.Errorf("after the stop: %v", err)
	}
}

func TestT11_OnlyTheOperatorMovesTheClockAndOnlyInALab(t *testing.T) {
	ca, _ := rpc.NewCA()
	net := rpc.NewMem()
	id, _ := ca.Issue("idp")
	start := func(lab *clock.Lab) *run.Running {
		t.Helper()
		env := run.Env{Lab: lab}
		if lab != nil {
			env.Clock = lab
		}
		r, err := run.Start(run.Config{Name: "idp", Identity: id, Network: net, Listen: "mem:idp", Env: env}, wire(""))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	advance := func(caller string, by time.Duration) error {
		who, _ := ca.Issue(caller)
		conn, err := rpc.Dial(rpc.DialConfig{Network: net, Addr: "mem:idp", Identity: who, Server: "idp"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		_, err = labv1.NewClockServiceClient(conn).AdvanceClock(t.Context(), &labv1.AdvanceClockRequest{By: durationpb.New(by)})
		return err
	}
	lab := clock.NewLab()
	before := lab.Now()
	r := start(lab)
	if err := advance("operator", 4*time.Hour); err != nil || lab.Now().Sub(before) < 4*time.Hour {
		t.Errorf("the clock shows %v more, %v", lab.Now().Sub(before), err)
	}
	for _, by := range []time.Duration{0, -time.Hour, 401 * 24 * time.Hour} {
		if err := advance("operator", by); prterr.KindOf(err) != prterr.Invalid {
			t.Errorf("by %v: %v", by, err)
		}
	}
	if err := advance("app", time.Hour); prterr.KindOf(err) != prterr.Denied {
		t.Errorf("app: %v", err)
	}
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
	r = start(nil)
	if err := advance("operator", time.Hour); err == nil {
		t.Error("the clock can be moved outside a lab")
	}
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	ca, _ := rpc.NewCA()
	id, _ := ca.Issue("idp")
	for name, c := range map[string]struct {
		cfg  run.Config
		wire run.Wire
		want string
	}{
		"no identity":      {run.Config{Name: "idp", Network: rpc.NewMem()}, wire(""), "identity"},
		"foreign identity": {run.Config{Name: "adfs", Identity: id, Network: rpc.NewMem()}, wire(""), "identity"},
		"unknown peer":     {run.Config{Name: "idp", Identity: id, Network: rpc.NewMem(), Listen: "mem:idp"}, wire("adfs"), "way to adfs"},
		"bad address":      {run.Config{Name: "idp", Identity: id, Network: rpc.OS{}, Listen: "idp"}, wire(""), "unix:PATH"},
	} {
		if _, err := run.Start(c.cfg, c.wire); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestProcessServesUntilItsContextEnds(t *testing.T) {
	ca, _ := rpc.NewCA()
	id, _ := ca.Issue("idp")
	caller, _ := ca.Issue("wam-broker")
	dir := t.TempDir()
	if err := id.Save(filepath.Join(dir, "id")); err != nil {
		t.Fatal(err)
	}
	addr := "unix:" + filepath.Join(dir, "run", "idp.sock")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- run.Process(ctx, "idp", run.Flags{Listen: addr, Identity: filepath.Join(dir, "id"), State: dir, LogLevel: "off"}, wire(""))
	}()
	conn, err := rpc.Dial(rpc.DialConfig{Network: rpc.OS{}, Addr: addr, Identity: caller, Server: "idp"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	wait, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	if _, err := idpv1.NewNonceServiceClient(conn).IssueNonce(wait, &idpv1.IssueNonceRequest{}, grpc.WaitForReady(true)); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := run.Process(t.Context(), "idp", run.Flags{}, wire("")); err == nil {
		t.Error("a process without flags started")
	}
}

// door is another door of a service, which is open when the service is.
type door struct {
	of     *service
	closed chan bool
}

// Close says whether the service was closed already.
func (d *door) Close() error {
	select {
	case <-d.of.closed:
		d.closed <- true
	default:
		d.closed <- false
	}
	return nil
}

// TestDEP07_DoorsCloseBeforeTheService: a request that came in at another door in the last
// moment does not meet a service that is closed. What fails at the start closes them too.
func TestDEP07_DoorsCloseBeforeTheService(t *testing.T) {
	ca, err := rpc.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	id, err := ca.Issue("idp")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{closed: make(chan bool, 2)}
	withDoor := func(fails error) run.Wire {
		return func(env *run.Env) (*run.Component, error) {
			s := &service{closed: make(chan struct{})}
			d.of = s
			env.OwnDoor(d)
			return &run.Component{Service: s, Allow: rpc.AllowList{}}, fails
		}
	}
	cfg := run.Config{Name: "idp", Identity: id, Network: rpc.NewMem(), Listen: "mem:idp"}
	r, err := run.Start(cfg, func(env *run.Env) (*run.Component, error) {
		c, err := withDoor(nil)(env)
		c.Allow[idpv1.NonceService_IssueNonce_FullMethodName] = []string{"dsreg"}
		return c, err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	if late := <-d.closed; late || len(d.closed) != 0 {
		t.Errorf("closed after the service: %v, and %d times more", late, len(d.closed))
	}
	if _, err := run.Start(cfg, withDoor(errors.New("no"))); err == nil || len(d.closed) != 1 {
		t.Errorf("%v, closed %d times", err, len(d.closed))
	}
	<-d.closed
	cfg.Network, cfg.Listen = rpc.OS{}, "nowhere"
	_, err = run.Start(cfg, func(env *run.Env) (*run.Component, error) {
		c, err := withDoor(nil)(env)
		c.Allow[idpv1.NonceService_IssueNonce_FullMethodName] = []string{"dsreg"}
		return c, err
	})
	if err == nil || len(d.closed) != 1 || <-d.closed {
		t.Errorf("an address that is none: %v; the door has to close once, and before the service", err)
	}
}
