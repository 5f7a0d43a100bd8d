package lsacloudap_test

import (
	"testing"
	"testing/synctest"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	lsacloudap "github.com/lockstep-sso/lockstep/services/lsa-cloudap"
)

// TestHEL10_NothingIsDestroyedForNothing: where Windows Hello was turned off since,
// there would be no other key.
func TestHEL10_NothingIsDestroyedForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		id := m.provisioned(alice, aliceID)
		m.stop()
		m = w.start(func(c *lsacloudap.Config) { c.Hello.Off = true })
		forgetful := visitor{upn: alice, methods: []string{"password", "sms"}}
		if _, err := m.reset(forProvision, forgetful, alice, true); prterr.KindOf(err) != prterr.Conflict {
			t.Errorf("a reset where it is off: %v", err)
		}
		if w.idp.helloKeys[id] != aliceID {
			t.Error("the key is gone")
		}
		if _, err := m.byPIN(alice, pin); err != nil {
			t.Errorf("the key that stayed: %v", err)
		}
	})
}

// TestHEL10_PINReset without knowing it: with the service the key stays, without it is
// another one and the old one is dead.
func TestHEL10_PINReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		id := m.provisioned(alice, aliceID)
		if _, err := m.byPIN(alice, pin); err != nil {
			t.Fatal(err)
		}
		forgetful := visitor{upn: alice, methods: []string{"password", "sms"}}
		if _, err := m.reset(forReset, visitor{upn: ada, methods: forgetful.methods}, alice, false); prterr.KindOf(err) != prterr.Denied {
			t.Errorf("another user's page: %v", err)
		}
		if _, err := m.reset(forProvision, forgetful, alice, false); prterr.KindOf(err) != prterr.Denied {
			t.Errorf("a page for another purpose: %v", err)
		}
		got, err := m.reset(forReset, forgetful, alice, false)
		if err != nil || got != id {
			t.Fatalf("non-destructive: %q, %v", got, err)
		}
		if _, err := m.byPIN(alice, pin); prterr.KindOf(err) != prterr.Unauthenticated {
			t.Errorf("the old PIN: %v", err)
		}
		if l, err := m.byPIN(alice, otherPIN); err != nil || !l.GetFromCache() {
			t.Errorf("the new PIN: %v, %v", l, err)
		}
		session, err := m.byPIN(alice, otherPIN)
		if err != nil {
			t.Fatal(err)
		}
		w.idp.noReset = true
		got, err = m.reset(forProvision, forgetful, alice, true)
		if err != nil || got == id || w.idp.helloKeys[id] != "" || w.idp.helloKeys[got] != aliceID {
			t.Fatalf("destructive: %q, %v", got, err)
		}
		if _, err := m.sign(session.GetLogonSession()); prterr.KindOf(err) != prterr.Unauthenticated {
			t.Errorf("a session that the destroyed key opened: %v", err)
		}
		l, err := m.byPIN(alice, otherPIN)
		if err != nil || l.GetFromCache() {
			t.Errorf("with the new key: %v, %v", l, err)
		}
		if d := m.describe(l.GetLogonSession()); d.GetCanReset() != "DestructiveOnly" || d.GetKeyId() != got {
			t.Errorf("%v", d)
		}
		if _, err := m.reset(forReset, forgetful, alice, false); prterr.KindOf(err) != prterr.Conflict {
			t.Errorf("without the service: %v", err)
		}
		if _, err := m.hello.ChangeHelloPIN(t.Context(), &lsav1.ChangeHelloPINRequest{UserPrincipalName: alice, Pin: otherPIN, NewPin: pin}); err != nil {
			t.Errorf("change: %v", err)
		}
		if _, err := m.byPIN(alice, pin); err != nil {
			t.Errorf("the changed PIN: %v", err)
		}
	})
}
