package lsacloudap_test

import (
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	lsacloudap "github.com/lockstep-sso/lockstep/services/lsa-cloudap"
)

// Two users at the device at the same time: each session is of its user alone, what is
// made for one is useless to the other, and what is learnt of one leaves the other be.
func TestAPP19_T3_TwoUsersAtOnceAreIsolated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.provisioned(alice, aliceID)
		m.provisioned(ada, adaID)
		sessions := map[string]string{}
		var mu sync.Mutex
		var all sync.WaitGroup
		for _, upn := range []string{alice, ada} {
			all.Go(func() {
				got, err := m.byPIN(upn, pin)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				sessions[upn] = got.GetLogonSession()
			})
		}
		all.Wait()
		a, b := m.account(sessions[alice]), m.account(sessions[ada])
		if a.GetUserId() != aliceID || b.GetUserId() != adaID || a.GetSid() == b.GetSid() || len(w.stored()) != 4 || len(m.partitions()) != 4 {
			t.Fatalf("accounts %v and %v, files %v", a, b, w.stored())
		}
		signed, err := m.sign(sessions[alice])
		if err != nil {
			t.Fatal(err)
		}
		answer, err := w.redeem(signed)
		if err != nil {
			t.Fatal(err)
		}
		open := func(session string) error {
			_, err := m.tokens.OpenTokenAnswer(t.Context(), &authorityv1.OpenTokenAnswerRequest{LogonSession: session, ClientId: appID, Answer: answer})
			return err
		}
		if err := open(sessions[ada]); err == nil {
			t.Error("ada opened the answer to alice")
		}
		if err := open(sessions[alice]); err != nil {
			t.Errorf("alice: %v", err)
		}
		// One page's end is of one session.
		page, err := m.tokens.BeginInteraction(t.Context(), &authorityv1.BeginInteractionRequest{LogonSession: sessions[alice]})
		if err != nil {
			t.Fatal(err)
		}
		final := w.idp.visit(page.GetInteraction(), visitor{upn: alice, methods: []string{"password", "sms"}})
		if _, err := m.tokens.CompleteInteraction(t.Context(), &authorityv1.CompleteInteractionRequest{
			LogonSession: sessions[ada], InteractionId: page.GetInteraction().GetInteractionId(), FinalUri: final,
		}); prterr.KindOf(err) != prterr.Denied {
			t.Errorf("ada ended the page of alice: %v", err)
		}
		// Neither credential of one unlocks the other's screen.
		for _, row := range []struct{ mine, password string }{{sessions[alice], "adas-password"}, {sessions[ada], "alices-password"}} {
			if _, err := m.unlock(row.mine, row.password); err == nil {
				t.Error("a foreign password unlocked")
			}
		}
		m.logoff(sessions[alice])
		if _, err := m.sign(sessions[alice]); prterr.KindOf(err) != prterr.Unauthenticated {
			t.Errorf("alice's session: %v", err)
		}
		if _, err := m.sign(sessions[ada]); err != nil {
			t.Errorf("ada's session ended with alice's: %v", err)
		}
	})
}

func TestOFF02_TheFirstSignInNeedsTheNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		w.cut(true)
		if _, err := m.try(alice, password); prterr.KindOf(err) != prterr.Unavailable {
			t.Errorf("got %v", err)
		}
		if len(w.stored()) != 0 {
			t.Error("something was kept")
		}
	})
}

func TestOFF04_ThePINWorksOfflineAndTheTPMCountsWrongOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.provisioned(alice, aliceID)
		if _, err := m.byPIN(alice, pin); err != nil {
			t.Fatal(err)
		}
		w.cut(true)
		if got, err := m.byPIN(alice, pin); err != nil || !got.GetFromCache() {
			t.Errorf("the right PIN: %v, %v", got, err)
		}
		before := w.tpm.hello.key(aliceID).wrong
		if _, err := m.byPIN(alice, "wrong-pin-1"); err == nil {
			t.Error("a wrong PIN was taken")
		}
		if got := w.tpm.hello.key(aliceID).wrong; got != before+1 {
			t.Errorf("the TPM counts %d after %d", got, before)
		}
	})
}

