package wambroker_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	eventv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/event/v1"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
	wambroker "github.com/lockstep-sso/lockstep/services/wam-broker"
)

// file is the one of the one work account, with its content.
func (d *device) file(t testing.TB) (path string, raw []byte) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(d.dir, "accounts", "*.json"))
	if err != nil || len(all) != 1 {
		t.Fatalf("files %v, %v", all, err)
	}
	if raw, err = os.ReadFile(all[0]); err != nil {
		t.Fatal(err)
	}
	return all[0], raw
}

// TestA43_FLT12_AnOldFileOfAWorkAccountIsDetected: an older copy, a file of an account
// that was removed, one that somebody changed, and one that was taken away, whether the
// agent is there at the start or comes later. Nobody has the account then, the file is
// named, and the next start finds everything in order.
func TestA43_FLT12_AnOldFileOfAWorkAccountIsDetected(t *testing.T) {
	choose := func(t *testing.T, d *device) {
		t.Helper()
		if _, err := d.settings(t).SetDefaultAccount(t.Context(), &wamv1.SetDefaultAccountRequest{LogonSession: "session-maria", Account: alice}); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		happens func(*testing.T, *device)
		tamper  func(path string, old []byte) error
		event   uint32
		// meanwhile is what an app hears while the agent is away.
		meanwhile prterr.Kind
	}{
		"an older copy": {choose, func(path string, old []byte) error { return os.WriteFile(path, old, 0o600) }, 9002, prterr.Unavailable},
		"an account that was removed": {func(t *testing.T, d *device) {
			t.Helper()
			if _, err := d.settings(t).DisconnectAccount(t.Context(), &wamv1.DisconnectAccountRequest{LogonSession: "session-maria", Account: alice}); err != nil {
				t.Fatal(err)
			}
		}, func(path string, old []byte) error { return os.WriteFile(path, old, 0o600) }, 9002, prterr.Conflict}, // the device left with it
		"changed by somebody": {choose, func(path string, old []byte) error {
			return os.WriteFile(path, []byte(strings.Replace(string(old), "alice@", "alicf@", 1)), 0o600)
		}, 9002, prterr.Unavailable},
		"taken away": {choose, func(path string, _ []byte) error { return os.Remove(path) }, 9004, ""},
	} {
		for when, away := range map[string]bool{"agent there": false, "agent away at the start": true} {
			t.Run(name+", "+when, func(t *testing.T) {
				d := registeredWithoutPRT(t)
				path, old := d.file(t)
				c.happens(t, d)
				if err := c.tamper(path, old); err != nil {
					t.Fatal(err)
				}
				gate := &gate{ClientConnInterface: d.agent.Dial("wam-broker")}
				if d.tpm = gate; away {
					gate.shut(true)
				}
				again := start(t, d.world, d.dir, nil)
				if away && c.meanwhile != "" {
					if _, err := again.client.RequestToken(t.Context(), ask(as("session-maria"))); prterr.KindOf(err) != c.meanwhile {
						t.Errorf("an account that could not be checked: %v", err)
					}
				}
				gate.shut(false)
				if got := again.accounts(t, "session-maria"); len(got) != 0 {
					t.Errorf("there is %v", got)
				}
				named := func(e *eventv1.Event) bool { return e.GetId() == c.event }
				if !slices.ContainsFunc(again.events(t), named) {
					t.Errorf("no event %d: %v", c.event, again.events(t))
				}
				aside, err := filepath.Glob(filepath.Join(d.dir, "quarantine", "*.json.*"))
				if want := map[uint32]int{9002: 1, 9004: 0}[c.event]; err != nil || len(aside) != want {
					t.Errorf("in quarantine: %v, %v", aside, err)
				}
				before := len(again.events(t))
				if last := start(t, d.world, d.dir, nil); len(last.events(t)) != before {
					t.Errorf("at the next start: %v", last.events(t)[before:])
				}
			})
		}
	}
}

// gate is a connection that can be cut.
type gate struct {
	grpc.ClientConnInterface
	closed bool
}

func (g *gate) shut(closed bool) { g.closed = closed }

func (g *gate) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	if g.closed {
		return prterr.ToStatus(prterr.New(prterr.Unavailable, "down"))
	}
	return g.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
}

// TestAFolderThatCannotBeReadIsNamed: the broker does not start as if it had no accounts.
func TestAFolderThatCannotBeReadIsNamed(t *testing.T) {
	d := newDevice(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "accounts"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := wambroker.New(wambroker.Config{StateDir: dir, Authority: d.authority, TPM: d.agent.Dial("wam-broker"), IdP: d.authority})
	var path *os.PathError
	if err == nil || !errors.As(err, &path) || path.Path != filepath.Join(dir, "accounts") {
		t.Errorf("%v", err)
	}
}
