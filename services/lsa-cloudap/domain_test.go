package lsacloudap_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	domainv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/domain/v1"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	lsacloudap "github.com/lockstep-sso/lockstep/services/lsa-cloudap"
)

// domainSID is alice in the domain.
const domainSID = "S-1-5-21-1-2-3-1104"

// fakeDomain is a domain controller with alice and one password.
type fakeDomain struct {
	domainv1.UnimplementedDomainServiceServer
	faults
	w        *world
	password string
	// sid is what it says; empty is domainSID.
	sid string
}

func (f *fakeDomain) RequestTicket(ctx context.Context, r *domainv1.RequestTicketRequest) (*domainv1.RequestTicketResponse, error) {
	if err := f.w.called(ctx, "domain:RequestTicket", &f.faults); err != nil {
		return nil, err
	}
	switch {
	case !strings.HasSuffix(r.GetUserPrincipalName(), "@contoso.test"):
		return nil, prterr.New(prterr.NotFound, "another domain")
	case r.GetUserPrincipalName() != alice || r.GetPassword() != f.password:
		return nil, prterr.New(prterr.Unauthenticated, "no: %s", r.GetPassword())
	}
	sid := domainSID
	if f.sid != "" {
		sid = f.sid
	}
	return &domainv1.RequestTicketResponse{Sid: sid, DisplayName: "Alice of the domain", ValidUntil: timestamppb.New(time.Now().Add(10 * time.Hour))}, nil
}

// hybrid starts a device that is joined to the domain as well.
func (w *world) hybrid() *machine {
	w.dsreg.state = dsregv1.JoinState_JOIN_STATE_HYBRID
	return w.start(func(c *lsacloudap.Config) { c.Domain = w.conns["domain"] })
}

func (m *machine) account(session string) *authorityv1.DescribeAccountResponse {
	m.w.t.Helper()
	a, err := m.tokens.DescribeAccount(m.w.t.Context(), &authorityv1.DescribeAccountRequest{LogonSession: session})
	if err != nil {
		m.w.t.Fatal(err)
	}
	return a
}

func (m *machine) partitions() []*lsav1.PartitionState {
	m.w.t.Helper()
	s, err := m.state.GetSSOState(m.w.t.Context(), &lsav1.GetSSOStateRequest{})
	if err != nil {
		m.w.t.Fatal(err)
	}
	return s.GetPartitions()
}

// The identity provider is down, the domain is up: the desktop opens with nothing but
// the ticket, there is no PRT, and later there is one without anybody doing anything.
func TestISS15_HybridTheDomainOpensTheDesktopAndThePRTComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.hybrid()
		w.cut(true)
		got := m.signIn(alice)
		if !got.GetPrtPending() || got.GetFromCache() || !got.GetByDomain() || got.GetSid() != domainSID || got.GetDisplayName() != "Alice of the domain" || got.GetUserId() != "" {
			t.Fatalf("got %v", got)
		}
		if len(m.partitions()) != 0 || !m.account(got.GetLogonSession()).GetNoPrt() {
			t.Error("there is a PRT although the identity provider is down")
		}
		if _, err := m.sign(got.GetLogonSession()); prterr.KindOf(err) != prterr.Interaction {
			t.Errorf("an app got %v", err)
		}
		time.Sleep(time.Hour)
		w.cut(false)
		w.took()
		time.Sleep(30 * time.Minute) // the longest wait between two tries
		synctest.Wait()
		if calls := w.took(); slices.Contains(calls, "domain:RequestTicket") {
			t.Errorf("the domain was asked again: %v", calls)
		}
		a := m.account(got.GetLogonSession())
		if a.GetNoPrt() || a.GetSid() != domainSID || a.GetUserId() != aliceID || m.only().GetSessions() != 1 {
			t.Errorf("account %v, partition %v", a, m.only())
		}
		if _, err := m.sign(got.GetLogonSession()); err != nil {
			t.Error(err)
		}
		// The next sign-in needs the domain only, too, and there is a PRT at once; the
		// user is the same one on this device, also where the domain is out of reach.
		w.cut(true)
		next := m.signIn(alice)
		w.domain.set(func(f *faults) { f.down = errNetwork })
		last := m.signIn(alice)
		if next.GetPrtPending() || next.GetSid() != domainSID || !last.GetFromCache() || last.GetSid() != domainSID {
			t.Errorf("second sign-in %v, third %v", next, last)
		}
		if strings.Contains(w.logged(), password) {
			t.Error("the password is in the log")
		}
	})
}

func TestISS15_ThePasswordIsForgottenWithTheSessionAndWithTheTicket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.hybrid()
		w.cut(true)
		first := m.signIn(alice)
		m.logoff(first.GetLogonSession())
		w.took()
		time.Sleep(time.Hour)
		if calls := w.took(); len(calls) != 0 {
			t.Errorf("after signing off: %v", calls)
		}
		second := m.signIn(alice)
		time.Sleep(9 * time.Hour)
		if calls := w.took(); !slices.Contains(calls, "idp:DiscoverRealm") {
			t.Errorf("the ticket is good, and nothing is tried: %v", calls)
		}
		time.Sleep(2 * time.Hour)
		w.took()
		w.cut(false)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if calls := w.took(); len(calls) != 0 {
			t.Errorf("after the ticket: %v", calls)
		}
		if !m.account(second.GetLogonSession()).GetNoPrt() {
			t.Error("a PRT came after the ticket had ended")
		}
	})
}

