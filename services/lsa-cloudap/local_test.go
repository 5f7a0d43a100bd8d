package lsacloudap_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/sid"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
)

func (m *machine) putLocal(name, pw string) string {
	m.w.t.Helper()
	a, err := m.locals.PutLocalAccount(m.w.t.Context(), &lsav1.PutLocalAccountRequest{Name: name, Password: pw})
	if err != nil {
		m.w.t.Fatal(err)
	}
	return a.GetSid()
}

// On a registered device people sign in to accounts of the device's own. That has
// nothing to do with the tenant: nobody is asked, and no PRT comes of it.
func TestREG11_ISS16_ALocalSignInCallsNobodyAndBringsNoPRT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.dsreg.state = dsregv1.JoinState_JOIN_STATE_REGISTERED
		m := w.start()
		want := m.putLocal("frank", "own-password")
		w.took()
		got, err := m.try("Frank", "own-password")
		if err != nil || got.GetSid() != want || got.GetUserId() != "" || got.GetPrtPending() || !strings.HasPrefix(want, "S-1-5-21-") {
			t.Fatalf("got %v, %v", got, err)
		}
		a, err := m.tokens.DescribeAccount(t.Context(), &authorityv1.DescribeAccountRequest{LogonSession: got.GetLogonSession()})
		if err != nil || !a.GetNoPrt() || a.GetSid() != want || a.GetTenantId()+a.GetUserId()+a.GetCredentialKind() != "" || a.GetDisplayName() != "frank" {
			t.Errorf("account %v, %v", a, err)
		}
		var e *prterr.Error
		if _, err := m.sign(got.GetLogonSession()); !errors.As(err, &e) || e.Kind != prterr.Interaction || e.Msg != "there is no PRT in this session" {
			t.Errorf("signing without a PRT: %v", err)
		}
		time.Sleep(9 * time.Hour)
		synctest.Wait()
		if calls := w.took(); len(calls) != 0 {
			t.Errorf("calls %v", calls)
		}
		m.logoff(got.GetLogonSession())
		if _, err := m.sign(got.GetLogonSession()); prterr.KindOf(err) != prterr.Unauthenticated {
			t.Errorf("after signing off: %v", err)
		}
		// A user of the tenant is refused by name, and no PRT is asked for.
		_, err = m.try(alice, password)
		if err == nil {
			t.Error("a work account signed in to a registered device")
		}
		for _, c := range w.took() {
			if strings.Contains(c, "PRT") {
				t.Errorf("%s was called", c)
			}
		}
	})
}

func TestLocalAccountsAreCountedAndOutliveARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		want := m.putLocal("frank", "own-password")
		unknown, wrong := func() error { _, err := m.try("nobody", "x"); return err }(), func() error { _, err := m.try("frank", "x"); return err }()
		if unknown == nil || wrong == nil || unknown.Error() != wrong.Error() {
			t.Errorf("an unknown name says %v, a wrong password %v", unknown, wrong)
		}
		for range 9 {
			_, _ = m.try("frank", "x")
		}
		m.stop()
		m = w.start()
		if _, err := m.try("frank", "own-password"); prterr.KindOf(err) != prterr.Exhausted {
			t.Errorf("locked out, the right password gave %v", err)
		}
		time.Sleep(10 * time.Minute)
		if got, err := m.try("frank", "own-password"); err != nil || got.GetSid() != want {
			t.Errorf("after the lock-out: %v, %v", got, err)
		}
		raw, err := os.ReadFile(filepath.Join(w.dir, "local.json"))
		if err != nil || strings.Contains(string(raw), "own-password") {
			t.Errorf("the file: %s, %v", raw, err)
		}
	})
}

func TestALocalAccountThatIsRemovedTakesItsSessionsAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		old := m.putLocal("frank", "one")
		got, err := m.try("frank", "one")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.locals.RemoveLocalAccount(t.Context(), &lsav1.RemoveLocalAccountRequest{Name: "frank"}); err != nil {
			t.Fatal(err)
		}
		if _, err := m.sign(got.GetLogonSession()); prterr.KindOf(err) != prterr.Unauthenticated {
			t.Errorf("its session: %v", err)
		}
		if _, err := m.try("frank", "one"); prterr.KindOf(err) != prterr.Unauthenticated {
			t.Errorf("its password: %v", err)
		}
		if again := m.putLocal("frank", "two"); again == old {
			t.Error("another account got the identifier of the old one")
		}
		l, err := m.locals.ListLocalAccounts(t.Context(), &lsav1.ListLocalAccountsRequest{})
		if err != nil || len(l.GetAccounts()) != 1 || l.GetAccounts()[0].GetName() != "frank" {
			t.Errorf("list %v, %v", l, err)
		}
		for _, name := range []string{"", "frank smith", "a@b", strings.Repeat("x", 21), "frank/../x"} {
			if _, err := m.locals.PutLocalAccount(t.Context(), &lsav1.PutLocalAccountRequest{Name: name, Password: "x"}); prterr.KindOf(err) != prterr.Invalid {
				t.Errorf("name %q: %v", name, err)
			}
		}
		if _, err := m.logon.LogonUser(t.Context(), &lsav1.LogonUserRequest{UserPrincipalName: "frank", Credential: &lsav1.LogonUserRequest_Pin{Pin: "135790"}}); prterr.KindOf(err) != prterr.Invalid {
			t.Errorf("a PIN: %v", err)
		}
	})
}

