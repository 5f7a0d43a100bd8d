package acceptance_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

func TestREG14_TheSignInIssuesThePRTNotTheJoin(t *testing.T) {
	w := newWorld(t, lab.Config{TPM: "mem:"})
	w.join(w.device)
	issued := func() bool {
		return slices.ContainsFunc(w.lab.Recorder().All(), func(s spanOf) bool { return s.Step == stepv1.Step_STEP_FIRST_SIGN_IN_E })
	}
	if parts, err := w.device.Operator.SSOState(t.Context()); err != nil || len(parts) != 0 || issued() {
		t.Fatalf("after the join: %v, %v, issued %v", parts, err, issued())
	}
	w.signIn(w.device)
	if w.prt(w.device); !issued() {
		t.Error("no PRT was issued at the sign-in")
	}
}

func TestREG07_TheDirectoryKnowsTheJoinedDevice(t *testing.T) {
	w := newWorld(t, lab.Config{TPM: "mem:"})
	w.join(w.device)
	id, err := w.device.ID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := w.lab.Dial(t.Context(), "operator", "idp")
	if err != nil {
		t.Fatal(err)
	}
	list, err := directoryv1.NewReadServiceClient(conn).ListDevices(t.Context(), &directoryv1.ListDevicesRequest{TenantId: "6babcaad-604b-40ac-a9d7-9fd97c0b779f"})
	if err != nil || len(list.GetDevices()) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	d := list.GetDevices()[0]
	if d.GetDeviceId() != id || !d.GetEnabled() || d.GetRegisteredBy() != w.tenant.User || len(d.GetTransportPublicKey()) != 283 {
		t.Errorf("the directory has %v", d)
	}
}

func TestREG20_ANewRegistrationKillsTheOldPRTAndCookie(t *testing.T) {
	w := newWorld(t, lab.Config{TPM: "mem:"})
	w.join(w.device)
	desktop := w.signIn(w.device)
	old := w.browse(w.device, desktop, secret.Text{})
	before, _ := w.device.ID(t.Context())
	w.join(w.device)
	if after, _ := w.device.ID(t.Context()); after == before {
		t.Error("the device kept its id")
	}
	if _, err := w.token(w.device, desktop); err == nil {
		t.Error("the old PRT still gives tokens")
	}
	if v := w.browse(w.device, desktop, old.Cookie); !v.SignInPage || !v.Sent.Empty() {
		t.Error("the old PRT still makes cookies")
	}
	// The next sign-in opens the desktop from the cache, finds that the keys are of
	// a former registration, and gets a new PRT behind it.
	again := w.signIn(w.device)
	w.settle(w.device)
	if w.mustToken(again) == "" {
		t.Error("no token after a new sign-in")
	}
}

// TestISS13_ACopiedCacheIsUselessOnAnotherDevice: it is of another membership, and with
// that changed it opens a desktop offline and no more: the keys are in another TPM.
func TestISS13_ACopiedCacheIsUselessOnAnotherDevice(t *testing.T) {
	w := newWorld(t, lab.Config{TPM: "mem:"})
	w.join(w.device)
	w.signIn(w.device)
	offline := func(d *lab.Device, off bool) { // so that nothing new can be had
		if err := d.SetOffline(off); err != nil {
			t.Fatal(err)
		}
	}
	receiver, thief := w.addDevice(), w.addDevice()
	w.join(receiver)
	w.copyCacheTo(receiver, false)
	offline(receiver, true)
	if _, _, err := receiver.LogonUI.SignIn(t.Context(), w.tenant.User, w.tenant.Password); err == nil || !strings.Contains(err.Error(), "left its tenant, or joined anew") {
		t.Errorf("with the copy as it is: %v", err)
	}
	w.join(thief)
	w.copyCacheTo(thief, true)
	offline(thief, true)
	desktop := w.signIn(thief)
	offline(thief, false)
	if _, err := w.token(thief, desktop); prterr.KindOf(err) != prterr.KeysLost && prterr.KindOf(err) != prterr.Denied {
		t.Errorf("the copied PRT: %v", err)
	}
	if v, err := thief.Browser.Open(t.Context(), desktop, w.tenant.Page, secret.Text{}); err == nil && !v.SignInPage {
		t.Error("the copied PRT signed a browser in")
	}
}

// copyCacheTo puts the cache of the first device on another one, as it is or forged: as if
// it had been obtained as a member of that.
func (w *world) copyCacheTo(d *lab.Device, forged bool) {
	w.t.Helper()
	dir := d.StateDir("lsa-cloudap")
	err := d.Stop("lsa-cloudap")
	if err == nil {
		err = os.CopyFS(dir, os.DirFS(w.device.StateDir("lsa-cloudap")))
	}
	if err == nil && forged {
		err = os.Remove(filepath.Join(dir, "manifest.json"))
	}
	if err != nil {
		w.t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "partitions", "*.json"))
	if len(files) != 1 {
		w.t.Fatalf("%d partitions", len(files))
	}
	if forged {
		var file map[string]any
		readJSON(w.t, files[0], &file)
		file["membership_id"] = w.state(d).GetMembershipId()
		writeJSON(w.t, files[0], file)
	}
	if err := d.Resume(w.t.Context(), "lsa-cloudap"); err != nil {
		w.t.Fatal(err)
	}
}

func TestISS10_TokensCarryTheDevice(t *testing.T) {
	w := newWorld(t, lab.Config{TPM: "mem:"})
	w.join(w.device)
	desktop := w.signIn(w.device)
	id, _ := w.device.ID(t.Context())
	got := claims[struct {
		DeviceID string `json:"deviceid"`
		Aud      string `json:"aud"`
		AppID    string `json:"appid"`
	}](t, w.mustToken(desktop))
	if got.DeviceID != id || got.Aud != w.tenant.Resource || got.AppID != w.tenant.App {
		t.Errorf("claims %+v, device %s", got, id)
	}
}

// TestISS13_NoClearKeyOrTokenOnDisk searches every file of the device for what a
// thief of the disk would want.
func TestISS13_NoClearKeyOrTokenOnDisk(t *testing.T) {
	w := newWorld(t, lab.Config{})
	w.join(w.device)
	desktop := w.signIn(w.device)
	token := w.mustToken(desktop)
	secrets := map[string]string{"password": w.tenant.Password.Reveal(), "access token": token, "logon session": desktop.Session.Reveal()}
	root := filepath.Dir(w.device.StateDir("lsa-cloudap"))
	files := 0
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		for what, s := range secrets {
			if strings.Contains(string(b), s) {
				t.Errorf("%s holds the %s", path, what)
			}
		}
		return err
	})
	if err != nil || files < 6 {
		t.Errorf("%d files read, %v", files, err)
	}
}

func (w *world) mustToken(desktop desktopOf) string {
	w.t.Helper()
	token, err := w.token(w.device, desktop)
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}
