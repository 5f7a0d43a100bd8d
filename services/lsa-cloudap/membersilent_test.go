package lsacloudap_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// TestOFF01_INV07_ARecoveredDeviceKeepsItsUsers: new keys and a new device id are the same
// membership, with the network and without, and after a restart.
func TestOFF01_INV07_ARecoveredDeviceKeepsItsUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		session := m.signIn(alice).GetLogonSession()
		w.become(joined, tenant, otherDevice, member)
		w.cut(true)
		for range 2 {
			if got := m.signIn(alice); !got.GetFromCache() || m.dropped() != 0 {
				t.Errorf("%v, %d events", got, m.dropped())
			}
			if _, err := m.unlock(session, password); err != nil {
				t.Error(err)
			}
			m.stop()
			m = w.start()
			session = m.signIn(alice).GetLogonSession()
		}
	})
}

// TestOFF01_INV07_WithoutDsregTheCacheOpensAllTheSame: within a second when it is silent, at
// once when it is down, with a password, with a PIN and at the lock screen; also when it
// has never said anything.
func TestOFF01_INV07_WithoutDsregTheCacheOpensAllTheSame(t *testing.T) {
	for name, c := range map[string]struct {
		fault func(*faults)
		most  time.Duration
	}{
		"silent": {func(f *faults) { f.stall = []string{"dsreg:GetDeviceState"} }, time.Second},
		"down":   {func(f *faults) { f.down = errNetwork }, 0},
		"slow":   {func(f *faults) { f.slow = 700 * time.Millisecond }, 700 * time.Millisecond},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					m := w.start()
					m.provisioned(alice, aliceID)
					if _, err := m.byPIN(alice, pin); err != nil { // its own partition
						t.Fatal(err)
					}
					w.dsreg.set(c.fault)
					w.cut(true)
					if restart {
						m.stop()
						m = w.start()
					}
					session := ""
					for what, open := range map[string]func() error{
						"password": func() error { got, err := m.try(alice, password); session = got.GetLogonSession(); return err },
						"PIN":      func() error { _, err := m.byPIN(alice, pin); return err },
					} {
						began := time.Now()
						if err := open(); err != nil || time.Since(began) > c.most {
							t.Errorf("%s: %v, after %v", what, err, time.Since(began))
						}
					}
					began := time.Now()
					if _, err := m.unlock(session, password); err != nil || time.Since(began) > c.most {
						t.Errorf("unlock: %v, after %v", err, time.Since(began))
					}
					if _, err := m.try(alice, "wrong"); prterr.KindOf(err) != prterr.Unauthenticated {
						t.Errorf("a wrong password: %v", err)
					}
				})
			})
		}
	}
}

// TestOFF01_TheLastAnswerCounts while dsreg is silent: what it said of a membership that
// has ended, and what came too late for the one who asked.
func TestOFF01_TheLastAnswerCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.signIn(alice)
		w.rejoin()
		w.dsreg.set(func(f *faults) { f.slow = 2 * time.Second })
		if got := m.signIn(alice); !got.GetFromCache() {
			t.Errorf("not within a second: %v", got)
		}
		time.Sleep(2 * time.Second)
		w.silent()
		w.cut(true)
		if _, err := m.try(alice, password); !ofFormer(err) {
			t.Errorf("what was heard late: %v", err)
		}
	})
}

// TestOFF01_WhatAFirstSignInHeardCounts: a PRT of today is not dropped for what dsreg had
// said before the device joined anew.
func TestOFF01_WhatAFirstSignInHeardCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.signIn(ada)
		if !m.signIn(ada).GetFromCache() { // the old membership was heard
			t.Fatal("not from the cache")
		}
		w.rejoin()
		if m.signIn(alice).GetFromCache() {
			t.Fatal("from the cache")
		}
		w.silent()
		w.cut(true)
		if !m.signIn(alice).GetFromCache() {
			t.Error("the PRT of today is not used")
		}
		if _, err := m.try(ada, password); !ofFormer(err) {
			t.Errorf("the PRT of before: %v", err)
		}
	})
}

// TestOFF01_WhatSaysNothingChangesNothing: a dsreg of an earlier release, and one that
// cannot be understood.
func TestOFF01_WhatSaysNothingChangesNothing(t *testing.T) {
	for name, change := range map[string]func(*fakeDsreg){
		"no membership": func(f *fakeDsreg) { f.member = "" },
		"malformed":     func(f *fakeDsreg) { f.member = "of the tenant" },
		"no state":      func(f *fakeDsreg) { f.state = 0 },
		"a later state": func(f *fakeDsreg) { f.state = 99 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				m := w.start()
				m.signIn(alice)
				w.dsreg.set(func(*faults) { change(w.dsreg) })
				w.cut(true)
				if got := m.signIn(alice); !got.GetFromCache() || m.dropped() != 0 {
					t.Errorf("%v", got)
				}
			})
		})
	}
}

