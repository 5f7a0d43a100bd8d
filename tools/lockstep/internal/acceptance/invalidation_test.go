package acceptance_test

import (
	"fmt"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// remove deletes the device at the tenant.
func (w *world) remove() {
	w.t.Helper()
	id, err := w.device.ID(w.t.Context())
	if err == nil {
		_, err = w.admin().RemoveDevice(w.t.Context(), &directoryv1.RemoveDeviceRequest{DeviceId: id})
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestINV06_INV08_INV17_ADeviceThatIsNoMore: on the whole system, over both carriers, in the profile of today and in strict.
// What needs the PRT is refused, apps and the browser alike; the refresh token that an app
// has lives on in today, without the device in what it brings, and dies in strict.
func TestINV06_INV08_INV17_ADeviceThatIsNoMore(t *testing.T) {
	const otherApp = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
	for profile, strict := range map[string]bool{"today": false, "strict": true} {
		for carrier, https := range map[string]bool{"gRPC": false, "HTTPS": true} {
			for what, end := range map[string]struct {
				happens func(*world)
				code    aadsts.Code
			}{
				"disabled": {func(w *world) { w.enable(false) }, aadsts.DeviceDisabled},
				"deleted":  {(*world).remove, aadsts.DeviceAuthenticationFailed},
			} {
				t.Run(fmt.Sprint(profile, ", ", carrier, ", ", what), func(t *testing.T) {
					cfg := lab.Config{TPM: "mem:", HTTPS: https}
					if strict {
						cfg.Tenants = strictTenants(t)
					}
					w := newWorld(t, cfg)
					w.join(w.device)
					desktop := w.signIn(w.device)
					if c := claims[deviceOf](t, w.mustToken(desktop)); c.DeviceID == "" {
						t.Fatal("a token of the device does not name it")
					}
					visit := w.browse(w.device, desktop, actor.Visit{}.Cookie)
					if visit.SignInPage {
						t.Fatal("the browser was asked before anything happened")
					}
					end.happens(w)
					_, _, err := w.device.App(otherApp).Token(t.Context(), desktop, w.tenant.Resource, true)
					if prterr.CodeOf(err) != end.code {
						t.Errorf("an app that comes with the PRT: %v", err)
					}
					for name, cookie := range map[string]actor.Visit{"a new browser": {}, "the browser that was in": visit} {
						if !w.browse(w.device, desktop, cookie.Cookie).SignInPage {
							t.Errorf("%s was let in", name)
						}
					}
					token, err := w.token(w.device, desktop)
					switch {
					case strict && prterr.CodeOf(err) != end.code:
						t.Errorf("the app with a refresh token: %v", err)
					case !strict && err != nil:
						t.Errorf("the app with a refresh token: %v", err)
					case !strict && claims[deviceOf](t, token).DeviceID != "":
						t.Error("a token names a device that is no more")
					}
				})
			}
		}
	}
}

// deviceOf is the claim of a token that names its device.
type deviceOf struct {
	DeviceID string `json:"deviceid"`
}
