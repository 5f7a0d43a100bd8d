package idp_test

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// change changes the record of a device.
func (d *device) change(t testing.TB, f func(*store.Device)) {
	t.Helper()
	if err := d.w.svc.Store().UpdateDevice(context.Background(), ids.DeviceID(d.id), func(r *store.Device) error { f(r); return nil }); err != nil {
		t.Fatal(err)
	}
}

// TestT9_TheSameRegistrationIsOneDevice asks again, with a new token, as after an answer
// that was lost, and all at once, as when a request is delivered several times.
func TestT9_TheSameRegistrationIsOneDevice(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 2)
	w.unchanged(t, func() {
		if again := w.join(t, alice, alicePassword, 1, 2); again.id != d.id || !bytes.Equal(again.cert, d.cert) {
			t.Errorf("asked again, it is %s and was %s", again.id, d.id)
		}
	})
	r := w.newDevice(3, 4).enrolment(t, alice, alicePassword)
	var group sync.WaitGroup
	answers := make([][]byte, 8)
	for i := range answers {
		group.Go(func() {
			a, err := w.devices.RegisterDevice(context.Background(), r)
			if err != nil {
				t.Error(err)
			}
			answers[i] = a.GetCertificate()
		})
	}
	group.Wait()
	for _, a := range answers {
		if !bytes.Equal(a, answers[0]) {
			t.Error("one request has made several devices")
		}
	}
	if err := d.first(t, alice, alicePassword).use(t); err != nil {
		t.Error(err)
	}
}

// TestT9_AnotherRegistrationIsAnotherDevice: whatever is not the same request, of the same
// user, for a device that nobody has touched, gets a device of its own, and the one that
// is there stays as it is.
func TestT9_AnotherRegistrationIsAnotherDevice(t *testing.T) {
	for name, c := range map[string]struct {
		user, password string
		tk             int
		between        func(*testing.T, *device, *clock.Lab)
		ask            func(*idpv1.RegisterDeviceRequest)
	}{
		"of another user":       {user: bob, password: bobPassword},
		"another transport key": {tk: 3},
		"another kind":          {ask: func(r *idpv1.RegisterDeviceRequest) { r.JoinType = idpv1.JoinType_JOIN_TYPE_REGISTER }},
		"too late":              {between: func(_ *testing.T, _ *device, lab *clock.Lab) { lab.Advance(10 * time.Minute) }},
		"it has signed in": {between: func(t *testing.T, d *device, _ *clock.Lab) {
			d.first(t, alice, alicePassword)
		}},
		"it is disabled": {between: func(t *testing.T, d *device, _ *clock.Lab) { d.change(t, func(r *store.Device) { r.Enabled = false }) }},
		"it is managed":  {between: func(t *testing.T, d *device, _ *clock.Lab) { d.change(t, func(r *store.Device) { r.Managed = true }) }},
		"its keys are better protected": {between: func(t *testing.T, d *device, _ *clock.Lab) {
			d.change(t, func(r *store.Device) { r.KeyProtection = store.ProtectionHardware })
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w, lab := labWorld(t, idp.Config{})
			d := w.join(t, alice, alicePassword, 1, 2)
			if c.between != nil {
				c.between(t, d, lab)
			}
			before, err := w.svc.Store().Device(context.Background(), ids.DeviceID(d.id))
			if err != nil {
				t.Fatal(err)
			}
			if c.user == "" {
				c.user, c.password = alice, alicePassword
			}
			next := w.newDevice(1, max(c.tk, 2))
			r := next.enrolment(t, c.user, c.password)
			if c.ask != nil {
				c.ask(r)
			}
			a, err := w.register(r)
			if err != nil {
				t.Fatal(err)
			}
			if next.adopt(t, a.GetCertificate()); next.id == d.id {
				t.Error("it is the device that was there")
			}
			after, err := w.svc.Store().Device(context.Background(), ids.DeviceID(d.id))
			if err != nil || !bytes.Equal(after.Certificate, before.Certificate) || after.RegisteredBy != before.RegisteredBy || after.Enabled != before.Enabled {
				t.Errorf("the device that was there has changed: %v", err)
			}
		})
	}
}
