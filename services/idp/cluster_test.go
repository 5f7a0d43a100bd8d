package idp_test

import (
	"context"
	"net"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store/postgres/pgtest"
)

// cluster is several identity providers on one database, behind one address.
type cluster struct {
	cfg      idp.Config
	net      *rpc.Mem
	ca       *rpc.CA
	next     atomic.Uint32
	replicas []*replica
	// open counts connections to replicas, of those that Dial made.
	mu   sync.Mutex
	open map[*call]bool
}

// call is a connection that knows whom it is to.
type call struct {
	net.Conn
	c  *cluster
	to *replica
}

func (l *call) Close() error {
	l.c.mu.Lock()
	delete(l.c.open, l)
	l.c.mu.Unlock()
	return l.Conn.Close()
}

// settle waits until nobody holds a connection to a replica that is dead: a caller with
// several connections hears of it on each.
func (c *cluster) settle() {
	for {
		c.mu.Lock()
		left := 0
		for l := range c.open {
			if !l.to.runs() {
				left++
			}
		}
		c.mu.Unlock()
		if left == 0 {
			return
		}
		runtime.Gosched()
	}
}

// replica is one of them. It dies as a process does: connections break and calls under
// way are not answered. Another start is a new process on the same database.
type replica struct {
	mu     sync.Mutex
	svc    *idp.Service
	server *grpc.Server
	addr   string
	// hook is asked at a call of a method whether the replica dies there: before it does
	// anything, or when it has done all but answer. Nil is a long life.
	hook atomic.Pointer[func(method string, done bool) bool]
}

// newCluster starts n replicas at the same time, on a database that is empty.
func newCluster(t testing.TB, n int, cfg idp.Config) *cluster {
	t.Helper()
	cfg.Database = pgtest.Start(t, pgtest.Config{}).Database(t)
	ca, err := rpc.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	return clusterBy(t, ca, cfg.Database, n, cfg)
}

func clusterBy(t testing.TB, ca *rpc.CA, dsn secret.Text, n int, cfg idp.Config) *cluster {
	t.Helper()
	cfg.Database = dsn
	cfg.TPMMakers = append(slices.Clone(cfg.TPMMakers), idp.TPMMaker{Name: "tests", Kind: "emulated", Certificates: tpmMaker().PEM()})
	c := &cluster{cfg: cfg, net: rpc.NewMem(), ca: ca, open: map[*call]bool{}}
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		c.replicas = append(c.replicas, &replica{addr: "mem:idp-" + strconv.Itoa(i)})
		wg.Go(func() { errs[i] = c.start(c.replicas[i]) })
	}
	wg.Wait()
	t.Cleanup(func() {
		for _, r := range c.replicas {
			r.kill()
		}
	})
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// start begins a replica that is not running.
func (c *cluster) start(r *replica) error {
	svc, err := idp.New(c.cfg)
	if err != nil {
		return err
	}
	id, err := c.ca.Issue("idp")
	if err != nil {
		return err
	}
	server, err := rpc.NewServer(rpc.ServerConfig{Identity: id, Allow: idp.Allow()})
	if err != nil {
		return err
	}
	svc.Register(mortal{server, r})
	l, err := c.net.Listen(r.addr)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.svc, r.server = svc, server
	r.mu.Unlock()
	go func() { _ = server.Serve(l) }() // ends with kill
	return nil
}

// kill ends a replica, which may be at work.
func (r *replica) kill() {
	r.mu.Lock()
	svc, server := r.svc, r.server
	r.svc, r.server = nil, nil
	r.mu.Unlock()
	if server != nil {
		server.Stop()
		_ = svc.Close()
	}
}

func (r *replica) runs() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.server != nil
}

// mortal registers services whose calls ask the hook.
type mortal struct {
	grpc.ServiceRegistrar
	r *replica
}

func (m mortal) RegisterService(desc *grpc.ServiceDesc, impl any) {
	own := *desc
	own.Methods = slices.Clone(desc.Methods)
	for i, d := range own.Methods {
		own.Methods[i].Handler = func(srv any, ctx context.Context, dec func(any) error, outer grpc.UnaryServerInterceptor) (any, error) {
			m.dies(ctx, d.MethodName, false)
			answer, err := d.Handler(srv, ctx, dec, outer)
			m.dies(ctx, d.MethodName, true)
			return answer, err
		}
	}
	m.ServiceRegistrar.RegisterService(&own, impl)
}

// dies ends the replica if the hook says so, and then comes back only when the caller is
// gone.
func (m mortal) dies(ctx context.Context, method string, done bool) {
	if hook := m.r.hook.Load(); hook != nil && (*hook)(method, done) {
		m.r.hook.Store(nil)
		go m.r.kill()
		<-ctx.Done()
	}
}