// A damaged file costs the local accounts; it is put aside, and the device goes on.
func TestADamagedFileOfLocalAccountsIsPutAside(t *testing.T) {
	w := newWorld(t)
	const damaged = `{"version":1`
	if err := os.WriteFile(filepath.Join(w.dir, "local.json"), []byte(damaged), 0o600); err != nil {
		t.Fatal(err)
	}
	m := w.start()
	if !strings.Contains(w.logged(), "local accounts are not used") {
		t.Error("nobody was told")
	}
	aside, err := filepath.Glob(filepath.Join(w.dir, "quarantine", "local.json*"))
	if err != nil || len(aside) != 1 {
		t.Fatalf("aside %v, %v", aside, err)
	}
	if raw, _ := os.ReadFile(aside[0]); string(raw) != damaged {
		t.Errorf("the file is %s", raw)
	}
	m.putLocal("frank", "x")
	m.signIn(alice)
}

func TestASessionOfATenantUserHasTheIdentifierOfTheObjectID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		want, err := sid.OfUser(aliceID)
		if err != nil {
			t.Fatal(err)
		}
		got := m.signIn(alice)
		a, err := m.tokens.DescribeAccount(t.Context(), &authorityv1.DescribeAccountRequest{LogonSession: got.GetLogonSession()})
		if err != nil || got.GetSid() != string(want) || a.GetSid() != string(want) || a.GetNoPrt() {
			t.Errorf("logon %v, account %v, %v", got, a, err)
		}
	})
}

// Whoever puts an older local.json in place while the tpm-agent is away gets in, and out
// again as soon as the agent tells.
func TestA43_SessionsOfAnOldFileOfLocalAccountsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.putLocal("frank", "stolen")
		old := w.snapshot("local.json")
		m.putLocal("frank", "new")
		m.stop()
		w.restore(old)
		w.agentDown(true)
		m = w.start()
		got, err := m.try("frank", "stolen")
		if err != nil {
			t.Fatal(err)
		}
		w.agentDown(false)
		m.signIn(alice)
		_, err = m.tokens.DescribeAccount(t.Context(), &authorityv1.DescribeAccountRequest{LogonSession: got.GetLogonSession()})
		if prterr.KindOf(err) != prterr.Unauthenticated {
			t.Errorf("the session of the old file: %v", err)
		}
	})
}

// A sign-in beside the removal of its account leaves no session behind.
func TestNoSessionOutlivesItsLocalAccount(t *testing.T) {
	w := newWorld(t)
	m := w.start()
	for range 8 {
		m.putLocal("frank", "one")
		signedIn := make(chan string)
		go func() {
			got, _ := m.try("frank", "one") // refused, or ended by the removal
			signedIn <- got.GetLogonSession()
		}()
		if _, err := m.locals.RemoveLocalAccount(t.Context(), &lsav1.RemoveLocalAccountRequest{Name: "frank"}); err != nil {
			t.Fatal(err)
		}
		if s := <-signedIn; s != "" {
			if _, err := m.tokens.DescribeAccount(t.Context(), &authorityv1.DescribeAccountRequest{LogonSession: s}); prterr.KindOf(err) != prterr.Unauthenticated {
				t.Fatalf("a session of an account that is gone: %v", err)
			}
		}
	}
}

// TestAPP19_ARemovedUserOfTheDeviceIsTold: who keeps something of the users of this device
// hears which of them are no more, over restarts too; of nobody else anything is said.
func TestAPP19_ARemovedUserOfTheDeviceIsTold(t *testing.T) {
	w := newWorld(t)
	m := w.start()
	put := func(name string) string {
		t.Helper()
		a, err := m.locals.PutLocalAccount(t.Context(), &lsav1.PutLocalAccountRequest{Name: name, Password: "correct horse"})
		if err != nil {
			t.Fatal(err)
		}
		return a.GetSid()
	}
	maria, noah := put("maria"), put("noah")
	next := noah[:strings.LastIndexByte(noah, '-')+1] + "9999" // nobody had it yet
	gone := func(owners ...string) ([]string, error) {
		t.Helper()
		got, err := m.try("noah", "correct horse")
		if err != nil {
			t.Fatal(err)
		}
		a, err := m.tokens.DescribeAccount(t.Context(), &authorityv1.DescribeAccountRequest{LogonSession: got.GetLogonSession(), Owners: owners})
		return a.GetGone(), err
	}
	all := []string{maria, noah, next, "S-1-12-1-1-2-3-4", "S-1-5-21-7-8-9-1001"}
	if got, err := gone(all...); err != nil || len(got) != 0 {
		t.Errorf("before: %v, %v", got, err)
	}
	if _, err := m.locals.RemoveLocalAccount(t.Context(), &lsav1.RemoveLocalAccountRequest{Name: "maria"}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got, err := gone(all...); err != nil || !slices.Equal(got, []string{maria}) {
			t.Errorf("after: %v, %v", got, err)
		}
		m.stop()
		m = w.start()
	}
	again := put("maria")
	if got, err := gone(append(all, again)...); err != nil || again == maria || !slices.Equal(got, []string{maria}) {
		t.Errorf("with another one of the name: %v, %v", got, err)
	}
	for what, owners := range map[string][]string{"too many": slices.Repeat([]string{maria}, 257), "none": {"maria"}} {
		if _, err := gone(owners...); prterr.KindOf(err) != prterr.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
}
