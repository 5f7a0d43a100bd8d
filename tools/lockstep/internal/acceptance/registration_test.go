package acceptance_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// contoso is the tenant of the lab's user.
const contoso = "6babcaad-604b-40ac-a9d7-9fd97c0b779f"

// owner signs in to the device with an account of its own.
func (w *world) owner(d *lab.Device, name string) actor.Desktop {
	w.t.Helper()
	password := secret.NewText("local " + name)
	if _, err := d.Operator.PutLocalAccount(w.t.Context(), name, password); err != nil {
		w.t.Fatal(err)
	}
	desktop, _, err := d.LogonUI.SignIn(w.t.Context(), name, password)
	if err != nil {
		w.t.Fatal(err)
	}
	return desktop
}

// settings adds the user's work account as the settings do, prompt as an app's
// first sign-in does; both answer with the id of the device.
func (w *world) settings(d *lab.Device, desktop actor.Desktop) (string, error) {
	resp, err := d.Settings.Connect(w.t.Context(), desktop, w.tenant.User, w.tenant.Password)
	if err == nil && !resp.GetPrtObtained() {
		w.t.Error("the settings added an account without its PRT")
	}
	return resp.GetDeviceId(), err
}

func (w *world) prompt(d *lab.Device, desktop actor.Desktop) (string, error) {
	resp, err := d.App(w.tenant.App).AddWorkAccount(w.t.Context(), desktop, w.tenant.User, w.tenant.Password, true)
	if err == nil && !resp.GetPrtObtained() {
		w.t.Error("the prompt added an account without its PRT")
	}
	if err == nil && !resp.GetRegistered() {
		w.t.Error("the answer to a consent says that nothing was registered")
	}
	return resp.GetDeviceId(), err
}

func (w *world) state(d *lab.Device) *dsregv1.GetDeviceStateResponse {
	w.t.Helper()
	s, err := d.Operator.DeviceState(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) directory() []*directoryv1.Device {
	w.t.Helper()
	conn, err := w.lab.Dial(w.t.Context(), "operator", "idp")
	if err != nil {
		w.t.Fatal(err)
	}
	list, err := directoryv1.NewReadServiceClient(conn).ListDevices(w.t.Context(), &directoryv1.ListDevicesRequest{TenantId: contoso})
	if err != nil {
		w.t.Fatal(err)
	}
	return list.GetDevices()
}

// isRegistered sees that the device and the tenant agree that it is registered,
// and returns both without what differs from device to device.
func (w *world) isRegistered(d *lab.Device, id string) (*dsregv1.GetDeviceStateResponse, *directoryv1.Device) {
	w.t.Helper()
	s := w.state(d)
	if !s.GetWorkplaceJoined() || s.GetAzureAdJoined() || s.GetDomainJoined() || s.GetJoinState() != dsregv1.JoinState_JOIN_STATE_REGISTERED {
		w.t.Errorf("WorkplaceJoined %v, AzureAdJoined %v, DomainJoined %v", s.GetWorkplaceJoined(), s.GetAzureAdJoined(), s.GetDomainJoined())
	}
	if id == "" || s.GetDeviceId() != id || s.GetTenantId() != contoso || s.GetJoinedBy() != w.tenant.User || s.GetDisplayName() == "" {
		w.t.Errorf("registered %s, the device says %v", id, s)
	}
	list := w.directory()
	if len(list) != 1 || list[0].GetDeviceId() != id || list[0].GetCertificateThumbprint() != s.GetCertificateThumbprint() {
		w.t.Fatalf("the directory has %v", list)
	}
	if list[0].GetTrustType() != "Workplace" || list[0].GetRegisteredBy() != w.tenant.User || !list[0].GetEnabled() {
		w.t.Errorf("the directory has %v", list)
	}
	s.DeviceId, s.MembershipId, s.CertificateThumbprint, s.CertificateNotBefore, s.CertificateNotAfter = "", "", "", nil, nil
	t := list[0]
	t.DeviceId, t.CertificateThumbprint, t.RegisteredAt, t.DevicePublicKey, t.TransportPublicKey = "", "", nil, nil, nil
	return s, t
}

func TestREG08_REG09_PromptAndSettingsEndInTheSameState(t *testing.T) {
	var states []*dsregv1.GetDeviceStateResponse
	var known []*directoryv1.Device
	for name, c := range map[string]struct {
		register func(*world, *lab.Device, actor.Desktop) (string, error)
		https    bool
	}{
		"REG08": {(*world).prompt, false}, "REG08 over HTTPS": {(*world).prompt, true},
		"REG09": {(*world).settings, false}, "REG09 over HTTPS": {(*world).settings, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, lab.Config{TPM: "mem:", HTTPS: c.https})
			desktop := w.owner(w.device, "maria")
			id, err := c.register(w, w.device, desktop)
			if err != nil {
				t.Fatal(err)
			}
			s, d := w.isRegistered(w.device, id)
			if s.GetAttestedProtection() != "emulated" || d.GetKeyProtection() != "emulated" {
				t.Errorf("attested %q, the directory has %q", s.GetAttestedProtection(), d.GetKeyProtection())
			}
			states, known = append(states, s), append(known, d)
			if err := w.device.Restart(t.Context(), "dsreg"); err != nil {
				t.Fatal(err)
			}
			w.isRegistered(w.device, id)
			// The same account once more is a new PRT and no second registration.
			for way, again := range map[string]func(*lab.Device, actor.Desktop) (string, error){"prompt": w.prompt, "settings": w.settings} {
				if same, err := again(w.device, desktop); err != nil || same != id {
					t.Errorf("added again by %s: device %s, %v", way, same, err)
				}
			}
			w.isRegistered(w.device, id)
			if parts, err := w.device.Operator.SSOState(t.Context()); err != nil || len(parts) != 0 {
				t.Errorf("CloudAP has %v, %v", parts, err)
			}
			if c.https { // there a device is removed by a certificate in TLS, which the carrier has not
				return
			}
			if err := w.device.Operator.Leave(t.Context()); err != nil {
				t.Fatal(err)
			}
			if s := w.state(w.device); s.GetJoinState() != dsregv1.JoinState_JOIN_STATE_NONE || s.GetWorkplaceJoined() || len(w.directory()) != 0 {
				t.Errorf("after leaving: %v, directory %v", s, w.directory())
			}
		})
	}
	if len(states) != 4 {
		t.Fatalf("%d ways", len(states))
	}
	for i := range states {
		if !proto.Equal(states[0], states[i]) || !proto.Equal(known[0], known[i]) {
			t.Errorf("the ways end differently:\n%v\n%v", states, known)
		}
	}
}

