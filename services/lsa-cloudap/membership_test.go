package lsacloudap_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	eventv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/event/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

const (
	otherDevice = "dddddddd-0000-4000-8000-000000000002"
	otherMember = "eeeeeeee-0000-4000-8000-000000000002"
	otherTenant = "aaaaaaaa-0000-4000-8000-000000000002"

	joined     = dsregv1.JoinState_JOIN_STATE_JOINED
	hybridly   = dsregv1.JoinState_JOIN_STATE_HYBRID
	registered = dsregv1.JoinState_JOIN_STATE_REGISTERED
	nowhere    = dsregv1.JoinState_JOIN_STATE_NONE
)

// become makes the device another one; its Hello keys are gone with the keys of the one
// before.
func (w *world) become(state dsregv1.JoinState, inTenant, device, membership string) {
	w.dsreg.set(func(*faults) {
		w.dsreg.state, w.dsreg.tenant, w.dsreg.device, w.dsreg.member = state, inTenant, device, membership
	})
	clear(w.tpm.hello.keys)
}

// leave takes the device out of its tenant, and rejoin in again.
func (w *world) leave()  { w.become(nowhere, "", "", "") }
func (w *world) rejoin() { w.become(joined, tenant, otherDevice, otherMember) }

// silent has dsreg answer nobody any more.
func (w *world) silent() {
	w.dsreg.set(func(f *faults) { f.stall = []string{"dsreg:GetDeviceState"} })
}

// usedThePRT reports whether the PRT in the cache was used.
func usedThePRT(calls []string) bool {
	return slices.ContainsFunc(calls, func(c string) bool {
		return slices.Contains([]string{"tpm:SignPRTRenewal", "tpm:SignTokenRequest", "tpm:SignPRTCookie", "idp:RenewPRT", "idp:RedeemPRT"}, c)
	})
}

// dropped counts the events that say that a cached sign-in was dropped.
func (m *machine) dropped() int {
	all, _ := m.events(0)
	return len(slices.DeleteFunc(all, func(e *eventv1.Event) bool { return e.GetId() != 9006 }))
}

// TestREG20_WhoJoinedAnewSignsInAsForTheFirstTime: the cache of before opens nothing, and
// its PRT is not used, however due a renewal is; the new one is cached like any other.
func TestREG20_WhoJoinedAnewSignsInAsForTheFirstTime(t *testing.T) {
	for name, inBetween := range map[string]func(*world){
		"left and joined":           func(w *world) { w.leave(); w.rejoin() },
		"joined over it":            func(w *world) { w.rejoin() },
		"the same device id":        func(w *world) { w.become(hybridly, tenant, deviceID, otherMember) },
		"in between dsreg was down": func(w *world) { w.silent(); w.dsreg.set(func(f *faults) { f.stall = nil }); w.rejoin() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				m := w.start()
				m.logoff(m.signIn(alice).GetLogonSession())
				before := m.only().GetPrtDigest()
				time.Sleep(5 * time.Hour)
				inBetween(w)
				w.took()
				got := m.signIn(alice)
				synctest.Wait()
				if calls := w.took(); got.GetFromCache() || usedThePRT(calls) || count(calls, "idp:RequestPRT") != 1 {
					t.Errorf("%v, after %v", got, calls)
				}
				if m.only().GetPrtDigest() == before || m.dropped() != 1 {
					t.Errorf("partition %v, %d events", m.only(), m.dropped())
				}
				if !m.signIn(alice).GetFromCache() {
					t.Error("the new PRT is not cached")
				}
				m.stop()
				w.cut(true)
				// The one event is that of before: events outlive a restart.
				if m = w.start(); !m.signIn(alice).GetFromCache() || m.dropped() != 1 {
					t.Error("the new PRT is not cached over a restart")
				}
			})
		})
	}
}

// TestREG20_AnotherTenantsCacheOpensNothing: of the same user name, in another tenant.
func TestREG20_AnotherTenantsCacheOpensNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.signIn(alice)
		w.become(joined, otherTenant, otherDevice, otherMember)
		w.idp.twist = func(a *idpv1.RequestPRTResponse) { a.IdToken = idToken(adaID, otherTenant, alice) }
		w.took()
		got, err := m.try(alice, password)
		if err != nil || got.GetFromCache() || got.GetUserId() != adaID || m.only().GetTenantId() != otherTenant {
			t.Errorf("%v, %v, partitions %v", got, err, m.partitions())
		}
		if calls := w.took(); usedThePRT(calls) {
			t.Errorf("calls %v", calls)
		}
	})
}

