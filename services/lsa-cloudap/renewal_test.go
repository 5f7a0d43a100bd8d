package lsacloudap_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	lsacloudap "github.com/lockstep-sso/lockstep/services/lsa-cloudap"
)

// renewed are the renewals that the identity provider took, and when.
func (f *fakeIdP) renewed() ([]request, []time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.renewals), slices.Clone(f.times)
}

func TestREN01_RenewedEveryFourHoursAndNotEarlier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		begin := time.Now()
		m.signIn(alice)
		time.Sleep(14 * 24 * time.Hour)
		synctest.Wait()
		requests, times := w.idp.renewed()
		if len(times) != 84 {
			t.Errorf("%d renewals in 14 days", len(times))
		}
		for i, at := range times {
			if want := begin.Add(time.Duration(i+1) * 4 * time.Hour); !at.Equal(want) {
				t.Errorf("renewal %d came %v off", i, at.Sub(want))
			}
			if requests[i].Password != "" || requests[i].UPN != "" {
				t.Error("a renewal on the clock carries a credential")
			}
		}
	})
}

func TestREN01_NobodySignedInNobodyRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		one, two := m.signIn(alice).GetLogonSession(), m.signIn(alice).GetLogonSession()
		m.logoff(one)
		time.Sleep(5 * time.Hour)
		synctest.Wait()
		if _, times := w.idp.renewed(); len(times) != 1 {
			t.Errorf("%d renewals while somebody is signed in", len(times))
		}
		m.logoff(two)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if _, times := w.idp.renewed(); len(times) != 1 {
			t.Errorf("%d renewals with nobody signed in", len(times))
		}
	})
}

func TestREN02_TheDesktopOpensBeforeTheRenewalEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.logoff(m.signIn(alice).GetLogonSession())
		before := m.only().GetPrtDigest()
		time.Sleep(5 * time.Hour)
		w.idp.set(func(f *faults) { f.slow = 2 * time.Second })
		begin := time.Now()
		got := m.signIn(alice)
		if !got.GetFromCache() || !got.GetRenewalStarted() || time.Since(begin) != 0 {
			t.Errorf("after %v: %v", time.Since(begin), got)
		}
		if s := m.only(); !s.GetRenewalRunning() || s.GetPrtDigest() != before {
			t.Errorf("state while renewing: %v", s)
		}
		time.Sleep(10 * time.Second)
		if s := m.only(); s.GetRenewalRunning() || s.GetPrtDigest() == before || s.GetLastError() != "" {
			t.Errorf("state after: %v", s)
		}
	})
}

func TestREN02_AYoungPRTIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.logoff(m.signIn(alice).GetLogonSession())
		time.Sleep(4*time.Hour - time.Second)
		w.took()
		if got := m.signIn(alice); got.GetRenewalStarted() {
			t.Error("renewal started")
		}
		synctest.Wait()
		if calls := w.took(); !slices.Equal(calls, []string{"dsreg:GetDeviceState"}) {
			t.Errorf("calls %v", calls)
		}
	})
}

func TestREN03_NoNetworkAtTheMarkThenRenewalAfterReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		begin := time.Now()
		m.signIn(alice)
		before := m.only().GetPrtDigest()
		time.Sleep(3*time.Hour + 59*time.Minute)
		w.cut(true)
		time.Sleep(5*time.Hour + time.Minute) // 9:00
		if s := m.only(); s.GetPrtDigest() != before || s.GetLastError() == "" {
			t.Errorf("cut off: %v", s)
		}
		w.cut(false)
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		_, times := w.idp.renewed()
		if len(times) != 1 || times[0].Sub(begin) < 9*time.Hour {
			t.Fatalf("renewals %v", times)
		}
		if s := m.only(); s.GetPrtDigest() == before || s.GetLastError() != "" {
			t.Errorf("after reconnect: %v", s)
		}
		time.Sleep(4 * time.Hour)
		synctest.Wait()
		if _, times := w.idp.renewed(); len(times) != 2 || times[1].Sub(times[0]) != 4*time.Hour {
			t.Errorf("the clock does not go on: %v", times)
		}
	})
}

func TestREN03_RetriesWaitLongerEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.signIn(alice)
		w.cut(true)
		w.took()
		time.Sleep(4*time.Hour + 2*time.Hour)
		synctest.Wait()
		// 0, 1, 3, 7, 15, 31 minutes, then every 30: 61, 91; the next is at 121.
		// Each asks dsreg first whose member the device is.
		if calls := w.took(); len(calls) != 2*8 || count(calls, "idp:DiscoverRealm") != 8 {
			t.Errorf("%d attempts in two hours: %v", len(calls), calls)
		}
	})
}

func TestREN04_ARenewalAtSignInCarriesTheCredentialAndThePRT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.logoff(m.signIn(alice).GetLogonSession())
		time.Sleep(5 * time.Hour)
		w.took()
		m.signIn(alice)
		synctest.Wait()
		want := []string{
			"dsreg:GetDeviceState", "idp:DiscoverRealm", "idp:IssueNonce", "tpm:SignPRTRenewal", "idp:RenewPRT", "tpm:OpenPRTAnswer", "tpm:ImportSessionKey", "tpm:ProtectPRT",
		}
		if calls := w.took(); !slices.Equal(calls, want) {
			t.Errorf("calls %v", calls)
		}
		requests, _ := w.idp.renewed()
		if len(requests) != 1 || requests[0].Password != password || requests[0].UPN != alice || requests[0].PRT == "" || requests[0].Key == "device" {
			t.Errorf("renewals %+v", requests)
		}
	})
}