func TestREG08_WithoutConsentNothingIsRegistered(t *testing.T) {
	w := newWorld(t, lab.Config{TPM: "mem:"})
	resp, err := w.device.App(w.tenant.App).AddWorkAccount(t.Context(), w.owner(w.device, "maria"), w.tenant.User, w.tenant.Password, false)
	if err != nil || resp.GetRegistered() || resp.GetDeviceId() != "" || resp.GetTenantId() != "" {
		t.Errorf("got %v, %v", resp, err)
	}
	if s := w.state(w.device); s.GetJoinState() != dsregv1.JoinState_JOIN_STATE_NONE || s.GetWorkplaceJoined() || len(w.directory()) != 0 {
		t.Errorf("state %v, directory %v", s, w.directory())
	}
}

func TestREG08_AJoinedDeviceIsNotRegistered(t *testing.T) {
	w := newWorld(t, lab.Config{TPM: "mem:"})
	w.join(w.device)
	before := w.state(w.device)
	desktop := w.owner(w.device, "maria")
	for name, register := range map[string]func(*lab.Device, actor.Desktop) (string, error){"prompt": w.prompt, "settings": w.settings} {
		if _, err := register(w.device, desktop); prterr.KindOf(err) != prterr.Conflict || !strings.Contains(err.Error(), "joined to a tenant") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after := w.state(w.device); !proto.Equal(before, after) || !after.GetAzureAdJoined() || after.GetWorkplaceJoined() || len(w.directory()) != 1 {
		t.Errorf("before %v\nafter %v, directory %v", before, after, w.directory())
	}
	if w.mustToken(w.signIn(w.device)) == "" {
		t.Error("the joined device does not work any more")
	}
}

// prtRequests counts what asked the identity provider for a PRT.
func (w *world) prtRequests() (n int) {
	for _, s := range w.lab.Recorder().All() {
		if slices.Contains([]stepv1.Step{
			stepv1.Step_STEP_FIRST_SIGN_IN_D, stepv1.Step_STEP_FIRST_SIGN_IN_E, stepv1.Step_STEP_RENEWAL_E, stepv1.Step_STEP_RENEWAL_F,
		}, s.Step) {
			n++
		}
	}
	return n
}

// issued counts the PRTs that the identity provider's log says it issued.
func (w *world) issued() (n int) {
	for _, s := range w.signIns() {
		if s.GetFlow() == "issue_prt" && s.GetOutcome() == "success" {
			n++
		}
	}
	return n
}

func TestREG11_SignInOnARegisteredDeviceAsksForNoPRT(t *testing.T) {
	t.Run("first sign-in", func(t *testing.T) {
		w := newWorld(t, lab.Config{TPM: "mem:"})
		desktop := w.owner(w.device, "maria")
		if _, err := w.settings(w.device, desktop); err != nil {
			t.Fatal(err)
		}
		if err := w.device.LogonUI.SignOut(t.Context(), desktop); err != nil {
			t.Fatal(err)
		}
		issued, before := w.issued(), w.prtRequests()
		w.owner(w.device, "maria")
		if n := w.issued() - issued; n != 0 {
			t.Errorf("a local sign-in asked for %d PRTs", n)
		}
		_, _, err := w.device.LogonUI.SignIn(t.Context(), w.tenant.User, w.tenant.Password)
		if prterr.KindOf(err) != prterr.Conflict || !strings.Contains(err.Error(), "registered, not joined") {
			t.Errorf("got %v", err)
		}
		if n := w.prtRequests() - before + w.issued() - issued; n != 0 {
			t.Errorf("%d requests of a PRT", n)
		}
	})
	// The user once signed in when the device was joined, so the cache knows her.
	t.Run("from the cache", func(t *testing.T) {
		w := newWorld(t, lab.Config{TPM: "mem:"})
		w.join(w.device)
		desktop := w.signIn(w.device)
		before := w.prtRequests()
		if before == 0 {
			t.Fatal("the rows of a PRT request are not seen")
		}
		if err := w.device.LogonUI.SignOut(t.Context(), desktop); err != nil {
			t.Fatal(err)
		}
		if err := w.device.Operator.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := w.prompt(w.device, w.owner(w.device, "maria")); err != nil {
			t.Fatal(err)
		}
		before = w.prtRequests() // WAM's own at the registration is among them
		desktop, _, err := w.device.LogonUI.SignIn(t.Context(), w.tenant.User, w.tenant.Password)
		if err == nil {
			w.settle(w.device)
			if _, err := w.token(w.device, desktop); err == nil {
				t.Error("the PRT of the former join gives tokens")
			}
		}
		if n := w.prtRequests(); n != before {
			t.Errorf("%d more rows of a PRT request", n-before)
		}
	})
}
