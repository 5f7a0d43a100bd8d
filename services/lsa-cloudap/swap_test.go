package lsacloudap_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	lsacloudap "github.com/lockstep-sso/lockstep/services/lsa-cloudap"
)

// keepKey makes the provider renew as it does for other clients: the session key
// stays, and none comes with the answer.
func (f *fakeIdP) keepKey(a *answer) {
	f.prts[a.PRT] = issuedPRT{user: aliceID, key: a.Key, expires: time.Now().Add(prtLife)}
	a.JWE = ""
}

func TestARenewalWithoutANewSessionKeyKeepsTheOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.idp.renew = w.idp.keepKey
		m := w.start()
		m.signIn(alice)
		before := m.only().GetPrtDigest()
		time.Sleep(4 * time.Hour)
		synctest.Wait()
		if m.only().GetPrtDigest() == before {
			t.Error("not renewed")
		}
		w.mustRedeem(m)
	})
}

func TestASessionKeyThatWasReplacedMeanwhileIsNotMixedWithAnOldPRT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.idp.renew = w.idp.keepKey
		m := w.start()
		m.signIn(alice)
		w.tpm.set(func(f *faults) { f.slow = 3 * time.Second })
		time.Sleep(4 * time.Hour)
		synctest.Wait() // the clock renews, under the old session key
		w.tpm.set(func(f *faults) { f.slow = 0 })
		w.idp.password = "new-password"
		if _, err := m.try(alice, "new-password"); err != nil {
			t.Fatal(err)
		}
		after := m.only().GetPrtDigest()
		time.Sleep(time.Minute)
		if s := m.only(); s.GetPrtDigest() != after || s.GetLastError() == "" {
			t.Errorf("state %v", s)
		}
	})
}

func TestARenewalForSomebodyElseIsRefused(t *testing.T) {
	for name, renew := range map[string]func(*answer){
		"other user":   func(a *answer) { a.IDToken = idToken(adaID, tenant, "") },
		"other tenant": func(a *answer) { a.IDToken = idToken(aliceID, "aaaaaaaa-0000-4000-8000-00000000000f", "") },
		"nobody":       func(a *answer) { a.IDToken = "" },
		"no PRT":       func(a *answer) { a.PRT = "" },
		"no lifetime":  func(a *answer) { a.Life = -1 },
		"other key":    func(a *answer) { a.Key = "key-of-somebody" },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.idp.renew = renew
				m := w.start()
				m.signIn(alice)
				before := m.only().GetPrtDigest()
				time.Sleep(5 * time.Hour)
				if s := m.only(); s.GetPrtDigest() != before || s.GetLastError() == "" {
					t.Errorf("state %v", s)
				}
				w.idp.renew = nil
				w.mustRedeem(m)
			})
		})
	}
}

func TestISS14_WhoGaveUpWaitingGetsNoSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start(func(c *lsacloudap.Config) {
			c.Points = func(p string) {
				if p == "renamed" {
					time.Sleep(c.LogonTimeout + 31*time.Second) // a disk that hangs
				}
			}
		})
		got, err := m.try(alice, password)
		if prterr.KindOf(err) != prterr.Deadline || got.GetLogonSession() != "" {
			t.Errorf("got %v, %v", got, err)
		}
		// With nobody signed in, nothing is renewed.
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if _, times := w.idp.renewed(); len(times) != 0 {
			t.Errorf("a session was left behind: renewals %v", times)
		}
	})
}

func TestARefusedRenewalIsNotRepeatedEveryMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.signIn(alice)
		w.idp.set(func(f *faults) { f.on = map[string]error{"idp:RenewPRT": prterr.AADSTS(aadsts.UserDisabled, "")} })
		w.took()
		time.Sleep(9 * time.Hour)
		n := 0
		for _, c := range w.took() {
			if c == "idp:RenewPRT" {
				n++
			}
		}
		if s := m.only(); n != 2 || s.GetLastError() == "" {
			t.Errorf("%d attempts, state %v", n, s)
		}
	})
}

func TestALostSessionKeyIsReplacedAtTheNextSignIn(t *testing.T) {
	replacedAtTheNextSignIn(t, prterr.New(prterr.KeysLost, "the session key is of a former registration"))
}

// A pair that was damaged is denied by the tpm-agent, and no use of it will ever succeed.
func TestADamagedSessionKeyIsReplacedAtTheNextSignIn(t *testing.T) {
	replacedAtTheNextSignIn(t, prterr.New(prterr.Denied, "session_key: it is not usable here"))
}

func replacedAtTheNextSignIn(t *testing.T, lost error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		session := m.signIn(alice).GetLogonSession()
		before := m.only().GetPrtDigest()
		w.tpm.set(func(f *faults) { f.on = map[string]error{"tpm:SignTokenRequest": lost, "tpm:SignPRTRenewal": lost} })
		if _, err := m.sign(session); prterr.KindOf(err) != prterr.KeysLost || m.only().GetLastError() == "" {
			t.Errorf("sign: %v", err)
		}
		if got := m.signIn(alice); !got.GetFromCache() || !got.GetRenewalStarted() {
			t.Errorf("got %v", got)
		}
		synctest.Wait()
		w.tpm.set(func(f *faults) { f.on = nil })
		if s := m.only(); s.GetPrtDigest() == before || s.GetLastError() != "" {
			t.Errorf("state %v", s)
		}
		if got := m.signIn(alice); got.GetRenewalStarted() {
			t.Error("the new PRT is renewed again")
		}
		w.mustRedeem(m)
	})
}