func TestHybridTheDomainDecidesAboutThePassword(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.hybrid()
		m.signIn(alice)
		synctest.Wait()
		before := m.only().GetPrtDigest()
		// A wrong one is refused although the cache and the cloud were not asked.
		w.took()
		if _, err := m.try(alice, "wrong"); prterr.KindOf(err) != prterr.Unauthenticated || strings.Contains(err.Error(), "wrong password") {
			t.Errorf("got %v", err)
		}
		if calls := w.took(); slices.ContainsFunc(calls, func(c string) bool { return strings.HasPrefix(c, "idp:") }) {
			t.Errorf("calls %v", calls)
		}
		// Changed in the domain: the desktop opens, and behind it the partition is replaced.
		w.domain.password, w.idp.password = "new-password", "new-password"
		got, err := m.try(alice, "new-password")
		if err != nil || !got.GetPrtPending() {
			t.Fatalf("got %v, %v", got, err)
		}
		synctest.Wait()
		if m.only().GetPrtDigest() == before || m.account(got.GetLogonSession()).GetNoPrt() {
			t.Error("the partition was not replaced")
		}
		w.cut(true)
		w.domain.set(func(f *faults) { f.down = errNetwork })
		if _, err := m.try(alice, password); prterr.KindOf(err) != prterr.Unauthenticated {
			t.Errorf("the old password: %v", err)
		}
		// A user of no domain signs in as on any joined device, and so does everybody
		// while the domain is out of reach.
		w.cut(false)
		if got := m.signIn(ada); got.GetPrtPending() || got.GetFromCache() {
			t.Errorf("ada %v", got)
		}
	})
}

func TestHybridADisabledUserGetsTheDesktopOfTheDomainAndNoPRT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.hybrid()
		m.logoff(m.signIn(alice).GetLogonSession())
		synctest.Wait()
		w.idp.set(func(f *faults) {
			f.on = map[string]error{"idp:RequestPRT": prterr.AADSTS(aadsts.UserDisabled, ""), "idp:RenewPRT": prterr.AADSTS(aadsts.UserDisabled, "")}
		})
		time.Sleep(5 * time.Hour)
		m.logoff(m.signIn(alice).GetLogonSession()) // the renewal behind it learns it
		synctest.Wait()
		got := m.signIn(alice)
		if !got.GetPrtPending() || !m.account(got.GetLogonSession()).GetNoPrt() {
			t.Errorf("got %v", got)
		}
	})
}

// The answer of the domain is read as from a stranger.
func TestHybridAnAnswerOfTheDomainThatCannotBeUsedIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.hybrid()
		for _, s := range []string{"S-1-5-18", "S-1-12-1-1-2-3-4", "x"} {
			w.domain.sid = s
			if got := m.signIn(alice); got.GetPrtPending() || got.GetSid() == s {
				t.Errorf("%s: %v", s, got)
			}
		}
	})
}

func TestAJoinedDeviceAsksNoDomain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start(func(c *lsacloudap.Config) { c.Domain = w.conns["domain"] })
		w.cut(true)
		if _, err := m.try(alice, password); prterr.KindOf(err) != prterr.Unavailable {
			t.Errorf("got %v", err)
		}
		if calls := w.took(); slices.Contains(calls, "domain:RequestTicket") {
			t.Errorf("calls %v", calls)
		}
	})
}

// A refused PRT is tried again at the next cycle, four hours later: the password is not
// kept that much longer than the ticket.
func TestISS15_ThePasswordIsNotKeptPastTheTicketForTheNextTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.hybrid()
		w.idp.set(func(f *faults) {
			f.on = map[string]error{"idp:RequestPRT": prterr.AADSTS(aadsts.UserDisabled, "")}
		})
		session := m.signIn(alice).GetLogonSession()
		synctest.Wait()
		w.domain.set(func(f *faults) { f.down = errNetwork })
		time.Sleep(9 * time.Hour)
		if _, err := m.unlock(session, password); err != nil {
			t.Errorf("while the ticket is good: %v", err)
		}
		time.Sleep(time.Hour + time.Minute)
		synctest.Wait()
		if _, err := m.unlock(session, password); prterr.KindOf(err) != prterr.Unavailable {
			t.Errorf("after the ticket's end the password is still there: %v", err)
		}
	})
}

// The domain gave alice's name to another person, whose password opens no session of hers.
func TestHybridAnotherOfTheSameNameDoesNotUnlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.hybrid()
		w.cut(true)
		session := m.signIn(alice).GetLogonSession()
		if _, err := m.unlock(session, password); err != nil {
			t.Error(err)
		}
		w.domain.password, w.domain.sid = "another's", "S-1-5-21-1-2-3-2222"
		if _, err := m.unlock(session, "another's"); prterr.KindOf(err) != prterr.Conflict {
			t.Errorf("got %v", err)
		}
	})
}

// The identifiers of the device's own accounts are the device's to give.
func TestHybridTheDomainMakesNobodyOfALocalAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.hybrid()
		w.domain.sid = m.putLocal("frank", "own-password")
		if got := m.signIn(alice); got.GetPrtPending() || got.GetByDomain() || got.GetSid() == w.domain.sid {
			t.Errorf("got %v", got)
		}
	})
}

// The domain's word lets the user in; it does not make a cache good that nobody checked.
func TestHybridTheDomainDoesNotOpenAnUncheckedCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.hybrid()
		m.signIn(alice)
		synctest.Wait()
		m.stop()
		w.agentDown(true)
		m = w.start(func(c *lsacloudap.Config) { c.Domain, c.RefuseUnverifiedCache = w.conns["domain"], true })
		w.cut(true)
		if got := m.signIn(alice); !got.GetPrtPending() || !m.account(got.GetLogonSession()).GetNoPrt() {
			t.Errorf("got %v", got)
		}
	})
}
