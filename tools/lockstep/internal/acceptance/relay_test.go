package acceptance_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/run"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/components"
)

// relays is a whole Lockstep in which a relay stands before every component. It sees each
// call as it comes, with everything beside the message, and hands it on as the one who
// made it, with more beside it.
type relays struct {
	t       *testing.T
	ca      *rpc.CA
	network *rpc.Mem
	// add is what a relay puts beside each call that it hands on to a component.
	add func(component string) metadata.MD

	mu   sync.Mutex
	seen []relayed
	ids  map[string]*rpc.Identity
	tls  map[string]*tls.Config
}

// relayed is a call that came to a relay.
type relayed struct {
	from, to, method string
	beside           metadata.MD
}

func newRelays(t *testing.T, add func(component string) metadata.MD) *relays {
	t.Helper()
	ca, err := rpc.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	r := &relays{t: t, ca: ca, network: rpc.NewMem(), add: add, ids: map[string]*rpc.Identity{}, tls: map[string]*tls.Config{}}
	signing := filepath.Join(t.TempDir(), "signing.pem")
	settings := map[string]map[string]string{
		"adfs": {"signing-certificate": signing}, "idp": {"federation-certificate": "adatum.test=" + signing},
		"tpm-agent": {"tpm": "mem:", "spare-key-sets": "0"}, "lsa-cloudap": {"sign-in-url": "https://login.microsoftonline.com"},
	}
	for _, name := range components.Names() { // adfs first: it writes what the idp reads
		r.start(name, settings[name])
	}
	return r
}

// start starts a component behind its relay.
func (r *relays) start(name string, settings map[string]string) {
	r.t.Helper()
	peers := map[string]string{}
	for _, p := range components.Names() {
		peers[p] = "mem:" + p
	}
	now := clock.NewLab()
	running, err := run.Start(run.Config{
		Name: name, Identity: r.identity(name), Network: r.network, Listen: "mem:" + name + ".real", Peers: peers,
		Env: run.Env{StateDir: r.t.TempDir(), Clock: now, Lab: now, Settings: settings},
	}, components.Wires()[name])
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = running.Stop() })
	l, err := r.network.Listen("mem:" + name)
	if err != nil {
		r.t.Fatal(err)
	}
	server := grpc.NewServer(
		grpc.Creds(credentials.NewTLS(r.tlsOf(name))), grpc.ForceServerCodecV2(rawCodec{}),
		grpc.UnknownServiceHandler(func(_ any, s grpc.ServerStream) error { return r.relay(name, s) }),
	)
	go func() { _ = server.Serve(l) }()
	r.t.Cleanup(server.Stop)
}

// relay hands one call on.
func (r *relays) relay(to string, s grpc.ServerStream) error {
	ctx := s.Context()
	method, _ := grpc.MethodFromServerStream(s)
	from, err := callerOf(ctx)
	if err != nil {
		return err
	}
	beside, _ := metadata.FromIncomingContext(ctx)
	r.mu.Lock()
	r.seen = append(r.seen, relayed{from, to, method, beside})
	r.mu.Unlock()
	var request, answer mem.BufferSlice
	if err := s.RecvMsg(&request); err != nil {
		return err
	}
	on := metadata.MD{}
	for _, k := range []string{"traceparent", "tracestate", "baggage"} {
		if v := beside.Get(k); len(v) > 0 {
			on.Set(k, v...)
		}
	}
	maps.Copy(on, r.add(to))
	conn, err := grpc.NewClient("passthrough:///mem:"+to+".real", grpc.WithTransportCredentials(credentials.NewTLS(r.client(from, to))),
		grpc.WithContextDialer(r.network.Dial))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.Invoke(metadata.NewOutgoingContext(ctx, on), method, request, &answer, grpc.ForceCodecV2(rawCodec{})); err != nil {
		return err
	}
	return s.SendMsg(answer)
}

// dial comes to a component's relay as somebody.
func (r *relays) dial(caller, to string) grpc.ClientConnInterface {
	r.t.Helper()
	conn, err := rpc.Dial(rpc.DialConfig{Network: r.network, Addr: "mem:" + to, Identity: r.identity(caller), Server: to})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (r *relays) calls() []relayed {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]relayed(nil), r.seen...)
}

func (r *relays) identity(name string) *rpc.Identity {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ids[name] == nil {
		id, err := r.ca.Issue(name)
		if err != nil {
			r.t.Error(err)
		}
		r.ids[name] = id
	}
	return r.ids[name]
}

// tlsOf is a component's identity as TLS takes it.
func (r *relays) tlsOf(name string) *tls.Config {
	id := r.identity(name)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tls[name] == nil {
		dir, err := os.MkdirTemp(r.t.TempDir(), "")
		if err == nil {
			err = id.Save(dir)
		}
		if err != nil {
			r.t.Error(err)
		}
		own, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
		roots, bad := os.ReadFile(filepath.Join(dir, "ca.pem"))
		if err != nil || bad != nil {
			r.t.Error(err, bad)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(roots)
		r.tls[name] = &tls.Config{
			MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{own}, ClientCAs: pool, RootCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
		}
	}
	return r.tls[name]
}

func (r *relays) client(from, to string) *tls.Config {
	c := r.tlsOf(from).Clone()
	c.ServerName = to
	return c
}

func callerOf(ctx context.Context) (string, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return "", status.Error(codes.Unauthenticated, "nobody")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return "", status.Error(codes.Unauthenticated, "no TLS")
	}
	return strings.TrimPrefix(info.State.VerifiedChains[0][0].URIs[0].Path, "/"), nil
}

// rawCodec takes messages as the bytes that they are.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	b, ok := v.(mem.BufferSlice)
	if !ok {
		return nil, fmt.Errorf("%T is not bytes", v)
	}
	return b, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	to, ok := v.(*mem.BufferSlice)
	if !ok {
		return fmt.Errorf("%T is not bytes", v)
	}
	data.Ref()
	*to = data
	return nil
}
