package idp_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/run"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store/postgres/pgtest"
)

// TestDEP05_TheDatabaseIsASetting: it is named by a file, and what is kept there is there
// when every replica has ended.
func TestDEP05_TheDatabaseIsASetting(t *testing.T) {
	dsn := pgtest.Start(t, pgtest.Config{}).Database(t)
	dir := t.TempDir()
	file, empty := filepath.Join(dir, "dsn"), filepath.Join(dir, "empty")
	for path, text := range map[string]string{file: dsn.Reveal() + "\n", empty: "\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	wire := func(state, database string) (*run.Component, error) {
		return idp.Wire(&run.Env{StateDir: dir, Settings: map[string]string{"state": state, "database": database}})
	}
	for says, s := range map[string][2]string{
		"needs the path": {"postgres", ""}, "setting database: open": {"postgres", filepath.Join(dir, "none")}, "is not a DSN": {"postgres", empty},
		"goes with state=postgres": {"keep", file}, "keep or postgres": {"mysql", file},
	} {
		if _, err := wire(s[0], s[1]); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v: %v", s, err)
		}
	}
	c, err := wire("postgres", file)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Service.Close(); err != nil {
		t.Error(err)
	}
	// Another process, and one after it: HTTPS and devices trust the same.
	var before [2]string
	for i := range 2 {
		ca1, err := rpc.NewCA()
		if err != nil {
			t.Fatal(err)
		}
		id, err := ca1.Issue("idp")
		if err != nil {
			t.Fatal(err)
		}
		r, err := run.Start(run.Config{Name: "idp", Identity: id, Network: rpc.NewMem(), Listen: "mem:idp", Env: run.Env{
			StateDir: filepath.Join(t.TempDir(), "state"), Settings: map[string]string{
				"state": "postgres", "database": file, "https": "mem:https", "https-ca": filepath.Join(dir, "ca.pem"),
			},
		}}, idp.Wire)
		if err != nil {
			t.Fatal(err)
		}
		ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
		if err != nil {
			t.Fatal(err)
		}
		devices, err := idp.New(idp.Config{Database: dsn})
		if err != nil {
			t.Fatal(err)
		}
		authority, _ := devices.Authority().DeviceAuthority(contoso)
		if now := [2]string{string(ca), string(authority)}; i > 0 && now != before || len(authority) == 0 {
			t.Error("an authority is another after a restart")
		} else {
			before = now
		}
		for _, err := range []error{r.Stop(), devices.Close()} {
			if err != nil {
				t.Error(err)
			}
		}
	}
	for _, cfg := range []idp.Config{{Database: dsn, StateDir: dir}, {Database: dsn, QuickHashes: true}} {
		if _, err := idp.New(cfg); err == nil || !strings.Contains(err.Error(), "does not go with") {
			t.Errorf("%v", err)
		}
	}
}

// TestDEP06_TheDatabaseIsAway: a call says that it is to be tried again, nothing is taken
// without its use being noted, and everything goes on when the database is back.
func TestDEP06_TheDatabaseIsAway(t *testing.T) {
	server := pgtest.Start(t, pgtest.Config{})
	ca, err := rpc.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	c := clusterBy(t, ca, server.Database(t), 2, idp.Config{})
	w := c.spread(t)
	s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
	request := s.sign(t, s.renewal(t))
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_, err := w.renewPRT(request)
		wantUnreachable(t, err)
	}
	if err := server.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.renewPRT(request); err != nil {
		t.Errorf("the same request, which was never taken: %v", err)
	}
	if err := s.use(t); err != nil {
		t.Error(err)
	}
}

func wantUnreachable(t *testing.T, err error) {
	t.Helper()
	wantKind(t, err, "unavailable")
	if err != nil && strings.Contains(err.Error(), "dbname") {
		t.Errorf("it tells of the database: %v", err)
	}
}