// TestAnEndedComponentAsksNobody: a question to a silent dsreg does not hold up the end.
func TestAnEndedComponentAsksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.signIn(alice)
		w.silent()
		m.signIn(alice)
		began := time.Now()
		if m.stop(); time.Since(began) != 0 {
			t.Errorf("the end took %v", time.Since(began))
		}
	})
}

// earlier makes the one partition a file of the release before memberships, and has the
// record of the files forgotten, as if that release had written it.
func (w *world) earlier() {
	w.t.Helper()
	path := w.stored()[0]
	raw, err := os.ReadFile(path)
	var file map[string]any
	if err == nil {
		err = json.Unmarshal(raw, &file)
	}
	if err != nil || file["membership_id"] == nil {
		w.t.Fatalf("no membership: %v, %s", err, raw)
	}
	delete(file, "membership_id")
	file["version"] = 2
	if raw, err = json.Marshal(file); err == nil {
		err = os.WriteFile(path, raw, 0o600)
	}
	if err == nil {
		err = os.Remove(filepath.Join(w.dir, "manifest.json"))
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.records.forget()
}

// membership on disk of the one partition.
func (w *world) membership() string {
	w.t.Helper()
	raw, err := os.ReadFile(w.stored()[0])
	var file struct {
		Membership string `json:"membership_id"`
	}
	if err == nil {
		err = json.Unmarshal(raw, &file)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return file.Membership
}

// TestOFF01_AnOlderFileIsOfTheMembershipThatIsThere: without dsreg too. The first sign-in or
// renewal that knows the membership writes it down, and from there on it counts.
func TestOFF01_AnOlderFileIsOfTheMembershipThatIsThere(t *testing.T) {
	for name, first := range map[string]func(*world, *machine){
		"sign-in": func(_ *world, m *machine) { m.signIn(alice) },
		"offline": func(w *world, m *machine) { w.cut(true); m.signIn(alice); w.cut(false) },
		"renewal": func(_ *world, m *machine) { time.Sleep(5 * time.Hour); m.signIn(alice) },
		"without dsreg first": func(w *world, m *machine) {
			w.silent()
			m.signIn(alice)
			w.dsreg.set(func(f *faults) { f.stall = nil })
			m.signIn(alice)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				m := w.start()
				m.signIn(alice)
				m.stop()
				w.earlier()
				m = w.start()
				if w.membership() != "" || len(m.partitions()) != 1 {
					t.Fatalf("partitions %v", m.partitions())
				}
				first(w, m)
				synctest.Wait()
				if got := w.membership(); got != member || m.dropped() != 0 {
					t.Errorf("membership %q", got)
				}
				w.rejoin()
				w.cut(true)
				if _, err := m.try(alice, password); !ofFormer(err) {
					t.Errorf("after that: %v", err)
				}
			})
		})
	}
}

// TestREG20_AnOlderFileOpensNothingOnADeviceThatLeft: of whichever membership it was, there
// is none now.
func TestREG20_AnOlderFileOpensNothingOnADeviceThatLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.signIn(alice)
		m.stop()
		w.earlier()
		w.leave()
		if _, err := w.start().try(alice, password); prterr.KindOf(err) != prterr.Conflict || !strings.Contains(err.Error(), "not joined") || len(w.stored()) != 0 {
			t.Errorf("%v, left over %v", err, w.stored())
		}
	})
}

// TestREG20_ACrashWhileAFormerMembershipIsForgotten: whatever was removed already, the rest
// goes at the next start.
func TestREG20_ACrashWhileAFormerMembershipIsForgotten(t *testing.T) {
	for _, point := range []string{"manifest-temp-created", "manifest-temp-written", "state-begun", "manifest-renamed", "state-confirmed"} {
		t.Run(point, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				m, armed, struck := w.doomed(point)
				m.logoff(m.signIn(alice).GetLogonSession())
				w.rejoin()
				armed.Store(true)
				_, _ = m.try(alice, password)
				if !struck.Load() {
					t.Fatal("the point was not reached")
				}
				armed.Store(false)
				copied := w.dir
				w.dir = t.TempDir() // the process that died is not asked again
				if err := os.CopyFS(w.dir, os.DirFS(copied)); err != nil {
					t.Fatal(err)
				}
				next := w.start()
				w.took()
				if got := next.signIn(alice); got.GetFromCache() {
					t.Error("signed in from the cache of before")
				}
				if calls := w.took(); usedThePRT(calls) {
					t.Errorf("calls %v", calls)
				}
				w.cut(true)
				if !next.signIn(alice).GetFromCache() || w.membership() != otherMember {
					t.Errorf("the new PRT is of %s", w.membership())
				}
			})
		})
	}
}

// ofFormer says of an error that it is the cache's, of a membership that has ended.
func ofFormer(err error) bool {
	return err != nil && strings.Contains(err.Error(), "left its tenant, or joined anew")
}
