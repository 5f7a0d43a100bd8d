package wambroker_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	eventv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/event/v1"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
)

// of is a device that maria registered for alice's account, and that has no PRT of it:
// the TPM failed after the registration.
func registeredWithoutPRT(t testing.TB) *device {
	t.Helper()
	d := newDevice(t)
	d.unregistered()
	resp, err := d.client.AddWorkAccount(t.Context(), account())
	if err != nil || !resp.GetRegistered() || resp.GetPrtObtained() {
		t.Fatal(resp, err)
	}
	return d
}

func (d *device) settings(t testing.TB) wamv1.AccountSettingsServiceClient {
	t.Helper()
	return wamv1.NewAccountSettingsServiceClient(d.dial(t, "settings", nil))
}

func (d *device) accounts(t testing.TB, session string) []*wamv1.Account {
	t.Helper()
	resp, err := d.client.ListAccounts(t.Context(), &wamv1.ListAccountsRequest{LogonSession: session})
	if err != nil {
		t.Fatal(err)
	}
	return resp.GetAccounts()
}

func (d *device) state(t testing.TB) []*wamv1.AccountState {
	t.Helper()
	resp, err := wamv1.NewAccountStateServiceClient(d.dial(t, "operator", nil)).GetAccountState(t.Context(), &wamv1.GetAccountStateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return resp.GetAccounts()
}

func (d *device) events(t testing.TB) []*eventv1.Event {
	t.Helper()
	resp, err := eventv1.NewEventServiceClient(d.dial(t, "operator", nil)).ListEvents(t.Context(), &eventv1.ListEventsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return resp.GetEvents()
}

func as(session string) func(*wamv1.RequestTokenRequest) {
	return func(r *wamv1.RequestTokenRequest) { r.LogonSession = session }
}

func named(account string) func(*wamv1.RequestTokenRequest) {
	return func(r *wamv1.RequestTokenRequest) { r.Account = account }
}

// TestREG10_AnAccountWithoutItsPRTStays: the device is registered, so the account is
// there; the first app is told that the user is needed, and the state says why.
func TestREG10_AnAccountWithoutItsPRTStays(t *testing.T) {
	d := registeredWithoutPRT(t)
	all := d.accounts(t, "session-maria")
	if len(all) != 1 || all[0].GetUserPrincipalName() != "alice@contoso.test" || all[0].GetUserId() != alice || !all[0].GetDefault() || all[0].GetAuthority() != wamv1.Authority_AUTHORITY_WAM {
		t.Fatalf("%v", all)
	}
	_, err := d.client.RequestToken(t.Context(), ask(as("session-maria")))
	if prterr.KindOf(err) != prterr.Interaction {
		t.Errorf("the first app: %v", err)
	}
	state := d.state(t)
	if len(state) != 1 || state[0].GetSid() != maria || state[0].GetPrtDigest() != "" || state[0].GetLastAttempt().GetUserIdentity() != "alice@contoso.test" {
		t.Errorf("%v", state)
	}
	if i := slices.IndexFunc(d.events(t), func(e *eventv1.Event) bool { return e.GetId() == 1098 && e.GetStatus() == 0xCAA5001C }); i < 0 {
		t.Errorf("events %v", d.events(t))
	}
	// The same after a restart, with what happened before it.
	events := d.events(t)
	again := start(t, d.world, d.dir, nil)
	if got := again.accounts(t, "session-maria"); len(got) != 1 || got[0].GetUserId() != alice {
		t.Errorf("after a restart: %v", got)
	}
	if got := again.state(t)[0].GetLastAttempt(); fmt.Sprint(got) != fmt.Sprint(state[0].GetLastAttempt()) {
		t.Errorf("after a restart the last attempt is %v, before it %v", got, state[0].GetLastAttempt())
	}
	if got := again.events(t); fmt.Sprint(got) != fmt.Sprint(events) {
		t.Errorf("after a restart the events are %v, before it %v", got, events)
	}
	// With the account goes what happened to it.
	if _, err := again.settings(t).DisconnectAccount(t.Context(), &wamv1.DisconnectAccountRequest{LogonSession: "session-maria", Account: alice}); err != nil {
		t.Fatal(err)
	}
	if raw, err := os.ReadFile(filepath.Join(d.dir, "attempts.json")); err != nil || strings.Contains(string(raw), "alice") {
		t.Errorf("after it was removed there is %s, %v", raw, err)
	}
}

// TestDamagedDiagnosticsAreNamed: what only tells of the past goes to quarantine by name,
// and the broker works.
func TestDamagedDiagnosticsAreNamed(t *testing.T) {
	d := registeredWithoutPRT(t)
	for _, f := range []string{"attempts.json", "events/events.jsonl"} {
		if err := os.WriteFile(filepath.Join(d.dir, f), []byte("damaged\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again := start(t, d.world, d.dir, nil)
	if got := again.accounts(t, "session-maria"); len(got) != 1 || again.state(t)[0].GetLastAttempt() != nil {
		t.Errorf("%v", again.state(t))
	}
	for id, file := range map[uint32]string{9001: "attempts.json", 9005: "events.jsonl"} {
		named := func(e *eventv1.Event) bool {
			_, err := os.Stat(e.GetFields()[2].GetValue())
			return e.GetId() == id && strings.HasSuffix(e.GetFields()[0].GetValue(), file) && err == nil
		}
		if !slices.ContainsFunc(again.events(t), named) {
			t.Errorf("no event %d names %s: %v", id, file, again.events(t))
		}
	}
}

// TestAPP19_AUserOfTheDeviceHasNoOthersAccount: not to list, not to use, not to choose,
// not to remove; one that exists for somebody else is as unknown as one that does not.
func TestAPP19_AUserOfTheDeviceHasNoOthersAccount(t *testing.T) {
	d := registeredWithoutPRT(t)
	if got := d.accounts(t, "session-noah"); len(got) != 0 {
		t.Errorf("noah sees %v", got)
	}
	var said []string
	for _, name := range []string{"", "alice@contoso.test", "nobody@contoso.test"} {
		_, err := d.client.RequestToken(t.Context(), ask(as("session-noah"), named(name)))
		if prterr.KindOf(err) != prterr.Interaction {
			t.Errorf("%q: %v", name, err)
		}
		said = append(said, err.Error())
	}
	if said[0] != said[1] || said[1] != said[2] {
		t.Errorf("the answers tell: %q", said)
	}
	s := d.settings(t)
	if _, err := s.SetDefaultAccount(t.Context(), &wamv1.SetDefaultAccountRequest{LogonSession: "session-noah", Account: alice}); err == nil {
		t.Error("noah chose")
	}
	if _, err := s.DisconnectAccount(t.Context(), &wamv1.DisconnectAccountRequest{LogonSession: "session-noah", Account: alice}); err == nil {
		t.Error("noah removed")
	}
	if got := d.accounts(t, "session-maria"); len(got) != 1 {
		t.Errorf("maria has %v", got)
	}
}

// TestAPP18_AnAccountIsNamed by user principal name or object id, in any case; a name
// that is none of the user's is told what there is.
func TestAPP18_AnAccountIsNamed(t *testing.T) {
	d := newDevice(t)
	for _, name := range []string{"", "alice@contoso.test", "ALICE@contoso.test", alice, strings.ToUpper(alice)} {
		if resp, err := d.client.RequestToken(t.Context(), ask(named(name))); err != nil || resp.GetUserId() != alice {
			t.Errorf("%q: %v, %v", name, resp, err)
		}
	}
	for _, name := range []string{"bob@contoso.test", bob, "alice"} {
		_, err := d.client.RequestToken(t.Context(), ask(named(name)))
		if prterr.KindOf(err) != prterr.NotFound || !strings.Contains(err.Error(), "alice@contoso.test") || strings.Contains(err.Error(), "bob") {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{strings.Repeat("a", 114), "a b", "a\x00"} {
		if _, err := d.client.RequestToken(t.Context(), ask(named(name))); prterr.KindOf(err) != prterr.Invalid || !strings.HasPrefix(err.Error(), "account") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestTheLastAccountTakesTheDeviceWithIt, also when the tenant cannot be told: then an
// event says so.
func TestTheLastAccountTakesTheDeviceWithIt(t *testing.T) {
	for name, refusal := range map[string]error{"told": nil, "offline": prterr.New(prterr.Unavailable, "cannot be reached")} {
		t.Run(name, func(t *testing.T) {
			d := registeredWithoutPRT(t)
			d.set(func(w *world) {
				if refusal != nil {
					w.refuse["LeaveDevice"] = refusal
				}
			})
			resp, err := d.settings(t).DisconnectAccount(t.Context(), &wamv1.DisconnectAccountRequest{LogonSession: "session-maria", Account: "alice@contoso.test"})
			if err != nil || !resp.GetDeviceLeft() || resp.GetTenantTold() != (refusal == nil) {
				t.Errorf("%v, %v", resp, err)
			}
			if len(d.left) != 1 || d.left[0].GetLocalOnly() == (refusal == nil) || d.joinState != dsregv1.JoinState_JOIN_STATE_NONE {
				t.Errorf("left by %v", d.left)
			}
			if got := d.accounts(t, "session-maria"); len(got) != 0 || len(d.state(t)) != 0 {
				t.Errorf("%v", got)
			}
			if files, err := os.ReadDir(filepath.Join(d.dir, "accounts")); err != nil || len(files) != 0 {
				t.Errorf("files %v, %v", files, err)
			}
			told := slices.ContainsFunc(d.events(t), func(e *eventv1.Event) bool { return e.GetId() == 9010 })
			if told != (refusal != nil) {
				t.Errorf("event: %v", told)
			}
		})
	}
}

// TestADamagedAccountIsPutAside and does not stop the broker.
func TestADamagedAccountIsPutAside(t *testing.T) {
	d := registeredWithoutPRT(t)
	files, err := filepath.Glob(filepath.Join(d.dir, "accounts", "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	good, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	for name, data := range map[string]string{
		"torn": string(good[:len(good)/2]), "another's": strings.Replace(string(good), maria, noah, 1),
		"another version": strings.Replace(string(good), `"version":1`, `"version":9`, 1), "more": string(good) + "{}",
		"unknown member": strings.Replace(string(good), `{"version"`, `{"more":1,"version"`, 1),
	} {
		if err := os.WriteFile(files[0], []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		again := start(t, d.world, d.dir, nil)
		if got := again.accounts(t, "session-maria"); len(got) != 0 {
			t.Errorf("%s: %v", name, got)
		}
		if got := again.accounts(t, "session-noah"); len(got) != 0 {
			t.Errorf("%s: noah has %v", name, got)
		}
		if !slices.ContainsFunc(again.events(t), func(e *eventv1.Event) bool { return e.GetId() == 9001 }) {
			t.Errorf("%s: no event", name)
		}
		if _, err := os.Stat(files[0]); err == nil {
			t.Errorf("%s: the file is still there", name)
		}
	}
}

// TestTheDeviceDoesNotLeaveUnderAnAccountThatIsBeingAdded: maria removes the last account
// while noah, whose account registered the device a moment ago, waits for his.
func TestTheDeviceDoesNotLeaveUnderAnAccountThatIsBeingAdded(t *testing.T) {
	d := registeredWithoutPRT(t)
	settings, removed := d.settings(t), make(chan error, 1)
	d.set(func(w *world) {
		w.joinState = dsregv1.JoinState_JOIN_STATE_NONE // it left, and nobody told the broker
		w.registering = func() {
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, err := settings.DisconnectAccount(context.WithoutCancel(t.Context()), &wamv1.DisconnectAccountRequest{LogonSession: "session-maria", Account: alice})
				removed <- err
			}()
			select { // it must wait for this call; one that does not is given the time to do harm
			case <-done:
			case <-time.After(200 * time.Millisecond):
			}
		}
	})
	req := account()
	req.LogonSession = "session-noah"
	if resp, err := d.client.AddWorkAccount(t.Context(), req); err != nil || !resp.GetRegistered() {
		t.Fatal(resp, err)
	}
	if err := <-removed; err != nil {
		t.Error(err)
	}
	if got := d.accounts(t, "session-noah"); len(got) != 1 {
		t.Errorf("noah has %v", got)
	}
	if len(d.left) != 0 || d.joinState != dsregv1.JoinState_JOIN_STATE_REGISTERED {
		t.Errorf("the device left under noah's account: %v", d.left)
	}
}

// TestWhoIsNobodyGetsNoAccount: an account without a user of the device would be found by
// nobody and never removed, so nothing is registered for it either.
func TestWhoIsNobodyGetsNoAccount(t *testing.T) {
	d := newDevice(t)
	d.unregistered()
	d.set(func(w *world) { w.sessions["session-maria"].Sid = "" })
	if _, err := d.client.AddWorkAccount(t.Context(), account()); err == nil {
		t.Error("an account was added for nobody")
	}
	if len(d.registered) != 0 || len(d.state(t)) != 0 {
		t.Errorf("registered %v, accounts %v", d.registered, d.state(t))
	}
}
