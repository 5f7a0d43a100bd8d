package adfs_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/published"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/run"
	"github.com/lockstep-sso/lockstep/services/adfs"
)

// publishedBy asks a provider that was wired as a process wires it for its certificate.
func publishedBy(t *testing.T, caller, name string, env run.Env) ([]byte, error) {
	t.Helper()
	c, err := adfs.Wire(&env)
	if err != nil {
		t.Fatal(err)
	}
	conn, stop, err := rpc.Loopback(rpc.LoopbackConfig{Caller: caller, Server: "adfs", Allow: c.Allow}, func(r grpc.ServiceRegistrar) { c.Service.Register(r) })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	return published.Fetch(t.Context(), conn, name)
}

func TestTheSigningKeyIsKept(t *testing.T) {
	dir := t.TempDir()
	kept := run.Env{StateDir: dir, Settings: map[string]string{"signing-key": "keep"}}
	first, err1 := publishedBy(t, "idp", published.TokenSigning, kept)
	second, err2 := publishedBy(t, "idp", published.TokenSigning, kept)
	if err1 != nil || err2 != nil || !bytes.Equal(first, second) {
		t.Fatalf("another certificate after a restart: %v, %v", err1, err2)
	}
	fresh, err := publishedBy(t, "idp", published.TokenSigning, run.Env{StateDir: dir})
	if err != nil || bytes.Equal(first, fresh) {
		t.Errorf("without the setting the key is not new: %v", err)
	}
	info, err := os.Stat(filepath.Join(dir, "token-signing.pem"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the kept key: %v, %v", info, err)
	}
	late := clock.NewLab()
	late.Advance(366 * 24 * time.Hour)
	kept.Clock = late
	if _, err := adfs.Wire(&kept); err == nil || !strings.Contains(err.Error(), "ended") {
		t.Errorf("a key that has ended: %v", err)
	}
	if _, err := adfs.Wire(&run.Env{StateDir: dir, Settings: map[string]string{"signing-key": "yes"}}); err == nil {
		t.Error("any value is taken")
	}
	if _, err := adfs.Wire(&run.Env{Settings: map[string]string{"signing-key": "keep"}}); err == nil {
		t.Error("a key is kept nowhere")
	}
}

func TestWhoFetchesTheCertificates(t *testing.T) {
	for caller, want := range map[string]prterr.Kind{"browser": prterr.Denied, "wam-broker": prterr.Denied, "operator": prterr.NotFound} {
		if _, err := publishedBy(t, caller, "nothing", run.Env{}); prterr.KindOf(err) != want {
			t.Errorf("%s: %v", caller, err)
		}
	}
	// Without HTTPS there is nobody to trust at its side.
	if _, err := publishedBy(t, "operator", published.HTTPSAuthority, run.Env{}); prterr.KindOf(err) != prterr.NotFound {
		t.Errorf("without HTTPS: %v", err)
	}
}
