package lab_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/run"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// nothing is a component that has a clock and serves nothing.
type nothing struct{}

func (nothing) Register(grpc.ServiceRegistrar) {}
func (nothing) Close() error                   { return nil }

// TestDEP06_TheOperatorMovesTheClockOfEachReplica: where idp is several the deployment
// file lists each, and a move of the lab's time reaches all of them.
func TestDEP06_TheOperatorMovesTheClockOfEachReplica(t *testing.T) {
	dir := t.TempDir()
	ca, err := rpc.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	operator, err := ca.Issue("operator")
	if err != nil {
		t.Fatal(err)
	}
	if err := operator.Save(filepath.Join(dir, "operator")); err != nil {
		t.Fatal(err)
	}
	d := &lab.Deployment{Identities: dir, Cloud: map[string]string{}, Replicas: map[string][]string{}}
	var clocks []*clock.Lab
	for _, name := range []string{"a", "b", "c"} {
		addr, c := "unix:"+filepath.Join(dir, name), clock.NewLab()
		id, err := ca.Issue("idp")
		if err != nil {
			t.Fatal(err)
		}
		r, err := run.Start(run.Config{Name: "idp", Identity: id, Network: rpc.OS{}, Listen: addr, Env: run.Env{Clock: c, Lab: c}},
			func(*run.Env) (*run.Component, error) { return &run.Component{Service: nothing{}}, nil })
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Stop() })
		clocks = append(clocks, c)
		d.Cloud["idp"], d.Replicas["idp"] = addr, append(d.Replicas["idp"], addr)
	}
	l, err := lab.Start(t.Context(), lab.Config{Deployment: d})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if err := l.AwaitReady(t.Context(), func(err error) { t.Log(err) }); err != nil {
		t.Fatal(err)
	}
	if err := l.Advance(t.Context(), 4*time.Hour); err != nil {
		t.Fatal(err)
	}
	for i, c := range clocks {
		if ahead := time.Until(c.Now()); ahead < 4*time.Hour-time.Minute || ahead > 4*time.Hour+time.Minute {
			t.Errorf("replica %d is %v ahead", i, ahead)
		}
	}
	if err := l.KillReplica("idp-0"); err == nil {
		t.Error("a replica of a deployment was killed")
	}
}

// What does not go together is an error before anything starts.
func TestReplicasNeedADatabaseOfTheirOwn(t *testing.T) {
	always := func(string) bool { return true }
	for want, cfg := range map[string]lab.Config{
		"Database":  {Replicas: 3},
		"two at":    {Replicas: 1, Database: "dsn"},
		"Processes": {Replicas: 3, Database: "dsn", Processes: true},
		"Sockets":   {Replicas: 3, Database: "dsn", Sockets: true},
		"stand-in":  {Replicas: 3, Database: "dsn", StandIns: always},
		"KeepCloud": {Replicas: 3, Database: "dsn", KeepCloud: true},
	} {
		if _, err := lab.Start(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", cfg, err, want)
		}
	}
	l, err := lab.Start(t.Context(), lab.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if err := l.KillReplica("idp-0"); err == nil || !strings.Contains(err.Error(), "one identity provider") {
		t.Error(err)
	}
}
