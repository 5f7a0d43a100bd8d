package lsacloudap_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	lsacloudap "github.com/lockstep-sso/lockstep/services/lsa-cloudap"
)

const (
	forProvision = lsav1.WebSignInPurpose_WEB_SIGN_IN_PURPOSE_PROVISION_HELLO
	forReset     = lsav1.WebSignInPurpose_WEB_SIGN_IN_PURPOSE_RESET_PIN
)

// ended shows a page and comes back from it.
func (m *machine) ended(purpose lsav1.WebSignInPurpose, session string, v visitor) (page *authorityv1.Interaction, final string) {
	m.w.t.Helper()
	page, err := m.page(purpose, session)
	if err != nil {
		m.w.t.Fatal(err)
	}
	return page, m.w.idp.visit(page, v)
}

func (m *machine) provision(session string, v visitor) (string, error) {
	m.w.t.Helper()
	page, final := m.ended(forProvision, session, v)
	a, err := m.hello.ProvisionHello(m.w.t.Context(), &lsav1.ProvisionHelloRequest{
		LogonSession: session, InteractionId: page.GetInteractionId(), FinalUri: final, Pin: pin,
	})
	return a.GetKeyId(), err
}

// provisioned is a user with a Hello key, and nobody signed in.
func (m *machine) provisioned(upn, user string) string {
	m.w.t.Helper()
	session := m.signIn(upn).GetLogonSession()
	id, err := m.provision(session, visitor{methods: []string{"sms"}})
	if err != nil {
		m.w.t.Fatal(err)
	}
	if k := m.w.tpm.hello.key(user); k == nil || k.kid != id || m.w.idp.helloKeys[id] != user {
		m.w.t.Fatalf("key %q: %+v", id, k)
	}
	m.logoff(session)
	return id
}

func (m *machine) describe(session string) *lsav1.DescribeHelloResponse {
	m.w.t.Helper()
	d, err := m.hello.DescribeHello(m.w.t.Context(), &lsav1.DescribeHelloRequest{LogonSession: session})
	if err != nil {
		m.w.t.Fatal(err)
	}
	return d
}

func (m *machine) reset(purpose lsav1.WebSignInPurpose, v visitor, upn string, destructive bool) (string, error) {
	m.w.t.Helper()
	page, final := m.ended(purpose, "", v)
	a, err := m.hello.ResetHelloPIN(m.w.t.Context(), &lsav1.ResetHelloPINRequest{
		InteractionId: page.GetInteractionId(), FinalUri: final, NewPin: otherPIN, Destructive: destructive, UserPrincipalName: upn,
	})
	return a.GetKeyId(), err
}

func TestHEL01_OfferedByDefaultAfterJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		got := m.signIn(alice)
		d := m.describe(got.GetLogonSession())
		if !got.GetHelloOffered() || !d.GetWillProvision() || d.GetNgcSet() || d.GetCanReset() != "none" {
			t.Errorf("%v, %v", got, d)
		}
		var lines []string
		for _, p := range d.GetPrerequisites() {
			lines = append(lines, p.GetName()+" "+p.GetValue())
		}
		const want = "IsDeviceJoined YES,IsUserAzureAD YES,PolicyEnabled YES,PostLogonEnabled YES,DeviceEligible YES,SessionIsNotRemote YES,CertEnrollment none,PreReqResult WillProvision"
		if strings.Join(lines, ",") != want {
			t.Errorf("%v", lines)
		}
		id, err := m.provision(got.GetLogonSession(), visitor{methods: []string{"sms"}})
		if err != nil {
			t.Fatal(err)
		}
		d = m.describe(got.GetLogonSession())
		if !d.GetNgcSet() || d.GetKeyId() != id || d.GetCanReset() != "DestructiveAndNonDestructive" || d.GetWillProvision() {
			t.Errorf("%v", d)
		}
		if m.signIn(alice).GetHelloOffered() {
			t.Error("offered to who has it")
		}
		if _, err := m.provision(got.GetLogonSession(), visitor{methods: []string{"sms"}}); prterr.KindOf(err) != prterr.Conflict {
			t.Errorf("a second key: %v", err)
		}
	})
}

