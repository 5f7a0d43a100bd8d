package lsacloudap_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
)

func (m *machine) logonWith(r *lsav1.LogonUserRequest) (*lsav1.LogonUserResponse, error) {
	return m.logon.LogonUser(m.w.t.Context(), r)
}

func (m *machine) byPIN(upn, pin string) (*lsav1.LogonUserResponse, error) {
	return m.logonWith(&lsav1.LogonUserRequest{UserPrincipalName: upn, Credential: &lsav1.LogonUserRequest_Pin{Pin: pin}})
}

func (m *machine) byPage(upn string, v visitor) (*lsav1.LogonUserResponse, error) {
	page, err := m.page(lsav1.WebSignInPurpose_WEB_SIGN_IN_PURPOSE_SIGN_IN, "")
	if err != nil {
		return nil, err
	}
	return m.logonWith(&lsav1.LogonUserRequest{UserPrincipalName: upn, Credential: &lsav1.LogonUserRequest_WebSignIn{
		WebSignIn: &lsav1.WebSignIn{InteractionId: page.GetInteractionId(), FinalUri: m.w.idp.visit(page, v)},
	}})
}

func (m *machine) byCard(upn string) (*lsav1.LogonUserResponse, error) {
	return m.logonWith(&lsav1.LogonUserRequest{UserPrincipalName: upn, Credential: &lsav1.LogonUserRequest_SmartCard{SmartCard: &lsav1.SmartCard{
		Chain: [][]byte{[]byte("certificate")}, CreatedAt: timestamppb.Now(), Signature: []byte("signed by the card"),
	}}})
}

func (m *machine) page(purpose lsav1.WebSignInPurpose, session string) (*authorityv1.Interaction, error) {
	a, err := m.web.BeginWebSignIn(m.w.t.Context(), &lsav1.BeginWebSignInRequest{Purpose: purpose, LogonSession: session})
	return a.GetInteraction(), err
}

// TestISS17_EachCredentialHasItsPartition is the matrix: each kind of credential gives
// a PRT, in a partition of its own, and only a password and a PIN open the desktop
// without the network.
func TestISS17_EachCredentialHasItsPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.provisioned(ada, adaID)
		page := func(methods ...string) func() (*lsav1.LogonUserResponse, error) {
			return func() (*lsav1.LogonUserResponse, error) { return m.byPage(ada, visitor{ada, methods}) }
		}
		rows := []struct {
			kind   string
			signIn func() (*lsav1.LogonUserResponse, error)
			cached bool
		}{
			{"password", func() (*lsav1.LogonUserResponse, error) { return m.try(ada, password) }, true},
			{"hello", func() (*lsav1.LogonUserResponse, error) { return m.byPIN(ada, pin) }, true},
			{"smartcard", func() (*lsav1.LogonUserResponse, error) { return m.byCard(ada) }, false},
			{"smartcard", page("x509CertificateMultiFactor"), false},
			{"fido", page("fido2"), false},
			{"tap", page("temporaryAccessPassOneTime"), false},
			{"web", page("deviceBasedPush"), false},
		}
		for _, r := range rows {
			got, err := r.signIn()
			if err != nil {
				t.Fatalf("%s: %v", r.kind, err)
			}
			if got.GetUserId() != adaID || got.GetCredentialKind() != r.kind || m.kind(got.GetLogonSession()) != r.kind {
				t.Errorf("%s: %v", r.kind, got)
			}
			m.logoff(got.GetLogonSession())
		}
		kinds := func() (all []string) {
			s, err := m.state.GetSSOState(t.Context(), &lsav1.GetSSOStateRequest{})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range s.GetPartitions() {
				all = append(all, p.GetCredentialKind())
			}
			return all
		}
		want := []string{"fido", "hello", "password", "smartcard", "tap", "web"}
		if got := kinds(); !slices.Equal(got, want) {
			t.Errorf("partitions %v", got)
		}
		m.stop()
		m = w.start()
		if got := kinds(); !slices.Equal(got, want) {
			t.Errorf("partitions after a restart %v", got)
		}
		w.cut(true)
		for _, r := range rows[:3] {
			got, err := r.signIn()
			switch {
			case r.cached && (err != nil || !got.GetFromCache()):
				t.Errorf("%s without a network: %v", r.kind, err)
			case !r.cached && (prterr.KindOf(err) != prterr.Unavailable || !strings.Contains(err.Error(), "needs the network each time")):
				t.Errorf("%s without a network: %v", r.kind, err)
			}
		}
		w.cut(false)
		w2, err := m.page(lsav1.WebSignInPurpose_WEB_SIGN_IN_PURPOSE_SIGN_IN, "")
		if err != nil {
			t.Fatal(err)
		}
		final := w.idp.visit(w2, visitor{ada, []string{"fido2"}})
		w.cut(true)
		_, err = m.logonWith(&lsav1.LogonUserRequest{Credential: &lsav1.LogonUserRequest_WebSignIn{WebSignIn: &lsav1.WebSignIn{InteractionId: w2.GetInteractionId(), FinalUri: final}}})
		if prterr.KindOf(err) != prterr.Unavailable || !strings.Contains(err.Error(), "needs the network each time") {
			t.Errorf("a page without a network: %v", err)
		}
	})
}

