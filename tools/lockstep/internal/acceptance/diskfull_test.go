package acceptance_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
)

// smallDisk gives the processes of one component a disk of a few KiB for their state: a
// tmpfs in a mount namespace of their own. Everything else runs as it is.
const smallDisk = `
component=$1; shift
name=$3; state=
for a; do [ "$before" = --state ] && state=$a; before=$a; done
[ "$name" = "$component" ] || exec "$@"
mkdir -p "$state"
exec unshare -Urm sh -c 'mount -t tmpfs -o size='"$SMALL_DISK"' none "$1" || exit 1; shift; exec "$@"' sh "$state" "$@"
`

func smallDiskWorld(t *testing.T, component, size string) *world {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "unshare", "-Urm", "sh", "-c", "mount -t tmpfs -o size=64k none "+t.TempDir()).CombinedOutput(); err != nil {
		t.Skipf("a small disk needs unshare and user namespaces: %v %s", err, out)
	}
	script := filepath.Join(t.TempDir(), "small-disk.sh")
	if err := os.WriteFile(script, []byte(smallDisk), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SMALL_DISK", size)
	return processWorld(t, "/bin/sh", script, component)
}

// TestADiskThatIsFullKeepsTheOldState_LSA: who is in the cache stays in it, signs in and
// gets tokens; a newcomer is told that the device could not keep the sign-in.
func TestADiskThatIsFullKeepsTheOldState_LSA(t *testing.T) {
	w := smallDiskWorld(t, "lsa-cloudap", "48k")
	first := w.works(w.tenant.User, "before")
	in := []string{w.tenant.User}
	var refused error
	for i := 0; i < 20 && refused == nil; i++ {
		upn := w.person(fmt.Sprintf("newcomer%d", i))
		if _, _, refused = w.device.LogonUI.SignIn(t.Context(), upn, w.tenant.Password); refused == nil {
			in = append(in, upn)
		}
	}
	if prterr.KindOf(refused) != prterr.Internal || !strings.Contains(refused.Error(), "could not be written") {
		t.Fatalf("%d sign-ins, then: %v", len(in), refused)
	}
	t.Logf("the disk is full after %d users: %v", len(in), refused)
	if _, err := w.token(w.device, first); err != nil {
		t.Errorf("a session from before: %v", err)
	}
	for _, upn := range in {
		desktop, _, err := w.device.LogonUI.SignIn(t.Context(), upn, w.tenant.Password)
		if err != nil || !desktop.FromCache {
			t.Errorf("%s: from the cache %v, %v", upn, desktop.FromCache, err)
			continue
		}
		if _, err := w.token(w.device, desktop); err != nil {
			t.Errorf("%s: %v", upn, err)
		}
		if err := w.device.LogonUI.SignOut(t.Context(), desktop); err != nil {
			t.Error(err)
		}
	}
	w.renewalOnAFullDisk(first)
	if c := w.cache(); c.GetVerification() != lsav1.CacheVerification_CACHE_VERIFICATION_CURRENT || len(c.GetQuarantined()) > 0 {
		t.Errorf("cache: %v", c)
	}
}

// renewalOnAFullDisk: a renewed PRT that cannot be kept is not used, and the old one is.
func (w *world) renewalOnAFullDisk(first actor.Desktop) {
	w.t.Helper()
	before := w.digest(w.tenant.User)
	if err := w.lab.Advance(w.t.Context(), 4*time.Hour+time.Minute); err != nil {
		w.t.Fatal(err)
	}
	state := w.awaitError(w.tenant.User)
	if !strings.Contains(state.GetLastError(), "could not be written") || state.GetPrtDigest() != before {
		w.t.Errorf("after a renewal: %v, before it %s", state, before)
	}
	if _, err := w.token(w.device, first); err != nil {
		w.t.Errorf("with the old PRT: %v", err)
	}
}

func (w *world) cache() *lsav1.CacheState { return w.ssoState().GetCache() }

func (w *world) ssoState() *lsav1.GetSSOStateResponse {
	w.t.Helper()
	s, err := lsav1.NewSSOStateServiceClient(w.device.Operator.LSA).GetSSOState(w.t.Context(), &lsav1.GetSSOStateRequest{})
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) partition(upn string) *lsav1.PartitionState {
	w.t.Helper()
	for _, p := range w.ssoState().GetPartitions() {
		if p.GetUserPrincipalName() == upn {
			return p
		}
	}
	w.t.Fatalf("%s has no partition", upn)
	return nil
}

func (w *world) digest(upn string) string { return w.partition(upn).GetPrtDigest() }

// awaitError waits until a renewal of the user's PRT has failed.
func (w *world) awaitError(upn string) *lsav1.PartitionState {
	w.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if p := w.partition(upn); p.GetLastError() != "" && !p.GetRenewalRunning() {
			return p
		}
		if time.Now().After(end) {
			w.t.Fatal("no renewal failed")
		}
	}
}

// TestADiskThatIsFullKeepsTheOldState_WAM: an app gets its tokens, with the refresh token
// that was kept before, or from the PRT.
func TestADiskThatIsFullKeepsTheOldState_WAM(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	log, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	before := os.Stderr
	os.Stderr = log // the lab's processes inherit it
	t.Cleanup(func() { os.Stderr = before; _ = log.Close() })
	w := smallDiskWorld(t, "wam-broker", "4k")
	desktop := w.works(w.tenant.User, "before")
	for i := range 3 {
		if _, err := w.token(w.device, desktop); err != nil {
			t.Errorf("request %d: %v", i, err)
		}
	}
	raw, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(raw), "no space left on device") || !strings.Contains(string(raw), "refresh token of an app was not kept") {
		t.Errorf("the disk was not full, or nobody says so: %v\n%s", err, raw)
	}
}
