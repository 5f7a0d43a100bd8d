package acceptance_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/run"
	trustv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/trust/v1"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
	"github.com/lockstep-sso/lockstep/services/adfs"
	"github.com/lockstep-sso/lockstep/services/dsreg"
	"github.com/lockstep-sso/lockstep/services/idp"
	lsacloudap "github.com/lockstep-sso/lockstep/services/lsa-cloudap"
	tpmagent "github.com/lockstep-sso/lockstep/services/tpm-agent"
	wambroker "github.com/lockstep-sso/lockstep/services/wam-broker"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/components"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/labserver"
)

var update = flag.Bool("update", false, "write the files that tests compare with anew")

// callersFile is who may call what, for whoever reviews a change of it.
const callersFile = "../../../../docs/callers.txt"

// Two callers beside the components: one with a name that is none of theirs, and one
// with the name of the component itself from another authority.
const (
	stranger  = "stranger"
	otherRoot = "(another CA)"
)

// callers are all that come to a door; archtest holds them to be the components.
func callers() []string {
	return []string{
		"logonui", "app", "window", "browser", "browsercore", "wam-broker", "lsa-cloudap", "dsreg", "tpm-agent", "idp", "adfs", "observer", "operator", "settings", "lab",
		stranger, otherRoot,
	}
}

// doorOf is a running server with the table that it was given.
type doorOf struct {
	name, addr string
	allow      rpc.AllowList
}

// TestT1_EveryMethodByEveryIdentity calls every method of every contract at every running
// server as everybody: who is refused is exactly who is not on the server's list, and the
// whole of it is docs/callers.txt. (go test -run T1 -update)
func TestT1_EveryMethodByEveryIdentity(t *testing.T) {
	s, doors := running(t)
	var out strings.Builder
	fmt.Fprint(&out, callersHead)
	for i, c := range callers() {
		fmt.Fprintf(&out, "%s%s\n", strings.Repeat("| ", i), c)
	}
	for _, d := range doors {
		marks := map[string]string{}
		for _, caller := range callers() {
			for method, passed := range d.calls(t, dialAs(t, s, caller, d), caller) {
				marks[method] += map[bool]string{true: "x ", false: ". "}[passed]
			}
		}
		fmt.Fprintf(&out, "\n%s\n", d.name)
		for _, m := range everyMethod() {
			row := marks[fullName(m)]
			if d.allow[fullName(m)] == nil && !strings.Contains(row, "x") {
				continue // no method of this door, and refused to everybody
			}
			fmt.Fprintf(&out, "%s %s.%s\n", strings.TrimSpace(row), m.Parent().Name(), m.Name())
		}
	}
	golden(t, callersFile, out.String())
}

const callersHead = `Who may call what: x passes the door, . is refused. Seen at running servers, each method of each contract called by each identity;
what is not listed below a server is refused there to everybody. Health is answered to every identity of the same authority.

`

// calls has somebody call every method of every contract, and says which passed. All at
// once who does not even get a connection: each of those waits for it.
func (d doorOf) calls(t *testing.T, conn *grpc.ClientConn, caller string) map[string]bool {
	t.Helper()
	passed, mu, limit := map[string]bool{}, sync.Mutex{}, 1
	if caller == otherRoot {
		limit = 64
	}
	var all errgroup.Group
	all.SetLimit(limit)
	for _, m := range everyMethod() {
		all.Go(func() error {
			ok := d.passes(t, conn, caller, m)
			mu.Lock()
			defer mu.Unlock()
			passed[fullName(m)] = ok
			return nil
		})
	}
	_ = all.Wait() // nobody gives an error
	return passed
}

