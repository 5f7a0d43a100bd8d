package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/run"
	"github.com/lockstep-sso/lockstep/services/adfs"
)

// TestTrustFetch is the init container of the idp: over mutual TLS, from a provider that
// runs, as idp; and as nobody else.
func TestTrustFetch(t *testing.T) {
	dir := t.TempDir()
	ca, err := rpc.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"adfs", "idp", "browser"} {
		id, err := ca.Issue(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := id.Save(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	id, err := rpc.LoadIdentity(filepath.Join(dir, "adfs"))
	if err != nil {
		t.Fatal(err)
	}
	socket, signing := "unix:"+filepath.Join(dir, "run", "adfs.sock"), filepath.Join(dir, "signing.pem")
	r, err := run.Start(run.Config{Name: "adfs", Identity: id, Network: rpc.OS{}, Listen: socket, Env: run.Env{Settings: map[string]string{"signing-certificate": signing}}}, adfs.Wire)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
	}()
	out := filepath.Join(dir, "trust", "adatum.pem")
	fetch := func(as string) error {
		cmd := trustCommand()
		cmd.SetArgs([]string{"fetch", "--identity=" + filepath.Join(dir, as), "--from=adfs=" + socket, "--certificate=token-signing", "--out=" + out, "--within=30s"})
		return cmd.ExecuteContext(t.Context())
	}
	if err := fetch("browser"); err == nil {
		t.Error("a browser got it")
	}
	if err := fetch("idp"); err != nil {
		t.Fatal(err)
	}
	got, err1 := os.ReadFile(out)
	want, err2 := os.ReadFile(signing)
	if err1 != nil || err2 != nil || string(got) != string(want) {
		t.Errorf("another certificate: %v, %v", err1, err2)
	}
}
