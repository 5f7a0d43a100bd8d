package lsacloudap_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	eventv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/event/v1"
	lsacloudap "github.com/lockstep-sso/lockstep/services/lsa-cloudap"
)

const otherDevice = "dddddddd-0000-4000-8000-000000000002"

// leave takes the device out of its tenant, and rejoin makes it another one there. The
// keys of before are gone with the leave, as the tpm-agent has it.
func (w *world) leave() { w.dsreg.state = dsregv1.JoinState_JOIN_STATE_NONE }

func (w *world) rejoin(as dsregv1.JoinState) {
	w.dsreg.state, w.dsreg.device, w.dsreg.made = as, otherDevice, time.Now()
}

// usedFormer are the calls that use a cached PRT.
func usedFormer(calls []string) bool {
	return slices.ContainsFunc(calls, func(c string) bool {
		return c == "tpm:SignPRTRenewal" || c == "tpm:SignTokenRequest" || c == "tpm:SignPRTCookie" || c == "idp:RenewPRT"
	})
}

// TestAPRTOfAFormerDeviceIsDropped after the device left and joined anew, also when the
// component was not there meanwhile, and after a time that makes a renewal due.
func TestAPRTOfAFormerDeviceIsDropped(t *testing.T) {
	for name, meanwhile := range map[string]func(w *world, m *machine) *machine{
		"at once":                        func(_ *world, m *machine) *machine { return m },
		"with a renewal due":             func(_ *world, m *machine) *machine { time.Sleep(5 * time.Hour); return m },
		"the component was not there":    func(w *world, m *machine) *machine { m.stop(); return w.start() },
		"dsreg was not there for a time": func(w *world, m *machine) *machine { return w.withoutDsreg(m) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				m := w.start()
				session := m.signIn(alice).GetLogonSession()
				m.signIn(ada)
				if a := m.account(session); a.GetDeviceId() != deviceID {
					t.Errorf("the PRT is of device %q", a.GetDeviceId())
				}
				m.logoff(session)
				before := w.stored()
				w.leave()
				w.rejoin(dsregv1.JoinState_JOIN_STATE_JOINED)
				m = meanwhile(w, m)
				w.took()
				got := m.signIn(alice)
				if got.GetFromCache() || got.GetRenewalStarted() {
					t.Errorf("signed in from the cache of the former device: %v", got)
				}
				synctest.Wait()
				if calls := w.took(); usedFormer(calls) {
					t.Errorf("the PRT of the former device was used: %v", calls)
				}
				if a := m.account(got.GetLogonSession()); a.GetDeviceId() != otherDevice {
					t.Errorf("the new PRT is of device %q", a.GetDeviceId())
				}
				if files := w.stored(); len(before) != 2 || len(files) != 1 || m.only().GetUserPrincipalName() != alice {
					t.Errorf("left over: %v", files)
				}
				if got := m.signIn(alice); !got.GetFromCache() {
					t.Error("the new PRT is dropped too")
				}
				if m.stop(); !w.start().signIn(alice).GetFromCache() {
					t.Error("the new PRT is dropped after a restart")
				}
			})
		})
	}
}

// withoutDsreg has the component work without it for a while: the cache works on, because
// nobody knows better.
func (w *world) withoutDsreg(m *machine) *machine {
	w.t.Helper()
	w.dsreg.set(func(f *faults) { f.down = errNetwork })
	if got := m.signIn(alice); !got.GetFromCache() {
		w.t.Error("the cache does not work without dsreg")
	}
	w.dsreg.set(func(f *faults) { f.down = nil })
	return m
}

// TestADeviceThatLeftKeepsNobody: no sign-in, no session, and an event for each user; a
// session of before gets nothing, and its PRT is not renewed on the clock.
func TestADeviceThatLeftKeepsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		session := m.signIn(alice).GetLogonSession()
		w.leave()
		w.took()
		time.Sleep(5 * time.Hour) // the clock of the open session
		synctest.Wait()
		if calls := w.took(); usedFormer(calls) {
			t.Errorf("the PRT was used after the leave: %v", calls)
		}
		if _, err := m.sign(session); prterr.KindOf(err) != prterr.Unauthenticated {
			t.Errorf("the session goes on: %v", err)
		}
		if got, err := m.try(alice, password); prterr.KindOf(err) != prterr.Conflict || !strings.Contains(err.Error(), "not joined") {
			t.Errorf("a sign-in after the leave: %v, %v", got, err)
		}
		if files := w.stored(); len(files) != 0 {
			t.Errorf("left over: %v", files)
		}
		events, _ := m.events(0)
		events = slices.DeleteFunc(events, func(e *eventv1.Event) bool { return e.GetId() != 9005 })
		if len(events) != 1 || !strings.Contains(events[0].String(), alice) || !strings.Contains(events[0].String(), deviceID) {
			t.Errorf("events %v", events)
		}
	})
}

