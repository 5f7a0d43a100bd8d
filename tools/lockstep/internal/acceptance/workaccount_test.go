package acceptance_test

import (
	"slices"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/pageagent"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// signIns is the identity provider's log of the tenant, the oldest first.
func (w *world) signIns() []*directoryv1.SignIn {
	w.t.Helper()
	resp, err := directoryv1.NewReadServiceClient(w.device.Operator.Directory).ListSignIns(w.t.Context(), &directoryv1.ListSignInsRequest{TenantId: contoso, Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	all := resp.GetSignIns()
	slices.SortStableFunc(all, func(a, b *directoryv1.SignIn) int { return a.GetAt().AsTime().Compare(b.GetAt().AsTime()) })
	return all
}

// flows counts the successful entries of that log by flow.
func (w *world) flows() map[string]int {
	w.t.Helper()
	n := map[string]int{}
	for _, s := range w.signIns() {
		if s.GetOutcome() == "success" {
			n[s.GetFlow()]++
		}
	}
	return n
}

// registeredDevice is one that maria, an account of the device's own, has added her
// work account to.
func registeredDevice(t testing.TB, cfg lab.Config) (*world, actor.Desktop) {
	t.Helper()
	if cfg.TPM == "" {
		cfg.TPM = "mem:"
	}
	w := newWorld(t, cfg)
	desktop := w.owner(w.device, "maria")
	if _, err := w.settings(w.device, desktop); err != nil {
		t.Fatal(err)
	}
	return w, desktop
}

// work is the one work account on the device.
func (w *world) work() *wamv1.AccountState {
	w.t.Helper()
	all, err := w.device.Operator.WorkAccounts(w.t.Context())
	if err != nil || len(all) != 1 {
		w.t.Fatalf("%d work accounts, %v", len(all), err)
	}
	return all[0]
}

func (w *world) advance(by time.Duration) {
	w.t.Helper()
	if err := w.lab.Advance(w.t.Context(), by); err != nil {
		w.t.Fatal(err)
	}
}

// TestREG10_REG12_ThePRTComesWithTheRegistration: while the account is added the
// identity provider issues one PRT and nothing else, and no sign-in to the device has a
// part in it; the first app then gets tokens out of that PRT.
func TestREG10_REG12_ThePRTComesWithTheRegistration(t *testing.T) {
	for name, cfg := range map[string]lab.Config{"gRPC": {}, "HTTPS": {HTTPS: true}, "native": {NativeSessionKeys: true}} {
		t.Run(name, func(t *testing.T) {
			cfg.TPM = "mem:"
			w := newWorld(t, cfg)
			desktop := w.owner(w.device, "maria")
			if got := w.flows(); len(got) != 0 {
				t.Fatalf("before: %v", got)
			}
			began := time.Now()
			if _, err := w.prompt(w.device, desktop); err != nil {
				t.Fatal(err)
			}
			ended := time.Now()
			prts := 0
			for _, s := range w.signIns() {
				switch {
				case s.GetFlow() == "registration_token", s.GetFlow() == "register_device", s.GetResource() == "Device Registration Service":
					continue // how the device became known; no resource of an app's
				case s.GetFlow() == "issue_prt":
				default:
					t.Errorf("beside the PRT: %v", s)
					continue
				}
				prts++
				if at := s.GetAt().AsTime(); at.Before(began.Add(-time.Second)) || at.After(ended.Add(time.Second)) || s.GetUserPrincipalName() != w.tenant.User || s.GetDeviceId() != w.state(w.device).GetDeviceId() {
					t.Errorf("PRT outside of the registration, or another's: %v", s)
				}
			}
			state := w.work()
			if prts != 1 || state.GetPrtDigest() == "" || state.GetValidity() != authorityv1.PRTValidity_PRT_VALIDITY_GOOD {
				t.Fatalf("%d PRTs; %v", prts, state)
			}
			before := w.flows()
			if w.mustToken(desktop) == "" {
				t.Fatal("no token")
			}
			after := w.flows()
			if after["issue_prt"] != before["issue_prt"] || after["redeem_prt"] != before["redeem_prt"]+1 {
				t.Errorf("the first app: %v, then %v", before, after)
			}
			if w.work().GetPrtDigest() != state.GetPrtDigest() {
				t.Error("a young PRT was replaced")
			}
		})
	}
}

// TestREG13_WAMIsTheAuthorityOfARegisteredDevice, CloudAP of a joined one: the owner of
// each PRT says so, and neither component can use the other's keys (tpm-agent).
func TestREG13_WAMIsTheAuthorityOfARegisteredDevice(t *testing.T) {
	w, desktop := registeredDevice(t, lab.Config{})
	if parts, err := w.device.Operator.SSOState(t.Context()); err != nil || len(parts) != 0 {
		t.Errorf("CloudAP has %v, %v", parts, err)
	}
	list, err := w.device.App(w.tenant.App).Accounts(t.Context(), desktop)
	if err != nil || len(list) != 1 || list[0].GetAuthority() != wamv1.Authority_AUTHORITY_WAM || w.work().GetAccount().GetAuthority() != wamv1.Authority_AUTHORITY_WAM {
		t.Errorf("%v, %v", list, err)
	}
	joined := w.addDevice()
	w.join(joined)
	desktop = w.signIn(joined)
	list, err = joined.App(w.tenant.App).Accounts(t.Context(), desktop)
	if err != nil || len(list) != 1 || list[0].GetAuthority() != wamv1.Authority_AUTHORITY_CLOUDAP || !list[0].GetDefault() {
		t.Errorf("joined: %v, %v", list, err)
	}
	if all, err := joined.Operator.WorkAccounts(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("WAM has %v on a joined device, %v", all, err)
	}
	if _, err := joined.Settings.Disconnect(t.Context(), desktop, w.tenant.User); prterr.KindOf(err) != prterr.Conflict {
		t.Errorf("WAM lets go of CloudAP's account: %v", err)
	}
}

// TestREN14_APRTIsRenewedWhenAnAppAsks and at no other time: ten hours without an app
// leave it, an app with a refresh token of its own has it renewed behind it, and one
// without gets the new PRT with its token (REN12, APP06).
func TestREN14_REN12_APP06_APRTIsRenewedWhenAnAppAsks(t *testing.T) {
	for name, https := range map[string]bool{"gRPC": false, "HTTPS": true} {
		t.Run(name, func(t *testing.T) {
			w, desktop := registeredDevice(t, lab.Config{HTTPS: https})
			w.mustToken(desktop)
			first := w.work()
			w.advance(10 * time.Hour)
			time.Sleep(20 * time.Millisecond) // a clock that renewed would have woken
			if got := w.work(); got.GetPrtDigest() != first.GetPrtDigest() || w.flows()["renew_prt"] != 0 {
				t.Fatal("the PRT was renewed with no app about")
			}
			w.mustToken(desktop) // by its refresh token, and behind it the renewal
			second := w.awaitPRT(first.GetPrtDigest())
			if n := w.flows(); n["renew_prt"] != 1 || n["redeem_prt"] != 1 || !second.GetPrtUpdateTime().AsTime().After(first.GetPrtUpdateTime().AsTime()) {
				t.Errorf("%v; %v, then %v", n, first, second)
			}
			w.advance(10 * time.Hour)
			if _, _, err := w.device.App(teams).Token(t.Context(), desktop, w.tenant.Resource, true); err != nil {
				t.Fatal(err)
			}
			third := w.awaitPRT(second.GetPrtDigest())
			if n := w.flows(); n["renew_prt"] != 1 || !third.GetPrtUpdateTime().AsTime().After(second.GetPrtUpdateTime().AsTime()) {
				t.Errorf("%v; %v", n, third)
			}
			if _, _, err := w.device.App(azureCLI).Token(t.Context(), desktop, w.tenant.Resource, true); err != nil {
				t.Fatal(err)
			}
			if w.work().GetPrtDigest() != third.GetPrtDigest() {
				t.Error("a young PRT was replaced")
			}
		})
	}
}

// awaitPRT waits until the PRT is another one.
func (w *world) awaitPRT(than string) *wamv1.AccountState {
	w.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if s := w.work(); s.GetPrtDigest() != than {
			return s
		}
	}
	w.t.Fatal("the PRT stays the same")
	return nil
}

// TestREN15_AnExpiredPRTIsReplacedAtAPageOfTheApp: after fifteen idle days the app has
// its user sign in, and there is a new PRT; a silent app is told that it needs her.
func TestREN15_AnExpiredPRTIsReplacedAtAPageOfTheApp(t *testing.T) {
	w, desktop := registeredDevice(t, lab.Config{})
	w.mustToken(desktop)
	before := w.work()
	w.advance(15 * 24 * time.Hour)
	if got := w.work(); got.GetValidity() != authorityv1.PRTValidity_PRT_VALIDITY_EXPIRED {
		t.Errorf("%v", got)
	}
	if _, err := w.token(w.device, desktop); prterr.KindOf(err) != prterr.Interaction {
		t.Fatalf("silently: %v", err)
	}
	if got := w.work().GetLastAttempt(); got.GetStatus() != 0xCAA2000C || got.GetUserIdentity() != w.tenant.User || got.GetKind() != string(prterr.Interaction) {
		t.Errorf("last attempt %v", got)
	}
	prompts := w.interactively(desktop)
	if !slices.Equal(prompts, []string{pageagent.Password}) {
		t.Errorf("asked for %q", prompts)
	}
	after := w.work()
	if after.GetPrtDigest() == before.GetPrtDigest() || after.GetValidity() != authorityv1.PRTValidity_PRT_VALIDITY_GOOD || after.GetLastAttempt() != nil {
		t.Errorf("after the page: %v", after)
	}
	w.mustToken(desktop)
}

// TestAPP10_ARevokedPRTOfAWorkAccount: interaction is demanded, and after the sign-in
// there is a new PRT.
func TestAPP10_ARevokedPRTOfAWorkAccount(t *testing.T) {
	w, desktop := registeredDevice(t, lab.Config{HTTPS: true})
	w.mustToken(desktop)
	before := w.work()
	if _, err := w.admin().RevokeSessions(t.Context(), &directoryv1.RevokeSessionsRequest{UserPrincipalName: w.tenant.User}); err != nil {
		t.Fatal(err)
	}
	w.advance(time.Second)
	_, err := w.token(w.device, desktop)
	if prterr.KindOf(err) != prterr.Interaction {
		t.Fatalf("silently: %v", err)
	}
	if got := w.work(); got.GetValidity() != authorityv1.PRTValidity_PRT_VALIDITY_REVOKED || aadsts.Code(got.GetLastAttempt().GetAadsts()) != prterr.CodeOf(err) {
		t.Errorf("%v after %v", got, err)
	}
	w.interactively(desktop)
	if after := w.work(); after.GetPrtDigest() == before.GetPrtDigest() || after.GetValidity() != authorityv1.PRTValidity_PRT_VALIDITY_GOOD {
		t.Errorf("%v", after)
	}
	w.mustToken(desktop)
}

// interactively has the app ask with its user, who has a password, before the window.
func (w *world) interactively(desktop actor.Desktop) []string {
	w.t.Helper()
	_, prompts, err := w.ask(desktop, w.tenant.App, w.tenant.Resource, w.at("alice", pageagent.Password))
	if err != nil {
		w.t.Fatalf("asked for %q: %v", prompts, err)
	}
	return prompts
}

// TestREG13_AWorkAccountGoesOnAfterARecovery: the TPM was cleared, an administrator of the
// device has it registered anew, and the account of before needs its user once and nothing
// else: the session key was lost, the account was not.
func TestREG13_AWorkAccountGoesOnAfterARecovery(t *testing.T) {
	w, desktop := registeredDevice(t, lab.Config{})
	w.mustToken(desktop)
	before, device := w.work(), w.state(w.device).GetDeviceId()
	w.wipe()
	if _, err := w.token(w.device, desktop); err == nil {
		t.Fatal("a token with keys that are lost")
	}
	if got := w.work(); got.GetValidity() != authorityv1.PRTValidity_PRT_VALIDITY_KEYS_LOST {
		t.Errorf("%v", got)
	}
	if _, err := w.device.Operator.Recover(t.Context(), w.tenant.User, w.tenant.Password); err != nil {
		t.Fatal(err)
	}
	if id := w.state(w.device).GetDeviceId(); id == device {
		t.Fatal("the device has its old id")
	}
	if _, err := w.token(w.device, desktop); prterr.KindOf(err) != prterr.Interaction {
		t.Fatalf("silently: %v", err)
	}
	w.interactively(desktop)
	if after := w.work(); after.GetPrtDigest() == before.GetPrtDigest() || after.GetValidity() != authorityv1.PRTValidity_PRT_VALIDITY_GOOD || after.GetAccount().GetUserId() != before.GetAccount().GetUserId() {
		t.Errorf("%v", after)
	}
	w.mustToken(desktop)
}

// TestINV07_ADisabledDeviceOfAWorkAccount: WAM learns it from a refusal, says so in the
// state, and goes on by itself when the device is enabled again.
func TestINV07_ADisabledDeviceOfAWorkAccount(t *testing.T) {
	w, desktop := registeredDevice(t, lab.Config{})
	w.mustToken(desktop)
	enable := func(on bool) {
		t.Helper()
		if _, err := w.admin().SetDeviceEnabled(t.Context(), &directoryv1.SetDeviceEnabledRequest{DeviceId: w.state(w.device).GetDeviceId(), Enabled: on}); err != nil {
			t.Fatal(err)
		}
	}
	enable(false)
	if _, _, err := w.device.App(teams).Token(t.Context(), desktop, w.tenant.Resource, true); err == nil {
		t.Fatal("a token from a disabled device")
	}
	if got := w.work(); got.GetValidity() != authorityv1.PRTValidity_PRT_VALIDITY_DEVICE_INVALID || got.GetLastAttempt().GetAadsts() == 0 {
		t.Errorf("%v", got)
	}
	enable(true)
	w.mustToken(desktop)
	if _, _, err := w.device.App(teams).Token(t.Context(), desktop, w.tenant.Resource, true); err != nil {
		t.Fatal(err)
	}
	if got := w.work(); got.GetValidity() != authorityv1.PRTValidity_PRT_VALIDITY_GOOD {
		t.Errorf("%v", got)
	}
}

// TestAPP19_TwoPeopleWithTheSameWorkAccount have nothing in common: what one of them asks
// for comes from her own PRT, and the other's session opens nothing of it.
func TestAPP19_TwoPeopleWithTheSameWorkAccount(t *testing.T) {
	w, maria := registeredDevice(t, lab.Config{})
	noah := w.owner(w.device, "noah")
	if _, err := w.token(w.device, noah); prterr.KindOf(err) != prterr.Interaction {
		t.Fatalf("noah has nothing yet: %v", err)
	}
	if _, err := w.settings(w.device, noah); err != nil {
		t.Fatal(err)
	}
	if hers, his := w.mustToken(maria), w.mustToken(noah); hers == his {
		t.Error("they share a token")
	}
	if n := w.flows(); n["redeem_prt"] != 2 || n["issue_prt"] != 2 {
		t.Errorf("%v", n)
	}
	if _, err := w.device.Settings.Disconnect(t.Context(), noah, w.tenant.User); err != nil {
		t.Fatal(err)
	}
	if err := w.device.Restart(t.Context(), "wam-broker"); err != nil {
		t.Fatal(err)
	}
	w.mustToken(maria)
	if n := w.flows(); n["redeem_prt"] != 2 || n["redeem_refresh_token"] != 1 {
		t.Errorf("after noah left and a restart: %v", n)
	}
}