// TestHEL09_EachPrerequisiteOffAloneFlipsTheResult, and who takes the offer all the
// same is refused with the name of the line.
func TestHEL09_EachPrerequisiteOffAloneFlipsTheResult(t *testing.T) {
	set := func(f func(*lsacloudap.HelloPolicy)) func(*world, *lsacloudap.Config) {
		return func(_ *world, c *lsacloudap.Config) { f(&c.Hello) }
	}
	for line, off := range map[string]struct {
		before func(*world, *lsacloudap.Config)
		after  func(*world)
	}{
		"IsDeviceJoined":     {after: func(w *world) { w.dsreg.state = dsregv1.JoinState_JOIN_STATE_REGISTERED }},
		"IsUserAzureAD":      {after: func(w *world) { w.dsreg.tenant = "aaaaaaaa-0000-4000-8000-00000000000f" }},
		"PolicyEnabled":      {before: set(func(p *lsacloudap.HelloPolicy) { p.Off = true })},
		"PostLogonEnabled":   {before: set(func(p *lsacloudap.HelloPolicy) { p.NotAtLogon = true })},
		"DeviceEligible":     {before: set(func(p *lsacloudap.HelloPolicy) { p.HardwareOnly = true })},
		"SessionIsNotRemote": {before: set(func(p *lsacloudap.HelloPolicy) { p.RemoteSession = true })},
		"CertEnrollment":     {before: set(func(p *lsacloudap.HelloPolicy) { p.CertificateTrust = true })},
	} {
		t.Run(line, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				m := w.start(func(c *lsacloudap.Config) {
					if off.before != nil {
						off.before(w, c)
					}
				})
				session := m.signIn(alice).GetLogonSession()
				page, final := m.ended(forProvision, session, visitor{methods: []string{"sms"}})
				if off.after != nil {
					off.after(w)
				}
				d := m.describe(session)
				for _, p := range d.GetPrerequisites() {
					if p.GetMet() == (p.GetName() == line || p.GetName() == "PreReqResult") {
						t.Errorf("%v", p)
					}
				}
				if d.GetWillProvision() || d.GetPrerequisites()[len(d.GetPrerequisites())-1].GetValue() != "WillNotProvision" {
					t.Errorf("%v", d)
				}
				_, err := m.hello.ProvisionHello(t.Context(), &lsav1.ProvisionHelloRequest{
					LogonSession: session, InteractionId: page.GetInteractionId(), FinalUri: final, Pin: pin,
				})
				if prterr.KindOf(err) != prterr.Conflict || !strings.Contains(err.Error(), line) || w.tpm.hello.key(aliceID) != nil {
					t.Errorf("provisioning: %v", err)
				}
			})
		})
	}
}

func TestHEL02_ThePasswordStaysUsableBesideHello(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.provisioned(alice, aliceID)
		for range 2 {
			if got := m.signIn(alice); !got.GetFromCache() || got.GetCredentialKind() != "password" {
				t.Errorf("password: %v", got)
			}
			got, err := m.byPIN(alice, pin)
			if err != nil || got.GetCredentialKind() != "hello" {
				t.Fatalf("PIN: %v, %v", got, err)
			}
		}
		w.cut(true)
		m.stop()
		m = w.start()
		if got, err := m.byPIN(alice, pin); err != nil || !got.GetFromCache() {
			t.Errorf("PIN without a network, after a restart: %v, %v", got, err)
		}
		if got := m.signIn(alice); !got.GetFromCache() {
			t.Error("password without a network")
		}
	})
}

// TestHEL03_NothingOfThePasswordOrThePINIsKept: what the Hello side keeps on disk has
// neither, nor anything that allows guessing; the key is the TPM's.
func TestHEL03_NothingOfThePasswordOrThePINIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.provisioned(alice, aliceID)
		if _, err := m.byPIN(alice, pin); err != nil {
			t.Fatal(err)
		}
		seen := 0
		for _, pattern := range []string{"hello/*", "partitions/*_hello.json"} {
			files, err := filepath.Glob(filepath.Join(w.dir, pattern))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				raw, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				seen++
				for _, bad := range []string{password, pin, "argon2", "verifier"} {
					if strings.Contains(string(raw), bad) {
						t.Errorf("%s has %q in it", f, bad)
					}
				}
				if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("%s: %v, %v", f, info.Mode(), err)
				}
			}
		}
		if seen != 2 {
			t.Errorf("%d files", seen)
		}
		if strings.Contains(w.logged(), pin) || strings.Contains(w.logged(), password) {
			t.Error("the log has a secret in it")
		}
	})
}

