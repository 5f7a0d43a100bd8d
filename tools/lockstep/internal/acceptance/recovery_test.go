package acceptance_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/demo"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

func computer() actor.Computer {
	return actor.Computer{
		ID: "0f3b2c1d-5e4f-4a6b-8c7d-9e0f1a2b3c4d", SID: "S-1-5-21-1111111111-2222222222-3333333333-1104", Name: "PC-7",
		TenantID: contoso, TargetDomain: "contoso.test",
	}
}

// joinHybrid joins the device as a computer of contoso's domain.
func (w *world) joinHybrid() {
	w.t.Helper()
	for i, pending := range []bool{true, false} {
		if got, err := w.device.Operator.JoinHybrid(w.t.Context(), computer()); err != nil || got != pending {
			w.t.Fatalf("pending %v, %v, want %v", got, err, pending)
		}
		if i == 0 {
			w.sync()
		}
	}
}

func (w *world) sync() {
	w.t.Helper()
	if err := w.device.Operator.Sync(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// wipe has the TPM forget everything: the one of these tests lives as long as the
// process of the tpm-agent.
func (w *world) wipe() {
	w.t.Helper()
	if err := w.device.Restart(w.t.Context(), "tpm-agent"); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) as(who string) (actor.Desktop, error) {
	p := demo.People()[who]
	desktop, _, err := w.device.LogonUI.SignIn(w.t.Context(), p.UPN, p.Password)
	return desktop, err
}

// asked counts calls of an RPC in everything that ran.
func (w *world) asked(method string) (n int) {
	for _, s := range w.lab.Recorder().All() {
		if strings.HasSuffix(s.Name, method) {
			n++
		}
	}
	return n
}

func TestREG15_AHybridJoinWaitsForTheSyncAndGoesOnByItself(t *testing.T) {
	w := newWorld(t, lab.Config{TPM: "mem:"})
	if pending, err := w.device.Operator.JoinHybrid(t.Context(), computer()); err != nil || !pending {
		t.Fatalf("pending %v, %v", pending, err)
	}
	w.sync()
	for end := time.Now().Add(patience); w.state(w.device).GetJoinState() != dsregv1.JoinState_JOIN_STATE_HYBRID; {
		if time.Now().After(end) {
			t.Fatal("the join does not go on by itself")
		}
		if err := w.lab.Advance(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	if d := w.only(); d.GetTrustType() != "ServerAd" || d.GetDeviceId() != computer().ID || !d.GetEnabled() {
		t.Errorf("the directory has %v", d)
	}
}

// TestREG15_TheStatusSaysWhatAHybridJoinWaitsFor, with the code that people look up, and
// over HTTPS the status of the answer.
func TestREG15_TheStatusSaysWhatAHybridJoinWaitsFor(t *testing.T) {
	for name, https := range map[string]bool{"gRPC": false, "HTTPS": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, lab.Config{TPM: "mem:", HTTPS: https})
			describe := func() *dsregv1.RegistrationAttempt {
				t.Helper()
				d, err := dsregv1.NewDiagnosticsServiceClient(w.device.Operator.Dsreg).DescribeRegistration(t.Context(), &dsregv1.DescribeRegistrationRequest{})
				if err != nil {
					t.Fatal(err)
				}
				return d.GetLastAttempt()
			}
			if pending, err := w.device.Operator.JoinHybrid(t.Context(), computer()); err != nil || !pending {
				t.Fatalf("pending %v, %v", pending, err)
			}
			a := describe()
			if a.GetClientErrorCode() != 0x801c03f2 || a.GetServerErrorCode() != "DirectoryError" || a.GetErrorPhase() != "join" || a.GetRegistrationType() != "sync" || !a.GetPending() || a.GetRequestId() == "" {
				t.Errorf("before the sync: %v", a)
			}
			if want := map[bool]uint32{false: 0, true: 404}[https]; a.GetHttpsStatus() != want {
				t.Errorf("HTTPS status %d, want %d", a.GetHttpsStatus(), want)
			}
			w.sync()
			if pending, err := w.device.Operator.JoinHybrid(t.Context(), computer()); err != nil || pending {
				t.Fatalf("the same call after the sync: pending %v, %v", pending, err)
			}
			if a := describe(); a.GetClientErrorCode() != 0 || a.GetErrorPhase() != "" || a.GetPending() {
				t.Errorf("after the sync: %v", a)
			}
		})
	}
}

func TestREG21_PRO08_AHybridDeviceRecoversInSilence(t *testing.T) {
	for name, https := range map[string]bool{"gRPC": false, "HTTPS": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, lab.Config{TPM: "mem:", HTTPS: https})
			w.joinHybrid()
			alice := w.signIn(w.device)
			w.mustToken(alice)
			before := w.state(w.device)
			if !before.GetDomainJoined() || !before.GetAzureAdJoined() || before.GetDeviceId() != computer().ID {
				t.Errorf("state %v", before)
			}
			w.wipe()
			if _, err := w.as("bob"); prterr.KindOf(err) != prterr.KeysLost || !strings.Contains(err.Error(), "sync of its domain") {
				t.Fatalf("before the sync: %v", err)
			}
			if s := w.state(w.device); !s.GetAadRecoveryEnabled() || s.GetKeySignTest() != dsregv1.KeySignTest_KEY_SIGN_TEST_FAILED {
				t.Errorf("state %v", s)
			}
			w.sync()
			bob, err := w.as("bob")
			if err != nil {
				t.Fatal(err)
			}
			if w.mustToken(bob) == "" {
				t.Error("no token")
			}
			after := w.state(w.device)
			if after.GetDeviceId() != before.GetDeviceId() || after.GetCertificateThumbprint() == before.GetCertificateThumbprint() || after.GetAadRecoveryEnabled() {
				t.Errorf("before %v\nafter %v", before, after)
			}
			if n := w.asked("RequestRegistrationToken") + w.asked("RecoverDevice"); n != 0 {
				t.Errorf("a user was asked %d times", n)
			}
			if _, err := w.token(w.device, alice); err == nil {
				t.Error("the PRT of the lost keys still gives tokens")
			}
			again := w.signIn(w.device)
			w.settle(w.device)
			if w.mustToken(again) == "" {
				t.Error("no token for who was there before")
			}
		})
	}
}

