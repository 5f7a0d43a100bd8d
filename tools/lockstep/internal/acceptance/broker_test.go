package acceptance_test

import (
	"testing"
	"time"

	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// A public client of every tenant that knows of no broker, and an app that uses
// one and has not been seen on the device before.
const (
	azureCLI    = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
	azureCLIURI = "http://localhost"
	teams       = "1fec8e78-bce4-4aaf-ab1b-5451cc387264"
)

// oldPRT brings the device to a PRT that is older than the renewal cycle: at the
// time of the renewal it had no network.
func (w *world) oldPRT() (desktop desktopOf, digest string, at time.Time) {
	w.t.Helper()
	w.join(w.device)
	desktop = w.signIn(w.device)
	if err := w.device.SetOffline(true); err != nil {
		w.t.Fatal(err)
	}
	if err := w.lab.Advance(w.t.Context(), 4*time.Hour+time.Minute); err != nil {
		w.t.Fatal(err)
	}
	w.until(w.device, "the renewal without a network failed", func(p *lsav1.PartitionState) bool { return p.GetLastError() != "" })
	if err := w.device.SetOffline(false); err != nil {
		w.t.Fatal(err)
	}
	digest, at = w.prt(w.device)
	return desktop, digest, at
}

// renewals counts what the identity provider renewed for CloudAP.
func (w *world) renewals() (n int) {
	for _, s := range w.lab.Recorder().All() {
		if s.Step == stepv1.Step_STEP_RENEWAL_F {
			n++
		}
	}
	return n
}

func TestAPP13_OnlyABrokerClientRenewsThePRT(t *testing.T) {
	w := newWorld(t, lab.Config{TPM: "mem:", HTTPS: true})
	desktop, prt, at := w.oldPRT()
	unchanged := func(after string) {
		t.Helper()
		if p, a := w.prt(w.device); p != prt || !a.Equal(at) {
			t.Fatalf("the PRT changed after %s: %v, then %v", after, at, a)
		}
	}
	plain, err := w.lab.PlainApp(azureCLI, azureCLIURI)
	if err != nil {
		t.Fatal(err)
	}
	scope := w.tenant.Resource + "/.default offline_access"
	tokens, err := plain.SignIn(t.Context(), w.tenant.User, w.tenant.Password, scope)
	if err != nil {
		t.Fatal(err)
	}
	unchanged("a plain sign-in")
	if tokens, err = plain.Renew(t.Context(), tokens, scope); err != nil {
		t.Fatal(err)
	}
	unchanged("a plain renewal")
	got := claims[struct {
		AppID    string `json:"appid"`
		UPN      string `json:"upn"`
		DeviceID string `json:"deviceid"`
	}](t, tokens.Access.Reveal())
	if got.AppID != azureCLI || got.UPN != w.tenant.User || got.DeviceID != "" {
		t.Errorf("the plain token says %+v", got)
	}

	if _, _, err := w.device.App(teams).Token(t.Context(), desktop, w.tenant.Resource, true); err != nil {
		t.Fatal(err)
	}
	if p, a := w.prt(w.device); p == prt || !a.After(at) {
		t.Errorf("the broker's request left the PRT of %v", at)
	}
	if n := w.renewals(); n != 0 {
		t.Errorf("CloudAP renewed %d times, so the broker's request proves nothing", n)
	}
}
