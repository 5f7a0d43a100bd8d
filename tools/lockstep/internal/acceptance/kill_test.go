package acceptance_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// writePoints are the moments of a write of lsa-cloudap at which its process dies, in
// their order; tokenPoints are those of wam-broker.
func writePoints() []string {
	return []string{
		"answer-received", "session-key-imported", "prt-sealed", "temp-created", "temp-written", "manifest-temp-created",
		"manifest-temp-written", "state-begun", "renamed", "manifest-renamed", "state-confirmed", "memory-switched",
	}
}

func tokenPoints() []string { return []string{"temp-created", "temp-written", "renamed"} }

// processWorld is a lab in which each component is a process, with one joined device.
// prefix comes before the program and its arguments.
func processWorld(t *testing.T, prefix ...string) *world {
	t.Helper()
	w := processes(t, prefix...)
	w.join(w.device)
	return w
}

// processes is the same with a device that is in no tenant.
func processes(t *testing.T, prefix ...string) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("a lab of processes takes its time, and -short is set")
	}
	dir, err := os.MkdirTemp("", "kill-") //nolint:usetesting // sockets have paths of at most 107 bytes, and t.TempDir makes longer ones
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	bin := filepath.Join(dir, "lockstep")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "github.com/lockstep-sso/lockstep/tools/lockstep").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return newWorld(t, lab.Config{Dir: filepath.Join(dir, "lab"), Processes: true, LogLevel: "warn", Self: append(prefix, bin, "component")})
}

// dies arms a crash point of a component, does what reaches it, and starts the
// component again when its process is gone.
func (w *world) dies(component, point string, do func()) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	w.device.Set(component, "lab-crash-at", point)
	if err := w.device.Restart(ctx, component); err != nil {
		w.t.Fatal(err)
	}
	do()
	if err := w.device.AwaitKilled(ctx, component); err != nil {
		w.t.Fatalf("%s: %v", point, err)
	}
	w.device.Set(component, "lab-crash-at", "")
	if err := w.device.Resume(ctx, component); err != nil {
		w.t.Fatal(err)
	}
}

// whole holds that the files of the cache are the newest, and that nothing is left over.
func (w *world) whole() {
	w.t.Helper()
	s, err := lsav1.NewSSOStateServiceClient(w.device.Operator.LSA).GetSSOState(w.t.Context(), &lsav1.GetSSOStateRequest{})
	if err != nil {
		w.t.Fatal(err)
	}
	if c := s.GetCache(); c.GetVerification() != lsav1.CacheVerification_CACHE_VERIFICATION_CURRENT || len(c.GetQuarantined()) > 0 {
		w.t.Errorf("cache: %v", c)
	}
	for _, pattern := range []string{".*.json.*", "*/.*.json.*"} {
		left, err := filepath.Glob(filepath.Join(w.device.StateDir("lsa-cloudap"), pattern))
		if err != nil || len(left) > 0 {
			w.t.Errorf("left over: %v, %v", left, err)
		}
	}
}

// person makes a user of the tenant.
func (w *world) person(name string) string {
	w.t.Helper()
	upn := name + "@contoso.test"
	_, err := directoryv1.NewAdminServiceClient(w.device.Operator.Directory).CreateUser(w.t.Context(), &directoryv1.CreateUserRequest{
		UserPrincipalName: upn, Password: w.tenant.Password.Reveal(),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return upn
}

// works signs a person in and gets a token that is from no memory.
func (w *world) works(upn, when string) actor.Desktop {
	w.t.Helper()
	desktop, _, err := w.device.LogonUI.SignIn(w.t.Context(), upn, w.tenant.Password)
	if err != nil {
		w.t.Fatalf("%s: %s cannot sign in: %v", when, upn, err)
	}
	if _, err := w.token(w.device, desktop); err != nil {
		w.t.Fatalf("%s: %s gets no token: %v", when, upn, err)
	}
	return desktop
}

// TestREN22_KillMinus9AtEveryWritePointOfLSA kills the process of lsa-cloudap in a
// renewal and in a first sign-in, at every point of a write: the next start signs in and
// gets a token, and takes its own files for its own.
func TestREN22_KillMinus9AtEveryWritePointOfLSA(t *testing.T) {
	w := processWorld(t)
	w.works(w.tenant.User, "before")
	for i, point := range writePoints() {
		w.dies("lsa-cloudap", point, func() {
			// Nobody is signed in since the restart, so no clock renews before the sign-in.
			if err := w.lab.Advance(t.Context(), 4*time.Hour+time.Minute); err != nil {
				t.Fatal(err)
			}
			// From the cache; the renewal behind it dies. It may die before the answer.
			_, _, err := w.device.LogonUI.SignIn(t.Context(), w.tenant.User, w.tenant.Password)
			t.Logf("a sign-in whose renewal dies at %s: %v", point, err)
		})
		w.whole()
		w.works(w.tenant.User, "after a renewal that died at "+point)

		upn := w.person(fmt.Sprintf("newcomer%d", i))
		w.dies("lsa-cloudap", point, func() {
			if _, _, err := w.device.LogonUI.SignIn(t.Context(), upn, w.tenant.Password); err == nil {
				t.Errorf("a sign-in that died at %s was answered", point)
			}
		})
		w.whole()
		w.works(upn, "after a first sign-in that died at "+point)
	}
}

// TestREN22_KillMinus9AtEveryWritePointOfWAM: an app's refresh token is the old one, the
// new one, or none; the app gets its token in any case.
func TestREN22_KillMinus9AtEveryWritePointOfWAM(t *testing.T) {
	w := processWorld(t)
	desktop := w.works(w.tenant.User, "before")
	for _, point := range tokenPoints() {
		w.dies("wam-broker", point, func() {
			if _, err := w.token(w.device, desktop); err == nil {
				t.Errorf("a request that died at %s was answered", point)
			}
		})
		if _, err := w.token(w.device, desktop); err != nil {
			t.Errorf("after %s: %v", point, err)
		}
		files, err := filepath.Glob(filepath.Join(w.device.StateDir("wam-broker"), "tokens", "*.json"))
		aside, _ := filepath.Glob(filepath.Join(w.device.StateDir("wam-broker"), "quarantine", "*"))
		if err != nil || len(files) == 0 || len(aside) > 0 {
			t.Errorf("after %s: %v, in quarantine %v, %v", point, files, aside, err)
		}
	}
}
