package lsacloudap_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// throttle has the identity provider refuse a call for five minutes; nil ends it.
func (w *world) throttle(call string, on bool) {
	w.idp.faults.set(func(f *faults) {
		if f.on = nil; on {
			f.on = map[string]error{call: prterr.ToStatus(prterr.AADSTS(aadsts.Throttled, "").WithRetryAfter(5 * time.Minute))}
		}
	})
}

// asked counts a call since the last time.
func (w *world) asked(call string) (n int) {
	for _, c := range w.took() {
		if c == call {
			n++
		}
	}
	return n
}

// TestFLT09_APersonMayTryAFewTimes to sign in while the identity provider asks to be left
// alone: three times more, and not again before the time is over. Each refusal says when to
// come again.
func TestFLT09_APersonMayTryAFewTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const call = "idp:RequestPRT"
		w := newWorld(t)
		m := w.start()
		w.throttle(call, true)
		for range 10 {
			if _, err := m.try(alice, password); prterr.CodeOf(err) != aadsts.Throttled || prterr.RetryAfterOf(err) == 0 || !strings.Contains(err.Error(), "try again in 5m0s") {
				t.Errorf("got %v", err)
			}
		}
		if n := w.asked(call); n != 4 {
			t.Errorf("ten tries reached the identity provider %d times, not 4", n)
		}
		w.throttle(call, false)
		time.Sleep(4 * time.Minute)
		if _, err := m.try(alice, password); prterr.RetryAfterOf(err) != time.Minute || len(w.took()) != 0 {
			t.Errorf("within the time: %v", err)
		}
		m.logoff(m.signIn(ada).GetLogonSession()) // it was nobody else's hint
		time.Sleep(time.Minute)
		if _, err := m.try(alice, password); err != nil {
			t.Errorf("after the time: %v", err)
		}
	})
}

// TestFLT09_TheTenantsAnswerEndsAHint: whoever tries within the time and is answered waits
// for nothing any more.
func TestFLT09_TheTenantsAnswerEndsAHint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		w.throttle("idp:RequestPRT", true)
		if _, err := m.try(alice, password); prterr.CodeOf(err) != aadsts.Throttled {
			t.Fatalf("got %v", err)
		}
		w.throttle("", false)
		m.signIn(alice)
	})
}

// TestFLT09_TheCachedSignInOpensTheDesktop however often somebody comes back under a hint;
// what is renewed behind it is tried three times, and then on the clock when the time is
// over.
func TestFLT09_TheCachedSignInOpensTheDesktop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const call = "idp:RenewPRT"
		w := newWorld(t)
		m := w.start()
		m.logoff(m.signIn(alice).GetLogonSession())
		time.Sleep(5 * time.Hour)
		w.throttle(call, true)
		w.took()
		var session string
		for n := range 8 {
			got := m.signIn(alice)
			if !got.GetFromCache() || got.GetRenewalStarted() != (n < 2) {
				t.Errorf("sign-in %d: %v", n, got)
			}
			synctest.Wait()
			session = got.GetLogonSession()
			if _, err := m.unlock(session, password); err != nil {
				t.Errorf("unlock %d: %v", n, err)
			}
			synctest.Wait()
			if n == 1 {
				// Four in all: two sign-ins and two unlocks.
				if asked := w.asked(call); asked != 4 {
					t.Errorf("asked %d times, not 4", asked)
				}
			}
		}
		if calls := w.took(); slices.Contains(calls, call) {
			t.Errorf("asked again: %v", calls)
		}
		w.throttle(call, false)
		time.Sleep(8 * time.Minute) // the fourth failure in a row waits for that, and the hint is over
		synctest.Wait()
		if _, times := w.idp.renewed(); len(times) != 1 {
			t.Errorf("%d renewals after the time", len(times))
		}
		if got := m.signIn(alice); !got.GetFromCache() {
			t.Errorf("got %v", got)
		}
	})
}
