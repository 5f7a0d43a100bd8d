package lsacloudap_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	lsacloudap "github.com/lockstep-sso/lockstep/services/lsa-cloudap"
)

// TestAnOvertakenRenewalTakesNothingBack: while a renewal has its answer in hand, the
// user proves a second factor at a page. The successor of the older PRT must not replace
// the one that proves more.
func TestAnOvertakenRenewalTakesNothingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		release := make(chan struct{})
		var armed, held atomic.Bool
		m := w.start(func(c *lsacloudap.Config) {
			c.Points = func(p string) {
				if p == "answer-received" && armed.CompareAndSwap(true, false) {
					held.Store(true)
					<-release
				}
			}
		})
		session := m.signIn(alice).GetLogonSession()
		armed.Store(true)
		time.Sleep(4 * time.Hour)
		synctest.Wait()
		if !held.Load() {
			t.Fatal("no renewal was held")
		}
		page := m.begin(session)
		if err := m.complete(session, page.GetInteractionId(), w.idp.visit(page, visitor{methods: []string{"softwareOath"}})); err != nil {
			t.Fatal(err)
		}
		close(release)
		synctest.Wait()
		if got := m.methods(session); strings.Join(got, " ") != "password softwareOath" {
			t.Errorf("the renewal took it back: %v", got)
		}
		// And the newer one is renewed in its turn.
		old := m.only().GetPrtDigest()
		time.Sleep(4*time.Hour + time.Minute)
		synctest.Wait()
		if got := m.methods(session); strings.Join(got, " ") != "password softwareOath" || m.only().GetPrtDigest() == old {
			t.Errorf("after the next renewal: %v", got)
		}
	})
}