// TestHEL04_APINWithoutAKeyIsRefusedByName: no PIN ever stands for a kept password.
func TestHEL04_APINWithoutAKeyIsRefusedByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.signIn(alice)
		w.took()
		for _, p := range []string{pin, password} {
			_, err := m.byPIN(alice, p)
			if prterr.KindOf(err) != prterr.NotFound || !strings.Contains(err.Error(), "no Windows Hello key") {
				t.Errorf("%v", err)
			}
		}
		if calls := w.took(); len(calls) != 0 {
			t.Errorf("calls %v", calls)
		}
		_, err := m.hello.ChangeHelloPIN(t.Context(), &lsav1.ChangeHelloPINRequest{UserPrincipalName: alice, Pin: pin, NewPin: otherPIN})
		if prterr.KindOf(err) != prterr.NotFound {
			t.Errorf("change: %v", err)
		}
	})
}

// TestWrongPINsPassAsTheTPMCountsThem: code and count are the tpm-agent's, a wrong PIN is
// asked about once, and the network is no way around.
func TestWrongPINsPassAsTheTPMCountsThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.provisioned(alice, aliceID)
		hresult := func(err error) uint32 {
			var e *prterr.Error
			_ = errors.As(err, &e)
			return e.HRESULT
		}
		// Before there is a partition, and after.
		for range 2 {
			if _, err := m.byPIN(alice, otherPIN); prterr.KindOf(err) != prterr.Unauthenticated || hresult(err) != nteIncorrectPassword {
				t.Errorf("a wrong PIN: %v", err)
			}
			if n := w.tpm.hello.key(aliceID).wrong; n != 1 {
				t.Errorf("%d tries were used", n)
			}
			if _, err := m.byPIN(alice, pin); err != nil {
				t.Fatal(err)
			}
		}
		for range triesOfAUser {
			_, _ = m.byPIN(alice, otherPIN)
		}
		if _, err := m.byPIN(alice, pin); prterr.KindOf(err) != prterr.Exhausted || hresult(err) != nteAuthenticationIgnored {
			t.Errorf("a locked key: %v", err)
		}
		if got := m.signIn(alice); !got.GetFromCache() {
			t.Error("the password has to do with the PIN")
		}
		if _, err := m.byPIN(alice, "12345"); prterr.KindOf(err) != prterr.Invalid {
			t.Errorf("a short PIN: %v", err)
		}
	})
}

// TestARefusedRegistrationLeavesNoKey, and one for another user is none.
func TestARefusedRegistrationLeavesNoKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		session := m.signIn(alice).GetLogonSession()
		w.idp.registered = func() error { return prterr.New(prterr.Denied, "not today") }
		if _, err := m.provision(session, visitor{methods: []string{"sms"}}); prterr.KindOf(err) != prterr.Denied {
			t.Errorf("refused: %v", err)
		}
		w.idp.registered = nil
		if _, err := m.provision(session, visitor{upn: ada, methods: []string{"password", "sms"}}); prterr.KindOf(err) != prterr.Denied {
			t.Errorf("another user: %v", err)
		}
		page, final := m.ended(forReset, session, visitor{methods: []string{"sms"}})
		_, err := m.hello.ProvisionHello(t.Context(), &lsav1.ProvisionHelloRequest{LogonSession: session, InteractionId: page.GetInteractionId(), FinalUri: final, Pin: pin})
		if prterr.KindOf(err) != prterr.Denied {
			t.Errorf("another purpose: %v", err)
		}
		other := m.signIn(alice).GetLogonSession()
		page, final = m.ended(forProvision, session, visitor{methods: []string{"sms"}})
		_, err = m.hello.ProvisionHello(t.Context(), &lsav1.ProvisionHelloRequest{LogonSession: other, InteractionId: page.GetInteractionId(), FinalUri: final, Pin: pin})
		if prterr.KindOf(err) != prterr.Denied {
			t.Errorf("another session: %v", err)
		}
		if w.tpm.hello.key(aliceID) != nil || m.describe(session).GetNgcSet() {
			t.Error("a key was left behind")
		}
	})
}

