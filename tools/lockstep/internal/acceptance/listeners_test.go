package acceptance_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
)

// TestT7_OnlyTheDocumentedListeners looks at the sockets of every process of a laboratory:
// each component has its door, the cloud its HTTPS side too, and nobody anything else. No
// door answers those who look for reflection, channelz or a profiler.
func TestT7_OnlyTheDocumentedListeners(t *testing.T) {
	if _, err := os.Stat("/proc/net/unix"); err != nil {
		t.Skip("there is no /proc/net, in which this test reads who listens")
	}
	t.Setenv("LOCKSTEP_LAB_DUMPABLE", "on") // else nobody may read their descriptors
	w := processWorld(t)
	w.signIn(w.device)
	want := map[string][]string{
		"idp": {w.lab.Addr("idp-https"), w.lab.Addr("idp")}, "adfs": {w.lab.Addr("adfs-https"), w.lab.Addr("adfs")},
	}
	for _, c := range w.device.Components() {
		want[c] = []string{w.lab.Addr(w.device.Key(c))}
	}
	listening := listenersOfChildren(t)
	for name, doors := range want {
		if got := listening[name]; !slices.Equal(got, doors) {
			t.Errorf("%s listens at %q, and should at %q", name, got, doors)
		}
		delete(listening, name)
	}
	for name, got := range listening {
		t.Errorf("%s listens at %q, and is no component", name, got)
	}
	for name, doors := range want {
		w.pries(t, name, doors)
	}
}

// pries asks a component's doors for what helps whoever looks for a way in.
func (w *world) pries(t *testing.T, name string, doors []string) {
	t.Helper()
	id, err := w.lab.Issue("operator")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := rpc.Dial(rpc.DialConfig{Network: rpc.OS{}, Addr: doors[len(doors)-1], Identity: id, Server: name})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for _, method := range []string{
		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
		"/grpc.channelz.v1.Channelz/GetServers", "/grpc.channelz.v1.Channelz/GetTopChannels",
		"/envoy.service.status.v3.ClientStatusDiscoveryService/FetchClientStatus", "/debug/pprof/profile",
	} {
		stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
		if err == nil {
			_ = stream.CloseSend()
			err = stream.RecvMsg(&emptypb.Empty{})
		}
		if code := status.Code(err); code != codes.Unimplemented && code != codes.PermissionDenied {
			t.Errorf("%s answers %s: %v", name, method, err)
		}
	}
	for _, door := range doors {
		w.priesOverHTTP(t, name, door)
	}
}

func (w *world) priesOverHTTP(t *testing.T, name, door string) {
	t.Helper()
	id, err := w.lab.Issue("operator")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := id.Save(dir); err != nil {
		t.Fatal(err)
	}
	own, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	server := name
	if strings.Contains(door, "-https") {
		server = map[string]string{"idp": "login.microsoftonline.com", "adfs": "sts.adatum.test"}[name]
	}
	for _, h2 := range []bool{false, true} {
		transport := &http.Transport{
			DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return rpc.OS{}.Dial(ctx, door) },
			TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: w.authorities(t, dir), ServerName: server, Certificates: []tls.Certificate{own}},
			ForceAttemptHTTP2: h2,
		}
		client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
		for _, host := range []string{"localhost", "login.microsoftonline.com"} {
			for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline", "/debug/vars", "/metrics", "/debug/requests", "/healthz", "/statusz"} {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+host+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := client.Do(req)
				if err != nil {
					var unknown *tls.CertificateVerificationError
					if errors.As(err, &unknown) {
						t.Errorf("%s at %s was not reached: %v", name, door, err)
					}
					continue // no HTTP at all
				}
				body, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
				_ = resp.Body.Close()
				if resp.StatusCode < 400 {
					t.Errorf("%s answers https://%s%s at %s: %s %q", name, host, path, door, resp.Status, body)
				}
			}
		}
		transport.CloseIdleConnections()
	}
}