// Dial implements rpc.Network: each connection goes to another replica that runs, as a
// Service of a cluster does it.
func (c *cluster) Dial(ctx context.Context, addr string) (net.Conn, error) {
	for range len(c.replicas) {
		if r := c.replicas[int(c.next.Add(1))%len(c.replicas)]; r.runs() {
			conn, err := c.net.Dial(ctx, r.addr)
			if err != nil {
				return nil, err
			}
			l := &call{conn, c, r}
			c.mu.Lock()
			c.open[l] = true
			c.mu.Unlock()
			return l, nil
		}
	}
	return c.net.Dial(ctx, addr)
}

// Listen implements rpc.Network.
func (c *cluster) Listen(addr string) (net.Listener, error) { return c.net.Listen(addr) }

func (c *cluster) dial(t testing.TB, n rpc.Network, addr, caller string) *grpc.ClientConn {
	t.Helper()
	id, err := c.ca.Issue(caller)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := rpc.Dial(rpc.DialConfig{Network: n, Addr: addr, Identity: id, Server: "idp"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// device is a world as a device sees it: one connection for each caller, to whichever
// replica the address gives it.
func (c *cluster) device(t testing.TB) *world {
	t.Helper()
	return c.world(func(caller string) grpc.ClientConnInterface { return c.dial(t, c, "mem:idp", caller) })
}

// spread is a world in which each call goes to the replica after the one before.
func (c *cluster) spread(t testing.TB) *world {
	t.Helper()
	return c.spreadOver(func(caller string) (to []*grpc.ClientConn) {
		for _, r := range c.replicas {
			to = append(to, c.dial(t, c.net, r.addr, caller))
		}
		return to
	})
}

func (c *cluster) spreadOver(to func(caller string) []*grpc.ClientConn) *world {
	turn := new(atomic.Uint32)
	return c.world(func(caller string) grpc.ClientConnInterface { return spread{turn, to(caller)} })
}

// at is a world at one replica.
func (c *cluster) at(t testing.TB, n int) *world {
	t.Helper()
	return c.world(func(caller string) grpc.ClientConnInterface { return c.dial(t, c.net, c.replicas[n].addr, caller) })
}

func (c *cluster) world(conn func(caller string) grpc.ClientConnInterface) *world {
	return worldOf(c.replicas[0].svc, conn, c.cfg)
}

// worldOf is a world whose callers have the connections that conn makes.
func worldOf(svc *idp.Service, conn func(caller string) grpc.ClientConnInterface, cfg idp.Config) *world {
	lsa, wam, operator := conn("lsa-cloudap"), conn("wam-broker"), conn("operator")
	return &world{
		svc: svc, realm: idpv1.NewRealmServiceClient(lsa), nonces: idpv1.NewNonceServiceClient(lsa),
		issuance: idpv1.NewIssuanceServiceClient(lsa), tokens: idpv1.NewTokenServiceClient(wam),
		sessions: idpv1.NewSessionServiceClient(conn("browser")), devices: idpv1.NewDeviceRegistrationServiceClient(conn("dsreg")),
		read: directoryv1.NewReadServiceClient(operator), admin: directoryv1.NewAdminServiceClient(operator),
		attest: isStrict(cfg),
	}
}

type spread struct {
	turn *atomic.Uint32
	to   []*grpc.ClientConn
}

func (s spread) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	return s.to[int(s.turn.Add(1))%len(s.to)].Invoke(ctx, method, args, reply, opts...)
}

func (s spread) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return s.to[0].NewStream(ctx, desc, method, opts...)
}

// attempt is a test that may fail: what a device tries.
type attempt struct {
	testing.TB
	errs []error
}

// try runs a step and says what was wrong.
func try(t testing.TB, step func(testing.TB)) []error {
	a := &attempt{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		step(a)
	}()
	<-done
	return a.errs
}

type notError struct{ said any }

func (n notError) Error() string { return "not an error of a call" }

func (a *attempt) Helper() {}

func (a *attempt) Error(said ...any) {
	for _, s := range said {
		if err, ok := s.(error); ok {
			a.errs = append(a.errs, err)
			return
		}
	}
	a.errs = append(a.errs, notError{said})
}

func (a *attempt) Errorf(_ string, said ...any) { a.Error(said...) }

func (a *attempt) Fatal(said ...any) {
	a.Error(said...)
	runtime.Goexit()
}

func (a *attempt) Fatalf(_ string, said ...any) { a.Fatal(said...) }
