package lsacloudap_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

var errNetwork = prterr.New(prterr.Unavailable, "the network is cut")

// cut takes the network away, or gives it back.
func (w *world) cut(on bool) {
	var err error
	if on {
		err = errNetwork
	}
	w.idp.set(func(f *faults) { f.down = err })
	w.adfs.set(func(f *faults) { f.down = err })
}

func TestOFF01_WithoutNetworkAKnownUserGetsInAndAnUnknownOneDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.signIn(alice)
		w.cut(true)
		if got := m.signIn(alice); !got.GetFromCache() {
			t.Error("not from the cache")
		}
		if _, err := m.try("bob@contoso.test", password); prterr.KindOf(err) != prterr.Unavailable {
			t.Errorf("an unknown user got %v", err)
		}
	})
}

func TestREN09_CachedSignInChecksThePasswordFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.signIn(alice)
		time.Sleep(5 * time.Hour) // a renewal is due, and must not be what lets in
		w.cut(true)
		w.took()
		_, err := m.try(alice, "wrong")
		var e *prterr.Error
		if !errors.As(err, &e) || e.Kind != prterr.Unauthenticated || e.HRESULT != 0x8007052E {
			t.Errorf("wrong password: %v", err)
		}
		if calls := w.took(); slices.Contains(calls, "tpm:SignPRTRenewal") {
			t.Errorf("calls %v", calls)
		}
		if got := m.signIn(alice); !got.GetFromCache() {
			t.Error("the right password should open the desktop with the identity provider down")
		}
	})
}

func TestAPasswordThatWasChangedElsewhereReplacesThePartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		old := m.signIn(alice).GetLogonSession()
		before := m.only().GetPrtDigest()
		w.idp.password = "new-password"
		got, err := m.try(alice, "new-password")
		if err != nil || got.GetFromCache() {
			t.Fatalf("got %v, %v", got, err)
		}
		if m.only().GetPrtDigest() == before {
			t.Error("the PRT stayed")
		}
		if _, err := m.sign(old); err != nil {
			t.Errorf("the older session of the same user ended: %v", err)
		}
		w.cut(true)
		if _, err := m.try(alice, password); prterr.KindOf(err) != prterr.Unauthenticated {
			t.Errorf("the old password: %v", err)
		}
		if got, err := m.try(alice, "new-password"); err != nil || !got.GetFromCache() {
			t.Errorf("the new password: %v, %v", got, err)
		}
	})
}

func TestOFF03_WrongPasswordsAreCountedOverARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.signIn(alice)
		w.cut(true)
		for i := range 10 {
			if i == 5 {
				m.stop()
				m = w.start()
			}
			if _, err := m.try(alice, "wrong"); prterr.KindOf(err) != prterr.Unauthenticated {
				t.Errorf("guess %d: %v", i, err)
			}
		}
		m.stop()
		m = w.start()
		if _, err := m.try(alice, password); prterr.KindOf(err) != prterr.Exhausted {
			t.Errorf("locked out, the right password gave %v", err)
		}
		w.cut(false)
		if got, err := m.try(alice, password); err != nil || got.GetFromCache() {
			t.Errorf("with the network: %v, %v", got, err)
		}
		w.cut(true)
		for range 10 {
			_, _ = m.try(alice, "wrong")
		}
		time.Sleep(10 * time.Minute)
		if got := m.signIn(alice); !got.GetFromCache() {
			t.Error("the lockout does not end")
		}
	})
}

func TestTheNameOfADeletedAccountBelongsToTheNewOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		old := m.signIn(alice).GetLogonSession()
		w.idp.password = "of-the-new-account"
		w.idp.twist = func(a *idpv1.RequestPRTResponse) { a.IdToken = idToken(adaID, tenant, alice) }
		if got, err := m.try(alice, "of-the-new-account"); err != nil || got.GetUserId() != adaID {
			t.Fatalf("got %v, %v", got, err)
		}
		if _, err := m.sign(old); prterr.KindOf(err) != prterr.Unauthenticated {
			t.Errorf("the old account's session still works: %v", err)
		}
		if files := w.stored(); len(files) != 1 || m.only().GetUserId() != adaID {
			t.Errorf("stored %v", files)
		}
	})
}