func TestREN05_AFederatedRenewalSendsTheAssertion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.logoff(m.signIn(ada).GetLogonSession())
		time.Sleep(5 * time.Hour)
		w.took()
		m.signIn(ada)
		synctest.Wait()
		want := []string{
			"dsreg:GetDeviceState", "idp:DiscoverRealm", "adfs:GetMetadata", "adfs:IssueToken", "idp:IssueNonce",
			"tpm:SignPRTRenewal", "idp:RenewPRT", "tpm:OpenPRTAnswer", "tpm:ImportSessionKey", "tpm:ProtectPRT",
		}
		if calls := w.took(); !slices.Equal(calls, want) {
			t.Errorf("calls %v", calls)
		}
		requests, _ := w.idp.renewed()
		if len(requests) != 1 || requests[0].Password != "" || requests[0].SAML != assertion {
			t.Errorf("renewals %+v", requests)
		}
	})
}

func TestREN07_TheNewSessionKeyIsTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		session := m.signIn(alice).GetLogonSession()
		var before, after request
		if signed, err := m.sign(session); err != nil || !readToken(signed, &before) {
			t.Fatal(err)
		}
		time.Sleep(4*time.Hour + time.Minute)
		if signed, err := m.sign(session); err != nil || !readToken(signed, &after) {
			t.Fatal(err)
		}
		if before.Key == after.Key || before.PRT == after.PRT {
			t.Errorf("before %+v, after %+v", before, after)
		}
		w.idp.mu.Lock()
		defer w.idp.mu.Unlock()
		if w.idp.prts[after.PRT].key != after.Key {
			t.Error("PRT and session key do not belong together")
		}
	})
}

func TestREN08_DailyUseNeverPrompts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		for day := range 60 {
			got := m.signIn(alice)
			if day > 0 && !got.GetFromCache() {
				t.Errorf("day %d: prompted the identity provider", day)
			}
			time.Sleep(8 * time.Hour)
			if _, err := m.sign(got.GetLogonSession()); err != nil {
				t.Errorf("day %d: %v", day, err)
			}
			m.logoff(got.GetLogonSession())
			m.stop() // switched off over night
			time.Sleep(16 * time.Hour)
			m = w.start()
		}
		first := 0
		for _, c := range w.took() {
			if c == "idp:RequestPRT" {
				first++
			}
		}
		if first != 1 {
			t.Errorf("%d first sign-ins in 60 days", first)
		}
	})
}

func TestREN21_TwoRenewalsAtOnceLeaveOneValidPRT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.signIn(alice) // its renewal clock takes part in the race
		w.idp.set(func(f *faults) { f.slow = 100 * time.Millisecond })
		time.Sleep(4 * time.Hour)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, err := m.try(alice, password); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Minute)
		if _, times := w.idp.renewed(); len(times) != 1 {
			t.Errorf("%d renewals", len(times))
		}
		w.mustRedeem(m)
	})
}

// mustRedeem shows that what the device holds, in memory and after a restart, is
// a PRT with the session key that belongs to it.
func (w *world) mustRedeem(m *machine) {
	w.t.Helper()
	for range 2 {
		var r request
		signed, err := m.sign(m.signIn(alice).GetLogonSession())
		if err != nil || !readToken(signed, &r) {
			w.t.Fatalf("sign: %v", err)
		}
		w.idp.mu.Lock()
		_, err = w.idp.bound(r)
		w.idp.mu.Unlock()
		if err != nil {
			w.t.Errorf("the identity provider refuses: %v", err)
		}
		m.stop()
		m = w.start()
	}
}

func TestAPRTThatWasRevokedIsReplacedAtTheNextSignIn(t *testing.T) {
	for name, revoke := range map[string]func(*fakeIdP){
		"refused by the provider": func(f *fakeIdP) { clear(f.prts) },
		"expired":                 func(*fakeIdP) { time.Sleep(15 * 24 * time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				m := w.start()
				m.logoff(m.signIn(alice).GetLogonSession())
				revoke(w.idp)
				time.Sleep(5 * time.Hour)
				if got := m.signIn(alice); !got.GetFromCache() || !got.GetRenewalStarted() {
					t.Errorf("got %v", got)
				}
				synctest.Wait()
				w.mustRedeem(m)
			})
		})
	}
}

func TestALabClockThatIsMovedMakesTheRenewalDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, lab := newWorld(t), clock.NewLab()
		m := w.start(func(c *lsacloudap.Config) { c.Clock = lab })
		m.signIn(alice)
		lab.Advance(4 * time.Hour)
		synctest.Wait()
		if _, times := w.idp.renewed(); len(times) != 1 {
			t.Errorf("%d renewals", len(times))
		}
	})
}
