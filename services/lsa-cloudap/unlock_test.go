package lsacloudap_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	lsacloudap "github.com/lockstep-sso/lockstep/services/lsa-cloudap"
)

func (m *machine) unlock(session, pw string) (*lsav1.UnlockUserResponse, error) {
	return m.logon.UnlockUser(m.w.t.Context(), &lsav1.UnlockUserRequest{LogonSession: session, Credential: &lsav1.UnlockUserRequest_Password{Password: pw}})
}

func (m *machine) unlockPIN(session, pin string) (*lsav1.UnlockUserResponse, error) {
	return m.logon.UnlockUser(m.w.t.Context(), &lsav1.UnlockUserRequest{LogonSession: session, Credential: &lsav1.UnlockUserRequest_Pin{Pin: pin}})
}

// An unlock after five hours tries a renewal, one after three does not.
func TestREN20_AnUnlockRenewsWhatIsOlderThanTheCycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		session := m.signIn(alice).GetLogonSession()
		// The renewal clock fails, so that it is the unlock that renews.
		w.cut(true)
		time.Sleep(3 * time.Hour)
		w.took()
		got, err := m.unlock(session, password)
		synctest.Wait()
		if err != nil || got.GetRenewalStarted() || got.GetCredentialKind() != "password" || !slices.Equal(w.took(), []string{"dsreg:GetDeviceState"}) {
			t.Errorf("at three hours: %v, %v", got, err)
		}
		time.Sleep(2 * time.Hour)
		before := m.only().GetPrtDigest()
		w.cut(false)
		got, err = m.unlock(session, password)
		if err != nil || !got.GetRenewalStarted() {
			t.Errorf("at five hours: %v, %v", got, err)
		}
		synctest.Wait()
		if _, times := w.idp.renewed(); len(times) != 1 || m.only().GetPrtDigest() == before {
			t.Errorf("renewals %v", times)
		}
		if requests, _ := w.idp.renewed(); requests[0].Password != password {
			t.Error("the renewal behind an unlock has no proof of the user")
		}
		if _, err := m.sign(session); err != nil {
			t.Errorf("the session is another one: %v", err)
		}
	})
}

func TestUnlockChecksLikeACachedSignIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		session := m.signIn(alice).GetLogonSession()
		w.cut(true)
		for range 10 {
			if _, err := m.unlock(session, "wrong"); prterr.KindOf(err) != prterr.Unauthenticated {
				t.Errorf("got %v", err)
			}
		}
		if _, err := m.unlock(session, password); prterr.KindOf(err) != prterr.Exhausted {
			t.Errorf("locked out: %v", err)
		}
		if _, err := m.try(alice, password); prterr.KindOf(err) != prterr.Exhausted {
			t.Errorf("a sign-in gets other guesses: %v", err)
		}
		time.Sleep(10 * time.Minute)
		if _, err := m.unlock(session, password); err != nil {
			t.Error(err)
		}
		if _, err := m.sign(session); err != nil {
			t.Errorf("the session ended: %v", err)
		}
		if _, err := m.unlock("unknown", password); prterr.KindOf(err) != prterr.Unauthenticated {
			t.Errorf("an unknown session: %v", err)
		}
		if _, err := m.logon.UnlockUser(t.Context(), &lsav1.UnlockUserRequest{LogonSession: session}); prterr.KindOf(err) != prterr.Invalid {
			t.Errorf("no credential: %v", err)
		}
		// Blocked, the screen stays locked and what runs behind it goes on.
		w.cut(false)
		w.idp.refuses(aadsts.UserDisabled)
		if _, err := m.unlock(session, "new-password"); prterr.CodeOf(err) != aadsts.UserDisabled {
			t.Errorf("got %v", err)
		}
		w.cut(true)
		if _, err := m.unlock(session, password); !blocked(err, aadsts.UserDisabled) {
			t.Errorf("got %v", err)
		}
		if _, err := m.sign(session); err != nil {
			t.Error(err)
		}
	})
}

func TestUnlockWithANewPasswordReplacesThePartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		session := m.signIn(alice).GetLogonSession()
		before := m.only().GetPrtDigest()
		w.idp.password = "new-password"
		if got, err := m.unlock(session, "new-password"); err != nil || got.GetRenewalStarted() {
			t.Fatalf("got %v, %v", got, err)
		}
		if m.only().GetPrtDigest() == before || m.only().GetSessions() != 1 {
			t.Errorf("state %v", m.only())
		}
		if _, err := m.unlock(session, password); prterr.KindOf(err) != prterr.Unauthenticated {
			t.Errorf("the old password: %v", err)
		}
	})
}

