// Package acceptance_test proves requirements on the whole system: all components,
// each behind its own server, on soft TPMs, through the doors that people, apps and
// browsers use. Each test carries the id of the row it proves.
package acceptance_test

import (
	"context"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/demo"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// patience bounds every wait for the background.
const patience = 20 * time.Second

// world is a lab with one device.
type world struct {
	t      testing.TB
	lab    *lab.Lab
	device *lab.Device
	tenant demo.Tenant
}

func newWorld(t testing.TB, cfg lab.Config) *world {
	t.Helper()
	l, err := lab.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{t: t, lab: l, tenant: demo.DefaultTenant()}
	w.device = w.addDevice()
	return w
}

func (w *world) addDevice() *lab.Device {
	w.t.Helper()
	d, err := w.lab.AddDevice(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

func (w *world) join(d *lab.Device) {
	w.t.Helper()
	if _, err := d.Operator.Join(w.t.Context(), w.tenant.User, w.tenant.Password, "DESKTOP"); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) signIn(d *lab.Device) actor.Desktop {
	w.t.Helper()
	desktop, _, err := d.LogonUI.SignIn(w.t.Context(), w.tenant.User, w.tenant.Password)
	if err != nil {
		w.t.Fatal(err)
	}
	return desktop
}

// token asks for a token that does not come from the broker's memory.
func (w *world) token(d *lab.Device, desktop actor.Desktop) (string, error) {
	resp, _, err := d.App(w.tenant.App).Token(w.t.Context(), desktop, w.tenant.Resource, true)
	return resp.GetAccessToken(), err
}

func (w *world) browse(d *lab.Device, desktop actor.Desktop, cookie secret.Text) actor.Visit {
	w.t.Helper()
	v, err := d.Browser.Open(w.t.Context(), desktop, w.tenant.Page, cookie)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// prt is the digest of the one PRT on the device and when it came.
func (w *world) prt(d *lab.Device) (string, time.Time) {
	w.t.Helper()
	parts, err := d.Operator.SSOState(w.t.Context())
	if err != nil || len(parts) != 1 {
		w.t.Fatalf("%d partitions, %v", len(parts), err)
	}
	return parts[0].GetPrtDigest(), parts[0].GetPrtUpdateTime().AsTime()
}

// settle waits until no renewal runs.
func (w *world) settle(d *lab.Device) {
	w.t.Helper()
	w.until(d, "no renewal runs", nil)
}

// until waits until no renewal runs and every partition is as wanted.
func (w *world) until(d *lab.Device, what string, wanted func(*lsav1.PartitionState) bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if err := d.Operator.AwaitSSOState(ctx, wanted); err != nil {
		w.t.Fatalf("waiting until %s: %v", what, err)
	}
}

// claims reads a token that the test does not need to trust.
func claims[T any](t testing.TB, token string) T {
	t.Helper()
	tok, err := jose.Parse(token)
	if err != nil {
		t.Fatal(err)
	}
	var c T
	if err := tok.Claims(&c); err != nil {
		t.Fatal(err)
	}
	return c
}