// TestThePageNamesTheUser: a name that was typed must be the page's; none is taken from
// it; and a page that was made for something else signs nobody in.
func TestThePageNamesTheUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		if _, err := m.byPage(ada, visitor{alice, []string{"fido2"}}); prterr.KindOf(err) != prterr.Denied {
			t.Errorf("another user: %v", err)
		}
		got, err := m.byPage("", visitor{alice, []string{"fido2"}})
		if err != nil || got.GetUserId() != aliceID {
			t.Fatalf("%v, %v", got, err)
		}
		// The screen showed a name when the page was begun: the page ends as that user.
		for upn, kind := range map[string]prterr.Kind{alice: prterr.Denied, ada: ""} {
			a, err := m.web.BeginWebSignIn(t.Context(), &lsav1.BeginWebSignInRequest{Purpose: lsav1.WebSignInPurpose_WEB_SIGN_IN_PURPOSE_SIGN_IN, LoginHint: upn})
			if err != nil {
				t.Fatal(err)
			}
			i := a.GetInteraction()
			_, err = m.logonWith(&lsav1.LogonUserRequest{Credential: &lsav1.LogonUserRequest_WebSignIn{
				WebSignIn: &lsav1.WebSignIn{InteractionId: i.GetInteractionId(), FinalUri: w.idp.visit(i, visitor{ada, []string{"fido2"}})},
			}})
			if kind != "" && prterr.KindOf(err) != kind || kind == "" && err != nil {
				t.Errorf("ada at the page that was begun for %s: %v", upn, err)
			}
		}
		page, err := m.page(lsav1.WebSignInPurpose_WEB_SIGN_IN_PURPOSE_PROVISION_HELLO, got.GetLogonSession())
		if err != nil {
			t.Fatal(err)
		}
		for id, final := range map[string]string{page.GetInteractionId(): w.idp.visit(page, visitor{upn: alice}), "guess": brokerURI + "?code=1.x&state=x"} {
			_, err = m.logonWith(&lsav1.LogonUserRequest{UserPrincipalName: alice, Credential: &lsav1.LogonUserRequest_WebSignIn{
				WebSignIn: &lsav1.WebSignIn{InteractionId: id, FinalUri: final},
			}})
			if prterr.KindOf(err) != prterr.Denied {
				t.Errorf("%s: %v", id, err)
			}
		}
		if _, err := m.page(lsav1.WebSignInPurpose_WEB_SIGN_IN_PURPOSE_SIGN_IN, got.GetLogonSession()); prterr.KindOf(err) != prterr.Invalid {
			t.Errorf("a sign-in page for who is signed in: %v", err)
		}
		// A password at a page gives a PRT, but the device has not seen the password.
		if _, err := m.byPage("", visitor{alice, []string{"password", "sms"}}); err != nil {
			t.Fatal(err)
		}
		if got := m.signIn(alice); got.GetFromCache() {
			t.Error("a password that was never typed here let in from the cache")
		}
		if got := m.signIn(alice); !got.GetFromCache() {
			t.Error("the password that was typed is not in the cache")
		}
	})
}

// TestMFA07_OnePRTForEachCredential: after Hello, a sign-in with the password shows
// what a password proves, and the other way round.
func TestMFA07_OnePRTForEachCredential(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.provisioned(alice, aliceID)
		for range 3 {
			hello, err := m.byPIN(alice, pin)
			if err != nil {
				t.Fatal(err)
			}
			if got := m.methods(hello.GetLogonSession()); !slices.Equal(got, []string{"windowsHelloForBusiness"}) {
				t.Errorf("hello: %v", got)
			}
			if got := m.methods(m.signIn(alice).GetLogonSession()); !slices.Equal(got, []string{"password"}) {
				t.Errorf("password: %v", got)
			}
			time.Sleep(5 * time.Hour) // renewals in between mix nothing
		}
	})
}

// TestMFA08_ClaimsNeverMix: whatever the order of sign-ins, renewals, pages and ends of
// sessions, the tokens of a session say what its partition's credential proved.
func TestMFA08_ClaimsNeverMix(t *testing.T) {
	for seed := range uint64(8) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			m := w.start()
			m.provisioned(alice, aliceID)
			r := rand.New(rand.NewPCG(seed, 7))
			first := map[string]string{
				"password": "password", "hello": "windowsHelloForBusiness", "fido": "fido2", "tap": "temporaryAccessPassMultiUse", "web": "deviceBasedPush",
			}
			var sessions []string
			add := func(got *lsav1.LogonUserResponse, err error) {
				if err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				sessions = append(sessions, got.GetLogonSession())
			}
			steps := []func(){
				func() { add(m.try(alice, password)) },
				func() { add(m.byPIN(alice, pin)) },
				func() { add(m.byPage("", visitor{alice, []string{first["fido"]}})) },
				func() { add(m.byPage("", visitor{alice, []string{first["tap"]}})) },
				func() { add(m.byPage("", visitor{alice, []string{first["web"]}})) },
				func() { time.Sleep(time.Duration(r.IntN(6)) * time.Hour) },
				func() {
					if len(sessions) > 0 {
						s := sessions[r.IntN(len(sessions))]
						page := m.begin(s)
						if err := m.complete(s, page.GetInteractionId(), w.idp.visit(page, visitor{methods: []string{"sms"}})); err != nil {
							t.Fatalf("seed %d: %v", seed, err)
						}
					}
				},
				func() {
					if len(sessions) > 3 {
						m.logoff(sessions[0])
						sessions = sessions[1:]
					}
				},
			}
			for range 40 {
				steps[r.IntN(len(steps))]()
				synctest.Wait()
				for _, s := range sessions {
					if kind, got := m.kind(s), m.methods(s); len(got) == 0 || got[0] != first[kind] || slices.ContainsFunc(got[1:], func(m string) bool { return m != "sms" }) {
						t.Fatalf("seed %d: a session of %s has tokens of %v", seed, kind, got)
					}
				}
			}
		})
	}
}
