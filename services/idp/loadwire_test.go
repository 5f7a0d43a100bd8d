package idp_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/lockstep-sso/lockstep/pkg/host"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
)

// carrier is a way to the token endpoint.
type carrier struct {
	name string
	// write puts a request into the form that call takes, outside of what is
	// measured; nil is the signed request itself.
	write func(k *errand, signed string) string
	// dial makes a connection of its own. It returns a call, and one that does
	// nothing but travel.
	dial func(*testing.B) (call func(k *errand, request string) error, idle func() error)
}

func newCarriers(b *testing.B, e *endpoint) []carrier {
	b.Helper()
	static := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"Nonce":"static"}`)
	})
	h, err := host.New(host.Config{Handler: e.svc.Handler(), Hosts: map[string]http.Handler{staticHost: static}})
	if err != nil {
		b.Fatal(err)
	}
	if err := h.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = h.Abort() })
	bare := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host == staticHost {
			static(w, r)
			return
		}
		e.svc.Handler().ServeHTTP(w, r)
	}))
	b.Cleanup(bare.Close)
	roots := x509.NewCertPool()
	roots.AddCert(bare.Certificate())
	return []carrier{
		overHTTPS("https", h.Addr(), &tls.Config{RootCAs: h.CAPool(), ServerName: loginHost, MinVersion: tls.VersionTLS13}),
		overHTTPS("https_without_host", bare.Listener.Addr().String(), &tls.Config{RootCAs: roots, ServerName: "example.com", MinVersion: tls.VersionTLS13}),
		overGRPC(b, e),
	}
}

const loginHost, staticHost = "login.microsoftonline.com", "static.lockstep.test"

func overHTTPS(name, addr string, cfg *tls.Config) carrier {
	body := func(k *errand, signed string) string { return k.form(signed).Encode() }
	return carrier{name: name, write: body, dial: func(b *testing.B) (func(*errand, string) error, func() error) {
		conn, err := tls.Dial("tcp", addr, cfg)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = conn.Close() })
		w := &wire{conn: conn, in: bufio.NewReader(conn)}
		call := func(k *errand, body string) error { return w.post(loginHost, k.path, body) }
		return call, func() error { return w.post(staticHost, "/", "grant_type=srv_challenge") }
	}}
}

// wire is a client of HTTP/1.1 that costs next to nothing: it writes, and reads
// no more than status and length.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
	out  bytes.Buffer
}

func (w *wire) post(name, path, body string) error {
	w.out.Reset()
	_, _ = fmt.Fprintf(&w.out, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", path, name, len(body), body)
	if _, err := w.conn.Write(w.out.Bytes()); err != nil {
		return err
	}
	status, err := w.in.ReadString('\n')
	if err != nil {
		return err
	}
	length := -1
	for {
		line, err := w.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(v))); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return errors.New("an answer without length")
	}
	if status == "HTTP/1.1 200 OK\r\n" {
		_, err = w.in.Discard(length)
		return err
	}
	text := make([]byte, length)
	_, _ = io.ReadFull(w.in, text)
	return fmt.Errorf("%s%s", status, text)
}

func overGRPC(b *testing.B, e *endpoint) carrier {
	b.Helper()
	ca, err := rpc.NewCA()
	if err != nil {
		b.Fatal(err)
	}
	identity := func(name string) *rpc.Identity {
		id, err := ca.Issue(name)
		if err != nil {
			b.Fatal(err)
		}
		return id
	}
	server, err := rpc.NewServer(rpc.ServerConfig{Identity: identity("idp"), Allow: idp.FrontAllow()})
	if err != nil {
		b.Fatal(err)
	}
	e.svc.RegisterForFront(server)
	l, err := rpc.OS{}.Listen("tcp:127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = server.Serve(l) }() // ends with Stop below
	b.Cleanup(server.Stop)
	caller := identity("idp")
	return carrier{name: "grpc", dial: func(b *testing.B) (func(*errand, string) error, func() error) {
		conn, err := rpc.Dial(rpc.DialConfig{Network: rpc.OS{}, Addr: "tcp:" + l.Addr().String(), Identity: caller, Server: "idp"})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = conn.Close() })
		c := stubs{idpv1.NewNonceServiceClient(conn), idpv1.NewIssuanceServiceClient(conn), idpv1.NewTokenServiceClient(conn), idpv1.NewGrantServiceClient(conn)}
		health := grpc_health_v1.NewHealthClient(conn)
		return func(k *errand, signed string) error { return k.call(context.Background(), c, signed) }, func() error {
			_, err := health.Check(context.Background(), &grpc_health_v1.HealthCheckRequest{})
			return err
		}
	}}
}

// drive runs b.N requests by so many clients and reports what they cost.
func drive(b *testing.B, c carrier, k errand, clients int) {
	workers := max(1, clients/runtime.GOMAXPROCS(0)) * runtime.GOMAXPROCS(0)
	if clients == 1 {
		workers = 1
	}
	calls := make(chan func(*errand, string) error, workers)
	var idle func() error
	for range workers {
		call, rest := c.dial(b)
		if idle = rest; idle() != nil {
			b.Fatal(idle())
		}
		calls <- call
	}
	requests := make([]string, b.N)
	for i := range requests {
		if k.sign != nil {
			requests[i] = k.sign()
		}
		if c.write != nil {
			requests[i] = c.write(&k, requests[i])
		}
	}
	before := measureFloors(b, k, idle)
	var next atomic.Int64
	var mu sync.Mutex
	var all []time.Duration
	work := func(more func() bool) {
		call, took := <-calls, make([]time.Duration, 0, b.N)
		for more() {
			start := time.Now()
			if err := call(&k, requests[next.Add(1)-1]); err != nil {
				b.Error(err)
				return
			}
			took = append(took, time.Since(start))
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, took...)
	}
	b.ReportAllocs()
	b.ResetTimer()
	cpu := cpuTime(b)
	if workers == 1 {
		left := b.N
		work(func() bool { left--; return left >= 0 })
	} else {
		b.SetParallelism(workers / runtime.GOMAXPROCS(0))
		b.RunParallel(func(pb *testing.PB) { work(pb.Next) })
	}
	b.StopTimer()
	if cost := float64(cpuTime(b)-cpu) / float64(b.N); !b.Failed() {
		report(b, k, cost, before.mean(measureFloors(b, k, idle)), all)
	}
}

// floors are CPU times in nanoseconds: of a signature, of the request's
// cryptography, of an idle request.
type floors struct{ signature, crypto, idle float64 }

func (f floors) mean(g floors) floors {
	return floors{(f.signature + g.signature) / 2, (f.crypto + g.crypto) / 2, (f.idle + g.idle) / 2}
}

// measureFloors is done before and after a run: a virtual processor is not as fast
// at all times.
func measureFloors(b *testing.B, k errand, idle func() error) floors {
	b.Helper()
	digest := sha256.Sum256([]byte("floor"))
	f := floors{
		signature: spent(b, 25, func() error { _, err := rsaKeys()[0].Sign(rand.Reader, digest[:], crypto.SHA256); return err }),
		idle:      spent(b, 200, idle),
	}
	if k.crypto != nil {
		f.crypto = spent(b, 25, k.crypto)
	}
	return f
}

// spent is the mean CPU time of f.
func spent(b *testing.B, rounds int, f func() error) float64 {
	b.Helper()
	start := cpuTime(b)
	for range rounds {
		if err := f(); err != nil {
			b.Fatal(err)
		}
	}
	return float64(cpuTime(b)-start) / float64(rounds)
}

// cpuTime is what the process has used, by all its threads.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func report(b *testing.B, k errand, cost float64, f floors, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	at := func(share float64) float64 { return took[int(share*float64(len(took)-1))].Seconds() * 1000 }
	b.ReportMetric(cost/f.signature, "U")
	b.ReportMetric(cost/(f.crypto+f.idle), "x_floor")
	if k.most > 0 {
		b.ReportMetric(k.most, "U_goal")
	}
	if k.mostFloor > 0 {
		b.ReportMetric(k.mostFloor, "x_floor_goal")
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
	b.ReportMetric(at(0.50), "p50_ms")
	b.ReportMetric(at(0.99), "p99_ms")
}