// A password typed in a session of a PIN lets the session go over to the PRT of the
// password, and back.
func TestUnlockWithAnotherKindMovesTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.provisioned(alice, aliceID)
		got, err := m.byPIN(alice, pin)
		if err != nil {
			t.Fatal(err)
		}
		session := got.GetLogonSession()
		w.cut(true)
		for _, row := range []struct {
			kind   string
			unlock func() (*lsav1.UnlockUserResponse, error)
		}{
			{"password", func() (*lsav1.UnlockUserResponse, error) { return m.unlock(session, password) }},
			{"password", func() (*lsav1.UnlockUserResponse, error) { return m.unlock(session, password) }},
			{"hello", func() (*lsav1.UnlockUserResponse, error) { return m.unlockPIN(session, pin) }},
		} {
			got, err := row.unlock()
			if err != nil || got.GetCredentialKind() != row.kind || m.account(session).GetCredentialKind() != row.kind {
				t.Errorf("%s: %v, %v, account %v", row.kind, got, err, m.account(session))
			}
			for _, p := range m.partitions() {
				if used := p.GetSessions() == 1; used != (p.GetCredentialKind() == row.kind) {
					t.Errorf("%s is used by %d sessions", p.GetCredentialKind(), p.GetSessions())
				}
			}
		}
		if _, err := m.unlockPIN(session, "wrong-pin-1"); err == nil {
			t.Error("a wrong PIN unlocked")
		}
	})
}

func TestUnlockOfALocalAccountAndOfASessionWithoutPRT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.hybrid()
		m.putLocal("frank", "own-password")
		frank, err := m.try("frank", "own-password")
		if err != nil {
			t.Fatal(err)
		}
		w.took()
		if got, err := m.unlock(frank.GetLogonSession(), "own-password"); err != nil || got.GetRenewalStarted() || got.GetCredentialKind() != "" {
			t.Errorf("got %v, %v", got, err)
		}
		for range 10 {
			_, _ = m.unlock(frank.GetLogonSession(), "wrong")
		}
		if _, err := m.unlock(frank.GetLogonSession(), "own-password"); prterr.KindOf(err) != prterr.Exhausted {
			t.Errorf("locked out: %v", err)
		}
		if calls := w.took(); len(calls) != 0 {
			t.Errorf("calls %v", calls)
		}
		w.cut(true)
		waiting := m.signIn(alice).GetLogonSession()
		if _, err := m.unlock(waiting, "wrong"); prterr.KindOf(err) != prterr.Unauthenticated {
			t.Errorf("the domain says: %v", err)
		}
		w.domain.set(func(f *faults) { f.down = errNetwork })
		for range 10 {
			if _, err := m.unlock(waiting, "wrong"); prterr.KindOf(err) != prterr.Unauthenticated {
				t.Errorf("without the domain: %v", err)
			}
		}
		if _, err := m.unlock(waiting, password); prterr.KindOf(err) != prterr.Exhausted {
			t.Errorf("after ten wrong ones: %v", err)
		}
		w.domain.set(func(f *faults) { f.down = nil })
		if _, err := m.unlock(waiting, password); err != nil {
			t.Errorf("by the domain: %v", err)
		}
	})
}

func limited(d time.Duration) func(*lsacloudap.Config) {
	return func(c *lsacloudap.Config) { c.OfflineLifetime = d }
}

// noContact is the refusal of the offline policy.
func noContact(err error) bool {
	var e *prterr.Error
	return errors.As(err, &e) && e.Kind == prterr.Denied && e.HRESULT == 0x8007051F
}

func (m *machine) breakGlass(d time.Duration) error {
	_, err := m.offline.OpenBreakGlass(m.w.t.Context(), &lsav1.OpenBreakGlassRequest{For: durationpb.New(d)})
	return err
}