func TestRemoveHello(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.provisioned(alice, aliceID)
		hello, err := m.byPIN(alice, pin)
		if err != nil {
			t.Fatal(err)
		}
		session := m.signIn(alice).GetLogonSession()
		if _, err := m.hello.RemoveHello(t.Context(), &lsav1.RemoveHelloRequest{LogonSession: session}); err != nil {
			t.Fatal(err)
		}
		if _, err := m.hello.RemoveHello(t.Context(), &lsav1.RemoveHelloRequest{LogonSession: session}); prterr.KindOf(err) != prterr.NotFound {
			t.Errorf("twice: %v", err)
		}
		for range 2 {
			if _, err := m.byPIN(alice, pin); prterr.KindOf(err) != prterr.NotFound || w.tpm.hello.key(aliceID) != nil {
				t.Errorf("after the end of the key: %v", err)
			}
			m.stop()
			m = w.start()
		}
		if _, err := m.sign(hello.GetLogonSession()); prterr.KindOf(err) != prterr.Unauthenticated {
			t.Errorf("its session: %v", err)
		}
		if got := m.only(); got.GetCredentialKind() != "password" {
			t.Errorf("%v", got)
		}
	})
}

// TestACrashWhileAHelloKeyIsMade leaves a key that works or none, and the way open to
// make one.
func TestACrashWhileAHelloKeyIsMade(t *testing.T) {
	for _, point := range []string{"hello-key-made", "hello-key-registered", "temp-created", "temp-written", "renamed", "hello-record-written"} {
		t.Run(point, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				m, armed, struck := w.doomed(point)
				session := m.signIn(alice).GetLogonSession()
				armed.Store(true)
				if _, err := m.provision(session, visitor{methods: []string{"sms"}}); err == nil || !struck.Load() {
					t.Fatalf("%v, struck: %v", err, struck.Load())
				}
				m.stop()
				m = w.start()
				session = m.signIn(alice).GetLogonSession()
				if m.describe(session).GetNgcSet() {
					if _, err := m.byPIN(alice, pin); err != nil {
						t.Errorf("a key that is said to be there: %v", err)
					}
					return
				}
				if _, err := m.byPIN(alice, pin); prterr.KindOf(err) != prterr.NotFound {
					t.Errorf("a key that is said not to be there: %v", err)
				}
				if _, err := m.provision(session, visitor{methods: []string{"sms"}}); err != nil {
					t.Fatal(err)
				}
				if _, err := m.byPIN(alice, pin); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestTwoPagesMakeOneKey: of two that are at it at once, the second finds the key of
// the first and leaves it alone.
func TestTwoPagesMakeOneKey(t *testing.T) {
	w := newWorld(t)
	m := w.start()
	session := m.signIn(alice).GetLogonSession()
	ends := make(chan error, 2)
	make1 := func() {
		page, final := m.ended(forProvision, session, visitor{methods: []string{"sms"}})
		go func() {
			_, err := m.hello.ProvisionHello(t.Context(), &lsav1.ProvisionHelloRequest{
				LogonSession: session, InteractionId: page.GetInteractionId(), FinalUri: final, Pin: pin,
			})
			ends <- err
		}()
	}
	second := make(chan struct{})
	w.idp.registered = sync.OnceValue(func() error {
		close(second)
		time.Sleep(100 * time.Millisecond) // the second comes as far as it can
		return nil
	})
	make1()
	make1()
	<-second
	kinds := []prterr.Kind{prterr.KindOf(<-ends), prterr.KindOf(<-ends)}
	slices.Sort(kinds)
	if kinds[0] != "" || kinds[1] != prterr.Conflict {
		t.Errorf("%q", kinds)
	}
	if _, err := m.byPIN(alice, pin); err != nil {
		t.Errorf("the key of the first: %v", err)
	}
}