// TestREG20_NobodySignsInWithWhatADeviceHadBeforeItLeft: the same answer to a right and to a
// wrong password or PIN, and nothing is left on disk, not of those either who did not try.
func TestREG20_NobodySignsInWithWhatADeviceHadBeforeItLeft(t *testing.T) {
	for name, c := range map[string]struct {
		become dsregv1.JoinState
		want   string
	}{"left": {nowhere, "not joined"}, "left and registered": {registered, "registered, not joined"}} {
		for _, pw := range []string{password, "wrong"} {
			t.Run(name+" "+pw, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					m := w.start()
					m.logoff(m.signIn(alice).GetLogonSession())
					m.provisioned(ada, adaID)
					m.logoff(m.signIn(ada).GetLogonSession())
					w.become(c.become, tenant, otherDevice, otherMember)
					w.took()
					got, err := m.try(alice, pw)
					if prterr.KindOf(err) != prterr.Conflict || !strings.Contains(err.Error(), c.want) || got.GetLogonSession() != "" {
						t.Errorf("%v, %v", got, err)
					}
					synctest.Wait()
					if files := w.stored(); len(files) != 0 || usedThePRT(w.took()) || m.dropped() != 2 {
						t.Errorf("left over: %v, %d events", files, m.dropped())
					}
					for range 2 {
						if _, err := m.byPIN(ada, pin); prterr.KindOf(err) != prterr.NotFound {
							t.Errorf("a PIN: %v", err)
						}
					}
					if m.stop(); len(w.start().partitions()) != 0 {
						t.Error("it is back after a restart")
					}
				})
			})
		}
	}
}

// TestREG20_OfflineTheCacheOfBeforeSaysWhy: for a right password and for a wrong one, and
// once: then the user is one whom this device does not know.
func TestREG20_OfflineTheCacheOfBeforeSaysWhy(t *testing.T) {
	for _, pw := range []string{password, "wrong"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			m := w.start()
			m.signIn(alice)
			w.rejoin()
			w.cut(true)
			if _, err := m.try(alice, pw); prterr.KindOf(err) != prterr.Unavailable || !ofFormer(err) {
				t.Errorf("%s: %v", pw, err)
			}
			if _, err := m.try(alice, pw); prterr.KindOf(err) != prterr.Unavailable || ofFormer(err) || len(w.stored()) != 0 {
				t.Errorf("%s again: %v", pw, err)
			}
			w.cut(false)
			if got := m.signIn(alice); got.GetFromCache() {
				t.Errorf("%v", got)
			}
		})
	}
}

// TestREG20_APINOfBeforeOpensNothing: the key went with the device, and its record with the
// cache, so the user can have another. Who has a partition of today keeps their record.
func TestREG20_APINOfBeforeOpensNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.provisioned(alice, aliceID)
		got, err := m.byPIN(alice, pin)
		if err != nil {
			t.Fatal(err)
		}
		m.logoff(got.GetLogonSession())
		w.rejoin()
		if got, err := m.byPIN(alice, pin); err == nil || got.GetLogonSession() != "" {
			t.Fatalf("%v, %v", got, err)
		}
		if _, err := m.byPIN(alice, pin); prterr.KindOf(err) != prterr.NotFound || !strings.Contains(err.Error(), "set up Windows Hello") {
			t.Errorf("again: %v", err)
		}
		if got := m.signIn(alice); got.GetFromCache() || !got.GetHelloOffered() {
			t.Errorf("%v", got)
		}
		m.provisioned(alice, aliceID)
		if _, err := m.byPIN(alice, pin); err != nil {
			t.Errorf("the new PIN: %v", err)
		}
	})
}

// TestREG20_AHelloKeyOfTodayStays though a password of before is dropped.
func TestREG20_AHelloKeyOfTodayStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.signIn(alice)
		w.rejoin()
		got, err := m.byPage(alice, visitor{alice, []string{"fido2"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.provision(got.GetLogonSession(), visitor{methods: []string{"sms"}}); err != nil {
			t.Fatal(err)
		}
		w.cut(true)
		if _, err := m.try(alice, password); !ofFormer(err) {
			t.Errorf("the password of before: %v", err)
		}
		w.cut(false)
		if _, err := m.byPIN(alice, pin); err != nil {
			t.Errorf("the PIN of today: %v", err)
		}
	})
}