// An administrator's limit on the time without the identity provider: over, nobody gets
// in from the cache unless break-glass is open; unlocking included, over restarts too.
func TestOFF05_TheOfflineLimitAndBreakGlass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start(limited(72 * time.Hour))
		session := m.signIn(alice).GetLogonSession()
		contact := time.Now()
		w.cut(true)
		time.Sleep(72*time.Hour - time.Second)
		if got := m.signIn(alice); !got.GetFromCache() || !m.only().GetLastOnlineAt().AsTime().Equal(contact) {
			t.Errorf("within the limit: %v, %v", got, m.only())
		}
		time.Sleep(time.Second)
		for range 2 {
			if _, err := m.try(alice, password); !noContact(err) {
				t.Errorf("over the limit: %v", err)
			}
			if _, err := m.try(alice, "wrong"); prterr.KindOf(err) != prterr.Unauthenticated {
				t.Errorf("a wrong password learns of the limit: %v", err)
			}
			if session != "" {
				if _, err := m.unlock(session, password); !noContact(err) {
					t.Errorf("an unlock: %v", err)
				}
				if _, err := m.sign(session); err != nil {
					t.Errorf("the running session: %v", err)
				}
			}
			m.stop()
			m, session = w.start(limited(72*time.Hour)), ""
		}
		if err := m.breakGlass(31 * 24 * time.Hour); prterr.KindOf(err) != prterr.Invalid {
			t.Errorf("31 days: %v", err)
		}
		if err := m.breakGlass(time.Hour); err != nil {
			t.Fatal(err)
		}
		m.stop()
		m = w.start(limited(72 * time.Hour))
		if got := m.signIn(alice); !got.GetFromCache() {
			t.Error("break-glass is open")
		}
		if _, err := m.try("bob@contoso.test", password); prterr.KindOf(err) != prterr.Unavailable {
			t.Errorf("break-glass lets in a user who never was here: %v", err)
		}
		s, err := m.state.GetSSOState(t.Context(), &lsav1.GetSSOStateRequest{})
		if err != nil || s.GetOfflineLifetime() != 72*3600 || !s.GetBreakGlassUntil().AsTime().Equal(time.Now().Add(time.Hour)) {
			t.Errorf("state %v, %v", s, err)
		}
		time.Sleep(time.Hour)
		if _, err := m.try(alice, password); !noContact(err) {
			t.Errorf("after break-glass: %v", err)
		}
		// The network comes back, and with the sign-in the whole time.
		w.cut(false)
		if got := m.signIn(alice); got.GetFromCache() {
			t.Error("not by the identity provider")
		}
		w.cut(true)
		time.Sleep(71 * time.Hour)
		if got := m.signIn(alice); !got.GetFromCache() {
			t.Error("the time did not begin anew")
		}
	})
}

func TestOFF05_BreakGlassCanBeClosedAndNeedsALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start(limited(time.Hour))
		m.signIn(alice)
		w.cut(true)
		time.Sleep(2 * time.Hour)
		if err := m.breakGlass(24 * time.Hour); err != nil {
			t.Fatal(err)
		}
		m.signIn(alice)
		if _, err := m.offline.CloseBreakGlass(t.Context(), &lsav1.CloseBreakGlassRequest{}); err != nil {
			t.Fatal(err)
		}
		if _, err := m.try(alice, password); !noContact(err) {
			t.Errorf("closed: %v", err)
		}
		m.stop()
		if err := w.start().breakGlass(time.Hour); prterr.KindOf(err) != prterr.Conflict {
			t.Errorf("without a limit: %v", err)
		}
	})
}

// A renewal is a contact too, and so is every kind of credential: they are one user's.
func TestOFF05_EveryContactCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start(limited(72 * time.Hour))
		m.provisioned(alice, aliceID)
		got, err := m.byPIN(alice, pin)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * 24 * time.Hour) // renewed every four hours by the session of the PIN
		w.cut(true)
		if in, err := m.try(alice, password); err != nil || !in.GetFromCache() {
			t.Errorf("the password: %v, %v", in, err)
		}
		m.logoff(got.GetLogonSession())
		time.Sleep(72 * time.Hour)
		if _, err := m.byPIN(alice, pin); !noContact(err) {
			t.Errorf("the PIN: %v", err)
		}
	})
}

// Over 15 idle days the PRT ends: apps need interaction, and the next sign-in brings a
// new one although the cache opened the desktop.
func TestREN10_FifteenIdleDaysEndThePRT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.logoff(m.signIn(alice).GetLogonSession())
		time.Sleep(15 * 24 * time.Hour)
		before := m.only()
		if before.GetValidity() != authorityv1.PRTValidity_PRT_VALIDITY_EXPIRED {
			t.Errorf("state %v", before)
		}
		w.cut(true)
		session := m.signIn(alice).GetLogonSession()
		synctest.Wait()
		if _, err := m.sign(session); prterr.KindOf(err) != prterr.Interaction {
			t.Errorf("an app got %v", err)
		}
		w.cut(false)
		w.took()
		if _, err := m.unlock(session, password); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if calls := w.took(); !slices.Contains(calls, "idp:RequestPRT") || slices.Contains(calls, "idp:RenewPRT") {
			t.Errorf("calls %v", calls)
		}
		if _, err := m.sign(session); err != nil || m.only().GetPrtDigest() == before.GetPrtDigest() {
			t.Errorf("after the sign-in: %v, %v", err, m.only())
		}
	})
}