// TestACrashWhileAFormerDeviceIsForgotten: whatever was removed already, the rest goes at
// the next start.
func TestACrashWhileAFormerDeviceIsForgotten(t *testing.T) {
	for _, point := range []string{"manifest-temp-created", "manifest-temp-written", "state-begun", "manifest-renamed", "state-confirmed"} {
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
				w.leave()
				w.rejoin(dsregv1.JoinState_JOIN_STATE_JOINED)
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
				w.took()
				next := w.start()
				if got := next.signIn(alice); got.GetFromCache() {
					t.Error("signed in from the cache of the former device")
				}
				if calls := w.took(); usedFormer(calls) {
					t.Errorf("the PRT of the former device was used: %v", calls)
				}
				if got := next.account(next.signIn(alice).GetLogonSession()); got.GetDeviceId() != otherDevice {
					t.Errorf("%v", got)
				}
			})
		})
	}
}

// TestHybridTheDomainLetsInAndThePRTIsNew: a computer of a domain that became another
// device opens the desktop by the domain, and not with the PRT of before.
func TestHybridTheDomainLetsInAndThePRTIsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.hybrid()
		session := m.signIn(alice).GetLogonSession()
		synctest.Wait() // the PRT comes behind the domain's word
		if a := m.account(session); a.GetDeviceId() != deviceID {
			t.Fatalf("no PRT: %v", a)
		}
		m.logoff(session)
		w.leave()
		w.rejoin(dsregv1.JoinState_JOIN_STATE_HYBRID)
		w.cut(true)
		w.took()
		got := m.signIn(alice)
		if !got.GetByDomain() || !got.GetPrtPending() || got.GetSid() != domainSID {
			t.Errorf("got %v", got)
		}
		if a := m.account(got.GetLogonSession()); !a.GetNoPrt() || len(m.partitions()) != 0 {
			t.Errorf("there is a PRT: %v", a)
		}
		w.cut(false)
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if a := m.account(got.GetLogonSession()); a.GetNoPrt() || a.GetDeviceId() != otherDevice || a.GetSid() != domainSID {
			t.Errorf("no new PRT: %v", a)
		}
		if calls := w.took(); usedFormer(calls) {
			t.Errorf("the PRT of the former device was used: %v", calls)
		}
	})
}

// TestAPRTOfAnEarlierReleaseIsOfTheDeviceThatIsOlder: its file does not say which one it
// is of.
func TestAPRTOfAnEarlierReleaseIsOfTheDeviceThatIsOlder(t *testing.T) {
	for name, older := range map[string]bool{"the device is older": true, "the PRT is older": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				m := w.start()
				m.signIn(alice)
				m.stop()
				w.earlier()
				time.Sleep(time.Minute)
				if !older {
					w.dsreg.made = time.Now()
				}
				m = w.start()
				if got := m.signIn(alice); got.GetFromCache() != older {
					t.Errorf("from the cache: %v", got.GetFromCache())
				}
				if a := m.account(m.signIn(alice).GetLogonSession()); a.GetDeviceId() != deviceID {
					t.Errorf("device %q", a.GetDeviceId())
				}
			})
		})
	}
}

// earlier makes the one partition a file of the release that did not know devices.
func (w *world) earlier() {
	w.t.Helper()
	paths, err := filepath.Glob(filepath.Join(w.dir, "partitions", "*.json"))
	if err != nil || len(paths) != 1 {
		w.t.Fatal(paths, err)
	}
	raw, err := os.ReadFile(paths[0])
	if err != nil {
		w.t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		w.t.Fatal(err)
	}
	delete(m, "device_id")
	m["version"] = 2
	if raw, err = json.Marshal(m); err != nil {
		w.t.Fatal(err)
	}
	w.restore(map[string]string{paths[0]: string(raw)})
	if err := os.Remove(filepath.Join(w.dir, "manifest.json")); err != nil {
		w.t.Fatal(err)
	}
	w.records.forget()
}