// TestREG20_ADesktopThatIsOpenWhenTheDeviceLeavesStays, and gets no token any more; its PRT
// is not renewed on the clock. It unlocks when its user signs in with the network, and has
// a PRT again.
func TestREG20_ADesktopThatIsOpenWhenTheDeviceLeavesStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		session := m.signIn(alice).GetLogonSession()
		before := m.account(session)
		w.leave()
		w.took()
		time.Sleep(5 * time.Hour) // the clock of the session
		synctest.Wait()
		if calls := w.took(); usedThePRT(calls) || len(w.stored()) != 0 {
			t.Errorf("on the clock: %v, left over %v", calls, w.stored())
		}
		if a := m.account(session); !a.GetNoPrt() || a.GetSid() != before.GetSid() || a.GetUserPrincipalName() != alice || a.GetDisplayName() != before.GetDisplayName() {
			t.Errorf("account %v", a)
		}
		if _, err := m.sign(session); prterr.KindOf(err) != prterr.Interaction {
			t.Errorf("a token: %v", err)
		}
		if _, err := m.unlock(session, password); prterr.KindOf(err) != prterr.Conflict || !strings.Contains(err.Error(), "not joined") {
			t.Errorf("an unlock: %v", err)
		}
		w.rejoin()
		w.cut(true)
		if _, err := m.unlock(session, password); prterr.KindOf(err) != prterr.Unavailable {
			t.Errorf("an unlock offline: %v", err)
		}
		w.cut(false)
		if _, err := m.unlock(session, password); err != nil {
			t.Fatalf("an unlock with the network: %v", err)
		}
		if _, err := m.sign(session); err != nil || m.account(session).GetNoPrt() || m.only().GetSessions() != 1 {
			t.Errorf("the new PRT: %v, %v", err, m.only())
		}
		w.cut(true)
		if _, err := m.unlock(session, password); err != nil {
			t.Errorf("from the cache: %v", err)
		}
		m.logoff(session)
	})
}

// TestREG20_AnUnlockAsksToo: also when the session's own PRT is of before, and another user
// who signs in under the name of the session's gets nothing of it.
func TestREG20_AnUnlockAsksToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		session := m.signIn(alice).GetLogonSession()
		w.rejoin()
		w.cut(true)
		for _, former := range []bool{true, false} {
			if _, err := m.unlock(session, password); prterr.KindOf(err) != prterr.Unavailable || ofFormer(err) != former || !m.account(session).GetNoPrt() {
				t.Errorf("offline: %v", err)
			}
		}
		w.cut(false)
		w.idp.twist = func(a *idpv1.RequestPRTResponse) { a.IdToken = idToken(adaID, tenant, alice) }
		if _, err := m.unlock(session, password); prterr.KindOf(err) != prterr.Conflict || !m.account(session).GetNoPrt() {
			t.Errorf("another user of the name: %v", err)
		}
		m.logoff(session)
	})
}

// TestREG20_TheDomainLetsInAndThePRTIsNew: a computer of a domain that joined its tenant
// anew opens the desktop by the domain, and not with the PRT of before.
func TestREG20_TheDomainLetsInAndThePRTIsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.hybrid()
		session := m.signIn(alice).GetLogonSession()
		synctest.Wait() // the PRT comes behind the domain's word
		if m.account(session).GetNoPrt() {
			t.Fatal("no PRT")
		}
		m.logoff(session)
		w.become(hybridly, tenant, deviceID, otherMember)
		w.cut(true)
		w.took()
		got := m.signIn(alice)
		if !got.GetByDomain() || !got.GetPrtPending() || got.GetSid() != domainSID || len(m.partitions()) != 0 {
			t.Errorf("%v, partitions %v", got, m.partitions())
		}
		w.cut(false)
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if a := m.account(got.GetLogonSession()); a.GetNoPrt() || a.GetSid() != domainSID {
			t.Errorf("no new PRT: %v", a)
		}
		if calls := w.took(); usedThePRT(calls) {
			t.Errorf("calls %v", calls)
		}
	})
}