// authorities are those of the components, which is in the folder of an identity, and of
// the cloud's HTTPS side.
func (w *world) authorities(t *testing.T, identity string) *x509.CertPool {
	t.Helper()
	lab := filepath.Dir(filepath.Dir(w.device.StateDir("dsreg")))
	pool := x509.NewCertPool()
	for _, path := range []string{filepath.Join(identity, "ca.pem"), filepath.Join(lab, "idp", "ca.pem"), filepath.Join(lab, "adfs", "ca.pem")} {
		pem, err := os.ReadFile(path)
		if err != nil || !pool.AppendCertsFromPEM(pem) {
			t.Fatalf("authority %s: %v", path, err)
		}
	}
	return pool
}

// listenersOfChildren are the sockets at which the children of this process wait for
// others, by the name of the component: addresses as the lab writes them.
func listenersOfChildren(t *testing.T) map[string][]string {
	t.Helper()
	sockets := listeningSockets(t)
	all := map[string][]string{}
	procs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, proc := range procs {
		stat, err := os.ReadFile(filepath.Join(proc, "stat"))
		if err != nil {
			continue // it has ended
		}
		after := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(after) < 2 || after[1] != strconv.Itoa(os.Getpid()) {
			continue
		}
		cmdline, err := os.ReadFile(filepath.Join(proc, "cmdline"))
		if err != nil {
			t.Fatal(err)
		}
		args := strings.Split(string(cmdline), "\x00")
		at := slices.Index(args, "component")
		if at < 0 {
			continue
		}
		fds, err := os.ReadDir(filepath.Join(proc, "fd"))
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range fds {
			to, err := os.Readlink(filepath.Join(proc, "fd", fd.Name()))
			if inode, ok := strings.CutPrefix(strings.TrimSuffix(to, "]"), "socket:["); ok && err == nil && sockets[inode] != "" {
				all[args[at+1]] = append(all[args[at+1]], sockets[inode])
			}
		}
		slices.Sort(all[args[at+1]])
	}
	return all
}

// listeningSockets are those of this machine by their inode: unix sockets and TCP ports
// that accept connections, and UDP ports that have no other end.
func listeningSockets(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, table := range []string{"unix", "tcp", "tcp6", "udp", "udp6"} {
		text, err := os.ReadFile("/proc/net/" + table)
		if err != nil && table == "unix" {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			switch {
			case table == "unix" && len(f) > 6 && f[3] == "00010000": // __SO_ACCEPTCON
				all[f[6]] = "unix:" + strings.Join(f[7:], "")
			case strings.HasPrefix(table, "tcp") && len(f) > 9 && f[3] == "0A", strings.HasPrefix(table, "udp") && len(f) > 9 && f[3] == "07":
				all[f[9]] = fmt.Sprintf("%s:%s", table, f[1])
			}
		}
	}
	return all
}

// TestT7_NothingThatLooksInsideIsLinked: what is not in a program cannot be switched on.
func TestT7_NothingThatLooksInsideIsLinked(t *testing.T) {
	args := []string{"list", "-deps", "-f", "{{.ImportPath}}"}
	for _, c := range []string{"adfs", "dsreg", "idp", "lsa-cloudap", "tpm-agent", "wam-broker"} {
		args = append(args, "github.com/lockstep-sso/lockstep/services/"+c+"/cmd/"+c)
	}
	out, err := exec.CommandContext(t.Context(), "go", args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	linked := strings.Fields(string(out))
	if !slices.Contains(linked, "google.golang.org/grpc") {
		t.Fatal("go list says nothing of use")
	}
	for _, p := range []string{
		"net/http/pprof", "google.golang.org/grpc/reflection", "google.golang.org/grpc/channelz/service", "google.golang.org/grpc/admin",
		"google.golang.org/grpc/profiling/service",
	} {
		if slices.Contains(linked, p) {
			t.Errorf("a component links %s", p)
		}
	}
}
