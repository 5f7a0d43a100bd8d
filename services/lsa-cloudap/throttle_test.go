package lsacloudap_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// TestFLT09_AThrottledRenewalIsHeldBackAtSignInsToo: the identity provider asks to be left
// alone for 20 minutes. The cache lets in meanwhile, neither clock nor sign-in nor unlock
// renews, and a password that the cache does not know is asked for all the same.
func TestFLT09_AThrottledRenewalIsHeldBackAtSignInsToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.logoff(m.signIn(alice).GetLogonSession())
		busy := prterr.New(prterr.Exhausted, "too many requests").WithRetryAfter(20 * time.Minute)
		w.idp.set(func(f *faults) { f.on = map[string]error{"idp:RenewPRT": busy} })
		time.Sleep(5 * time.Hour)
		w.took()
		if got := m.signIn(alice); !got.GetFromCache() || !got.GetRenewalStarted() {
			t.Errorf("got %v", got)
		}
		synctest.Wait()
		if n := count(w.took(), "idp:RenewPRT"); n != 1 || m.only().GetLastError() == "" {
			t.Errorf("%d renewals, %v", n, m.only())
		}
		w.idp.set(func(f *faults) { f.on = nil })
		for range 6 {
			time.Sleep(3 * time.Minute)
			got := m.signIn(alice)
			if !got.GetFromCache() || got.GetRenewalStarted() {
				t.Errorf("got %v", got)
			}
			m.logoff(got.GetLogonSession())
		}
		synctest.Wait()
		if calls := w.tookOf("idp:"); len(calls) != 0 {
			t.Errorf("asked within the 20 minutes: %v", calls)
		}
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if n := count(w.took(), "idp:RenewPRT"); n != 1 || m.only().GetLastError() != "" {
			t.Errorf("%d renewals after the 20 minutes, %v", n, m.only())
		}

		w.idp.set(func(f *faults) { f.on = map[string]error{"idp:RenewPRT": busy} })
		time.Sleep(4 * time.Hour)
		synctest.Wait()
		w.idp.set(func(f *faults) { f.on = nil; f.down = nil })
		w.idp.password = "new-password"
		if got, err := m.try(alice, "new-password"); err != nil || got.GetFromCache() {
			t.Errorf("a new password within the time: %v, %v", got, err)
		}
	})
}
