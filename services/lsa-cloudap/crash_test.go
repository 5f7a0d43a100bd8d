package lsacloudap_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	lsacloudap "github.com/lockstep-sso/lockstep/services/lsa-cloudap"
)

// crashPoints are the moments of a renewal at which the process may die.
func crashPoints() []string {
	return []string{"answer-received", "session-key-imported", "prt-sealed", "temp-created", "temp-written",
		"manifest-temp-created", "manifest-temp-written", "state-begun", "renamed", "manifest-renamed", "state-confirmed", "memory-switched"}
}

// doomed starts a component that dies at a point when it is armed, and says whether it was
// struck.
func (w *world) doomed(point string) (m *machine, armed, struck *atomic.Bool) {
	armed, struck = new(atomic.Bool), new(atomic.Bool)
	return w.start(func(c *lsacloudap.Config) {
		c.Points = func(p string) {
			if armed.Load() && p == point {
				struck.Store(true)
				panic("killed at " + p)
			}
		}
	}), armed, struck
}

func TestREN22_ACrashAtAnyPointLosesNothing(t *testing.T) {
	for _, point := range crashPoints() {
		t.Run(point, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				m, armed, struck := w.doomed(point)
				m.logoff(m.signIn(alice).GetLogonSession())
				old := m.only().GetPrtDigest()
				time.Sleep(5 * time.Hour)
				armed.Store(true)
				m.signIn(alice)
				synctest.Wait()
				if !struck.Load() {
					t.Fatal("the point was not reached")
				}
				m.stop()

				// The new process: first without network, then with.
				m = w.start()
				if got := m.cache(); got.GetVerification() != cacheCurrent || len(got.GetQuarantined()) > 0 {
					t.Errorf("%v", got)
				}
				changed := m.only().GetPrtDigest() != old
				if want := slices.Contains([]string{"renamed", "manifest-renamed", "state-confirmed", "memory-switched"}, point); changed != want {
					t.Errorf("the new PRT is on disk: %v", changed)
				}
				w.cut(true)
				session := m.signIn(alice).GetLogonSession()
				if _, err := m.sign(session); err != nil {
					t.Errorf("cannot sign: %v", err)
				}
				w.cut(false)
				w.mustRedeem(m)
				for _, f := range w.stored() {
					if !strings.HasSuffix(f, ".json") {
						t.Errorf("left over: %s", f)
					}
				}
			})
		})
	}
}

func TestACrashInTheFirstSignInLeavesNoHalfPartition(t *testing.T) {
	for _, point := range crashPoints() {
		t.Run(point, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				m := w.start(func(c *lsacloudap.Config) {
					c.Points = func(p string) {
						if p == point {
							panic("killed at " + p)
						}
					}
				})
				if got, err := m.try(alice, password); err == nil {
					t.Errorf("signed in: %v", got)
				}
				m.stop()
				w.mustRedeem(w.start())
			})
		})
	}
}

func TestCloseCutsOffARenewalThatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start(func(c *lsacloudap.Config) { c.CallTimeout = time.Hour })
		m.signIn(alice)
		w.idp.set(func(f *faults) { f.stall = []string{"idp:RenewPRT"} })
		time.Sleep(4 * time.Hour)
		synctest.Wait()
		begin := time.Now()
		m.stop()
		if took := time.Since(begin); took != 10*time.Second {
			t.Errorf("close took %v", took)
		}
		w.idp.set(func(f *faults) { f.stall = nil })
		w.mustRedeem(w.start())
	})
}

// TestOBS11_NoPRTIsOnDiskInTheClear: not of this release, and not of the first one for
// longer than until somebody signs in.
func TestOBS11_NoPRTIsOnDiskInTheClear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.signIn(alice)
		var prt string
		for p := range w.idp.prts {
			prt = p
		}
		inClear := func() bool {
			for _, f := range w.stored() {
				raw, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(string(raw), prt) {
					return true
				}
			}
			return false
		}
		if prt == "" || inClear() {
			t.Errorf("the PRT %q is on disk", prt)
		}
		m.stop()
		w.asFirstRelease(prt)
		w.records.forget() // there was none then
		if !inClear() {
			t.Fatal("the file of the first release has no PRT")
		}
		w.tpm.set(func(f *faults) { f.on = map[string]error{"tpm:ProtectPRT": prterr.New(prterr.Unavailable, "down")} })
		m = w.start()
		if got := m.signIn(alice); !got.GetFromCache() || !inClear() {
			t.Errorf("without the tpm-agent: %v", got)
		}
		w.tpm.set(func(f *faults) { f.on = nil })
		if got := m.signIn(alice); !got.GetFromCache() || inClear() {
			t.Error("the PRT stays in the clear")
		}
		w.mustRedeem(m)
	})
}

// asFirstRelease turns the one partition on disk into a file of the first release.
func (w *world) asFirstRelease(prt string) {
	w.t.Helper()
	path := w.stored()[0]
	raw, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	var file map[string]any
	if err := json.Unmarshal(raw, &file); err != nil {
		w.t.Fatal(err)
	}
	first := map[string]any{"version": 1, "prt": prt}
	for _, name := range []string{
		"tenant_id", "user_id", "credential_kind", "user_principal_name", "display_name", "sealed_session_key", "password_verifier",
		"obtained_at", "expires_at", "wrong_passwords",
	} {
		first[name] = file[name]
	}
	if raw, err = json.Marshal(first); err == nil {
		err = os.WriteFile(path, raw, 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}