func TestOFF06_AfterReconnectTheCachedPRTIsUsedWithoutAPrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.logoff(m.signIn(alice).GetLogonSession())
		before := m.only().GetPrtDigest()
		w.cut(true)
		session := m.signIn(alice).GetLogonSession()
		time.Sleep(time.Hour)
		w.cut(false)
		signed, err := m.sign(session)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.redeem(signed); err != nil {
			t.Errorf("the identity provider does not take it: %v", err)
		}
		if m.only().GetPrtDigest() != before {
			t.Error("it is another PRT")
		}
	})
}

// By the words of 2025 a renewal that met no network waits for a new sign-in, too.
func TestREN03_InTheProfileOf2025ARenewalWaitsForASignInAsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start(func(c *lsacloudap.Config) { c.RenewAfterSignIn = true })
		session := m.signIn(alice).GetLogonSession()
		time.Sleep(3*time.Hour + 59*time.Minute)
		w.cut(true)
		time.Sleep(5*time.Hour + time.Minute) // 9:00
		w.cut(false)
		w.took()
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if calls := w.took(); len(calls) != 0 {
			t.Errorf("the network alone brought %v", calls)
		}
		if got, err := m.unlock(session, password); err != nil || !got.GetRenewalStarted() {
			t.Errorf("unlock: %v, %v", got, err)
		}
		synctest.Wait()
		if _, times := w.idp.renewed(); len(times) != 1 {
			t.Errorf("renewals %v", times)
		}
		time.Sleep(4 * time.Hour)
		synctest.Wait()
		if _, times := w.idp.renewed(); len(times) != 2 {
			t.Errorf("the clock does not go on: %v", times)
		}
	})
}

// What the provider says of a second factor is shown, and a renewal that says nothing
// of it changes nothing.
func TestTheStateShowsTheSecondFactorAndWhoIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.signIn(alice)
		if s := m.only(); s.GetMfa() != authorityv1.MFAState_MFA_STATE_UNSPECIFIED || s.GetTenantId() != tenant ||
			s.GetAuthority() != "https://login.microsoftonline.com/"+tenant || s.GetSessions() != 1 || s.GetValidity() != authorityv1.PRTValidity_PRT_VALIDITY_GOOD {
			t.Errorf("state %v", s)
		}
		proven := time.Now().Add(-time.Minute)
		w.idp.twist = func(a *idpv1.RequestPRTResponse) {
			claims, _ := json.Marshal(map[string]any{
				"oid": adaID, "tid": tenant, "upn": ada, "name": "Ada Example", "amr": []string{"pwd", "mfa"}, "mfa_time": proven.Unix(),
			})
			a.IdToken, _ = jose.Unsigned(claims)
		}
		if _, err := m.try(ada, password); err != nil {
			t.Fatal(err)
		}
		mfaOf := func() (authorityv1.MFAState, time.Time) {
			all := m.partitions()
			i := slices.IndexFunc(all, func(p *lsav1.PartitionState) bool { return p.GetUserPrincipalName() == ada })
			return all[i].GetMfa(), all[i].GetMfaTime().AsTime()
		}
		if s, at := mfaOf(); s != authorityv1.MFAState_MFA_STATE_YES || !at.Equal(proven) {
			t.Errorf("second factor %v at %v", s, at)
		}
		time.Sleep(5 * time.Hour)
		synctest.Wait()
		m.stop()
		m = w.start()
		if s, at := mfaOf(); s != authorityv1.MFAState_MFA_STATE_YES || !at.Equal(proven) {
			t.Errorf("after a renewal and a restart: %v at %v", s, at)
		}
		if u := m.users(); len(u) != 2 || u[0].GetUserPrincipalName() != ada || u[1].GetUserPrincipalName() != alice || u[0].GetCanReset() != "none" {
			t.Errorf("users %v", u)
		}
	})
}