// passes calls one method and compares what came with the table.
func (d doorOf) passes(t *testing.T, conn *grpc.ClientConn, caller string, m protoreflect.MethodDescriptor) bool {
	t.Helper()
	listed := slices.Contains(d.allow[fullName(m)], caller)
	limit := 20 * time.Second
	if listed && fullName(m) == wamv1.WindowService_AwaitInteraction_FullMethodName {
		limit = 100 * time.Millisecond // it waits for a page, and has passed when it does
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	err := conn.Invoke(ctx, fullName(m), dynamicpb.NewMessage(m.Input()), dynamicpb.NewMessage(m.Output()))
	refused := err != nil && (strings.Contains(err.Error(), caller+" may not call") || strings.Contains(err.Error(), "unknown service prt.") || strings.Contains(err.Error(), "unknown method"))
	if caller == otherRoot {
		refused = err != nil && strings.Contains(err.Error(), d.name+" cannot be reached")
	}
	if listed == refused {
		t.Errorf("%s calling %s at %s: listed %v, %v", caller, fullName(m), d.name, listed, err)
	}
	return !refused
}

// running is a laboratory with a door of its own and one device, with all its doors.
func running(t *testing.T) (*labserver.Server, []doorOf) {
	t.Helper()
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	dir, err := os.MkdirTemp("", "callers-") //nolint:usetesting // sockets have paths of at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s, err := labserver.Start(t.Context(), labserver.Config{Dir: filepath.Join(dir, "lab"), Devices: 1, Lab: lab.Config{TPM: "mem:"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	device := s.Info().Devices["device-1"]
	doors := []doorOf{
		{"tpm-agent", device["tpm-agent"], tpmagent.Allow()},
		{"dsreg", device["dsreg"], dsreg.Allow()},
		{"lsa-cloudap", device["lsa-cloudap"], lsacloudap.Allow()},
		{"wam-broker", device["wam-broker"], wambroker.Allow()},
		{"idp", s.Info().IdP, idp.Allow()},
		{"adfs", strings.Replace(s.Info().IdP, "idp.sock", "adfs.sock", 1), adfs.Allow()},
		{"lab", s.Info().Lab, run.WholeLabAllow()},
	}
	for i := range doors[:len(doors)-1] {
		doors[i].allow = rpc.Join(doors[i].allow, run.LabAllow())
	}
	return s, doors
}

// dialAs comes to a door as somebody.
func dialAs(t *testing.T, s *labserver.Server, caller string, d doorOf) *grpc.ClientConn {
	t.Helper()
	name := caller
	if caller == otherRoot {
		name = d.name
	}
	id, err := s.Issue(name)
	if err != nil {
		t.Fatal(err)
	}
	if caller == otherRoot {
		id = forged(t, id)
	}
	conn, err := rpc.Dial(rpc.DialConfig{Network: rpc.OS{}, Addr: d.addr, Identity: id, Server: d.name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// forged has the name of an identity and trusts whom it trusts, and its certificate is
// of another authority.
func forged(t *testing.T, genuine *rpc.Identity) *rpc.Identity {
	t.Helper()
	ca, err := rpc.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	other, err := ca.Issue(genuine.Name)
	if err != nil {
		t.Fatal(err)
	}
	dir, own := t.TempDir(), t.TempDir()
	if err := other.Save(dir); err != nil {
		t.Fatal(err)
	}
	if err := genuine.Save(own); err != nil {
		t.Fatal(err)
	}
	roots, err := os.ReadFile(filepath.Join(own, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), roots, 0o600); err != nil {
		t.Fatal(err)
	}
	id, err := rpc.LoadIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestT1_HealthIsTheOnlyCommonMethod: everybody with an identity of the authority is told
// that a server listens, and nothing else is for everybody; who has none is told nothing.
func TestT1_HealthIsTheOnlyCommonMethod(t *testing.T) {
	s, doors := running(t)
	for _, d := range doors {
		for _, caller := range callers() {
			conn := dialAs(t, s, caller, d)
			got, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
			if well := err == nil && got.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING; well == (caller == otherRoot) {
				t.Errorf("%s asks %s whether it is well: %v, %v", caller, d.name, got, err)
			}
			_, err = grpc_health_v1.NewHealthClient(conn).List(t.Context(), &grpc_health_v1.HealthListRequest{})
			watch, opened := grpc_health_v1.NewHealthClient(conn).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
			if opened == nil {
				_, opened = watch.Recv()
			}
			if err == nil || opened == nil || opened == io.EOF { //nolint:errorlint // what a stream gives
				t.Errorf("%s has another health method of %s: %v, %v", caller, d.name, err, opened)
			}
		}
		for method, who := range d.allow {
			// Public certificates are for whoever has to trust them.
			if len(who) > 3 && method != trustv1.CertificateService_GetCertificate_FullMethodName {
				t.Errorf("%s of %s is for %q: that is nearly everybody", method, d.name, who)
			}
		}
	}
}

// TestT1_T11_LabMethodsAreForALaboratory starts every component as a deployment does: there
// is no clock to move and nothing else of a laboratory, for the operator neither.
func TestT1_T11_LabMethodsAreForALaboratory(t *testing.T) {
	ca, err := rpc.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	network, peers := rpc.NewMem(), map[string]string{}
	for _, name := range components.Names() {
		peers[name] = "mem:" + name
	}
	for _, name := range components.Names() {
		id, err := ca.Issue(name)
		if err != nil {
			t.Fatal(err)
		}
		env := run.Env{StateDir: t.TempDir(), Settings: map[string]string{}}
		if name == "tpm-agent" {
			env.Settings["tpm"], env.Settings["spare-key-sets"] = "mem:", "0"
		}
		r, err := run.Start(run.Config{Name: name, Identity: id, Network: network, Listen: peers[name], Peers: peers, Env: env}, components.Wires()[name])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Stop() })
		who, err := ca.Issue("operator")
		if err != nil {
			t.Fatal(err)
		}
		conn, err := rpc.Dial(rpc.DialConfig{Network: network, Addr: peers[name], Identity: who, Server: name})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		n := 0
		for _, m := range everyMethod() {
			if p := m.ParentFile().Package(); p != "prt.lab.v1" && p != "prt.fault.v1" {
				continue
			}
			n++
			err := conn.Invoke(t.Context(), fullName(m), dynamicpb.NewMessage(m.Input()), dynamicpb.NewMessage(m.Output()))
			if status.Code(err) != codes.Unimplemented && !strings.Contains(err.Error(), "unknown service") {
				t.Errorf("%s outside a laboratory answers %s: %v", name, fullName(m), err)
			}
		}
		if n < 7 {
			t.Errorf("%d methods of laboratories", n)
		}
	}
}

// everyMethod are the methods of all contracts, ordered by name.
func everyMethod() []protoreflect.MethodDescriptor {
	var all []protoreflect.MethodDescriptor
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(f.Package()), "prt.") {
			return true
		}
		for i := range f.Services().Len() {
			for j := range f.Services().Get(i).Methods().Len() {
				all = append(all, f.Services().Get(i).Methods().Get(j))
			}
		}
		return true
	})
	slices.SortFunc(all, func(a, b protoreflect.MethodDescriptor) int { return strings.Compare(fullName(a), fullName(b)) })
	return all
}

func fullName(m protoreflect.MethodDescriptor) string {
	return "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
}

// golden compares with a file, or writes it with -update.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what was seen, which is\n%s\nIf that is meant: go test -run %s -update, and have the change reviewed.", path, got, t.Name())
	}
}
