package lsacloudap_test

import (
	"testing"
	"testing/synctest"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// TestREG20_APageOfTodayTakesNothingOverFromBefore: who signs in at a page, where the device
// does not see the password, gets a partition of today. The password that was cached as a
// member of before does not open it, its PRT is not asked whether it is still good, and a
// desktop of before has no PRT until it is unlocked.
func TestREG20_APageOfTodayTakesNothingOverFromBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		session := m.signIn(alice).GetLogonSession()
		w.rejoin()
		w.took()
		got, err := m.byPage("", visitor{alice, []string{"password", "sms"}})
		if err != nil || m.kind(got.GetLogonSession()) != "password" {
			t.Fatalf("%v, %v", got, err)
		}
		if calls := w.took(); usedThePRT(calls) || m.dropped() != 1 {
			t.Errorf("calls %v, %d events", calls, m.dropped())
		}
		if !m.account(session).GetNoPrt() {
			t.Error("the desktop of before got the PRT of today without its user")
		}
		w.cut(true)
		if got, err := m.try(alice, password); prterr.KindOf(err) != prterr.Unavailable {
			t.Errorf("the password of before: %v, %v", got, err)
		}
		w.cut(false)
		if _, err := m.unlock(session, password); err != nil || m.account(session).GetNoPrt() {
			t.Errorf("an unlock with the network: %v", err)
		}
		if w.membership() != otherMember {
			t.Errorf("the PRT is of %s", w.membership())
		}
	})
}

// TestREG20_AnUpgradeOfTodayTakesNothingOverFromBefore: the same for a page in a session that
// was open when the device joined anew.
func TestREG20_AnUpgradeOfTodayTakesNothingOverFromBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		session := m.signIn(alice).GetLogonSession()
		page := m.begin(session)
		w.rejoin()
		w.took()
		if err := m.complete(session, page.GetInteractionId(), w.idp.visit(page, visitor{methods: []string{"softwareOath"}})); err != nil {
			t.Fatal(err)
		}
		if calls := w.took(); usedThePRT(calls) || m.account(session).GetNoPrt() || w.membership() != otherMember {
			t.Errorf("calls %v, account %v, of %s", calls, m.account(session), w.membership())
		}
		w.cut(true)
		if got, err := m.try(alice, password); prterr.KindOf(err) != prterr.Unavailable {
			t.Errorf("the password of before: %v, %v", got, err)
		}
	})
}
