package lsacloudap_test

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	lsacloudap "github.com/lockstep-sso/lockstep/services/lsa-cloudap"
)

// crashPoints are the moments of a renewal at which the process may die.
func crashPoints() []string {
	return []string{"answer-received", "session-key-imported", "temp-created", "temp-written", "renamed", "memory-switched"}
}

func TestREN22_ACrashAtAnyPointLosesNothing(t *testing.T) {
	for _, point := range crashPoints() {
		t.Run(point, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				var armed, struck atomic.Bool
				m := w.start(func(c *lsacloudap.Config) {
					c.Points = func(p string) {
						if armed.Load() && p == point {
							struck.Store(true)
							panic("killed at " + p)
						}
					}
				})
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
				changed := m.only().GetPrtDigest() != old
				if want := slices.Contains([]string{"renamed", "memory-switched"}, point); changed != want {
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