func TestREG22_AJoinedDeviceIsRecoveredByAnAdministratorOnly(t *testing.T) {
	for name, https := range map[string]bool{"gRPC": false, "HTTPS": true} {
		for _, administrator := range []string{"alice", "admin"} { // who joined it, and who administers the tenant
			t.Run(name+" "+administrator, func(t *testing.T) {
				w := newWorld(t, lab.Config{TPM: "mem:", HTTPS: https})
				w.join(w.device)
				w.signIn(w.device)
				before := w.state(w.device)
				w.wipe()
				if _, err := w.as("bob"); prterr.KindOf(err) != prterr.KeysLost || !strings.Contains(err.Error(), "administrator of the device") {
					t.Fatalf("a sign-in: %v", err)
				}
				bob, p := demo.People()["bob"], demo.People()[administrator]
				if _, err := w.device.Operator.Recover(t.Context(), bob.UPN, bob.Password); prterr.KindOf(err) != prterr.Denied {
					t.Errorf("by a user who is no administrator: %v", err)
				}
				if s := w.state(w.device); s.GetDeviceId() != before.GetDeviceId() || !s.GetAadRecoveryEnabled() {
					t.Errorf("state %v", s)
				}
				got, err := w.device.Operator.Recover(t.Context(), p.UPN, p.Password)
				if err != nil {
					t.Fatal(err)
				}
				if got.GetLeftBehindDeviceId() != "" || w.only().GetDeviceId() != got.GetDeviceId() {
					t.Errorf("the old device is still at the tenant: %v", w.directory())
				}
				s := w.state(w.device)
				if s.GetDeviceId() != got.GetDeviceId() || s.GetDeviceId() == before.GetDeviceId() || !s.GetAzureAdJoined() || s.GetAadRecoveryEnabled() {
					t.Errorf("before %v\nafter %v", before, s)
				}
				desktop, err := w.as("bob")
				if err != nil {
					t.Fatal(err)
				}
				if w.mustToken(desktop) == "" {
					t.Error("no token")
				}
			})
		}
	}
}

// spoil damages the blob of one key of the device on disk.
func (w *world) spoil(key string) {
	w.t.Helper()
	found, err := filepath.Glob(filepath.Join(w.device.StateDir("tpm-agent"), "*.keyset"))
	if err != nil || len(found) == 0 {
		w.t.Fatalf("%d key sets, %v", len(found), err)
	}
	for _, path := range found {
		var set map[string]any
		raw, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(raw, &set)
		}
		if err != nil {
			w.t.Fatal(err)
		}
		blob := set[key].(map[string]any)
		text := []byte(blob["private"].(string))
		at := len(text) / 2
		text[at] = map[bool]byte{true: 'B', false: 'A'}[text[at] == 'A']
		blob["private"] = string(text)
		if raw, err = json.Marshal(set); err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
}

func TestREG23_ADamagedKeyIsFoundAndTheNextSignInStartsRecovery(t *testing.T) {
	// What signs a request, and what opens its answer in each form of session keys.
	for key, native := range map[string]bool{"device": false, "transport": false, "storage": true} {
		t.Run(key, func(t *testing.T) {
			w := newWorld(t, lab.Config{NativeSessionKeys: native})
			w.join(w.device)
			w.signIn(w.device)
			w.spoil(key)
			for _, component := range []string{"tpm-agent", "dsreg"} {
				if err := w.device.Restart(t.Context(), component); err != nil {
					t.Fatal(err)
				}
			}
			for end := time.Now().Add(patience); w.state(w.device).GetKeySignTest() == dsregv1.KeySignTest_KEY_SIGN_TEST_NOT_RUN; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("the keys are not tested after a start")
				}
			}
			if s := w.state(w.device); s.GetKeySignTest() != dsregv1.KeySignTest_KEY_SIGN_TEST_FAILED || !s.GetAadRecoveryEnabled() {
				t.Errorf("state %v", s)
			}
			if _, err := w.as("bob"); prterr.KindOf(err) != prterr.KeysLost || !strings.Contains(err.Error(), "administrator of the device") {
				t.Errorf("the next sign-in: %v", err)
			}
			if w.asked("StartRecovery") == 0 {
				t.Error("no recovery was started")
			}
			p := demo.People()["alice"]
			if _, err := w.device.Operator.Recover(t.Context(), p.UPN, p.Password); err != nil {
				t.Fatal(err)
			}
			if s := w.state(w.device); s.GetAadRecoveryEnabled() {
				t.Errorf("after the recovery: %v", s)
			}
			if _, err := w.as("bob"); err != nil {
				t.Error(err)
			}
		})
	}
}
