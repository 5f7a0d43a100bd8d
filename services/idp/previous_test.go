package idp_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store/postgres/pgtest"
)

// previous is the variable that names the program of the version before: the binary that
// services/idp/cmd/idp of that version builds.
const previous = "LOCKSTEP_IDP_PREVIOUS"

// TestDEP07_TheVersionBeforeRunsBesideThisOne: replicas of both versions on one database,
// each call at another one, with the older one there first (an upgrade) and last (the
// way back); and what an operator changes at one holds at the other with the next call.
func TestDEP07_TheVersionBeforeRunsBesideThisOne(t *testing.T) {
	program := os.Getenv(previous)
	if program == "" {
		t.Skipf("%s is not set: it names the idp binary of the version before", previous)
	}
	for name, upgrade := range map[string]bool{"upgrade": true, "way back": false} {
		t.Run(name, func(t *testing.T) {
			dsn := pgtest.Start(t, pgtest.Config{}).Database(t)
			ca, err := rpc.NewCA()
			if err != nil {
				t.Fatal(err)
			}
			var old string
			if upgrade {
				old = process(t, program, ca, dsn)
			}
			c := clusterBy(t, ca, dsn, 2, idp.Config{})
			if !upgrade {
				old = process(t, program, ca, dsn)
			}
			to := func(caller string) []*grpc.ClientConn {
				return []*grpc.ClientConn{c.dial(t, c.net, c.replicas[0].addr, caller), c.dial(t, rpc.OS{}, old, caller), c.dial(t, c.net, c.replicas[1].addr, caller)}
			}
			l := &life{w: c.spreadOver(to)}
			for range 3 {
				for _, step := range l.steps() {
					step.do(t)
				}
			}
			older := c.world(func(caller string) grpc.ClientConnInterface { return to(caller)[1] })
			newer := c.at(t, 0)
			for _, at := range [][2]*world{{older, newer}, {newer, older}} {
				s := l.d.first(t, alice, alicePassword).in(at[1])
				if err := s.use(t); err != nil {
					t.Fatal(err)
				}
				setUser(t, at[0], alice, false)
				wantCode(t, s.use(t), aadsts.UserDisabled)
				setUser(t, at[0], alice, true)
				done[*directoryv1.RotateKeysResponse](t)(at[0].admin.RotateKeys(context.Background(), &directoryv1.RotateKeysRequest{}))
				if err := s.d.first(t, alice, alicePassword).in(at[0]).use(t); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// process runs a program as a replica until the test ends, and tells where it listens.
func process(t *testing.T, program string, ca *rpc.CA, dsn secret.Text) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "idp") //nolint:usetesting // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	id, err := ca.Issue("idp")
	if err == nil {
		err = id.Save(filepath.Join(dir, "identity"))
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "dsn"), []byte(dsn.Reveal()), 0o600)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "maker.pem"), tpmMaker().PEM(), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	addr := "unix:" + filepath.Join(dir, "run", "idp.sock")
	cmd := exec.Command(program, "--listen", addr, "--identity", filepath.Join(dir, "identity"), "--state", filepath.Join(dir, "state"), "--log", "warn",
		"--set", "state=postgres", "--set", "database="+filepath.Join(dir, "dsn"), "--set", "tpm-makers=emulated="+filepath.Join(dir, "maker.pem"))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	caller, err := ca.Issue("lsa-cloudap")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := rpc.Dial(rpc.DialConfig{Network: rpc.OS{}, Addr: addr, Identity: caller, Server: "idp"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for s := conn.GetState(); s != connectivity.Ready; s = conn.GetState() {
		conn.Connect()
		if !conn.WaitForStateChange(t.Context(), s) {
			t.Fatal(t.Context().Err())
		}
	}
	return addr
}
