package dsreg_test

import (
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
)

// hurried lets the lab's clock run ahead while something waits for it.
func (w *world) hurried(do func()) {
	w.t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); do() }()
	for {
		select {
		case <-done:
			return
		case <-time.After(5 * time.Millisecond):
			w.clock.Advance(100 * time.Millisecond)
		}
	}
}

// TestFLT07_AReplicaThatDoesNotKnowANewDevice yet is asked again, for the requests that the
// device proves; what the tenant says of a device that is not new stands at once.
func TestFLT07_AReplicaThatDoesNotKnowANewDevice(t *testing.T) {
	for name, c := range proven() {
		if name == "status" {
			continue // TestFLT07_TheStatusOfANewDevice
		}
		for _, hidden := range []int{1, 4} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t)
				onSoftware(w)
				w.idp.set(func() { w.idp.hidden = hidden })
				w.hurried(func() {
					if err := c.ask(w); err != nil {
						t.Errorf("unknown %d times: %v", hidden, err)
					}
				})
				if n := w.idp.asked[c.method]; n != hidden+1 {
					t.Errorf("asked %d times", n)
				}
			})
		}
		t.Run(name+", never known", func(t *testing.T) {
			w := newWorld(t)
			joined := onSoftware(w)
			w.idp.set(func() { w.idp.hidden = 1000 })
			w.hurried(func() {
				if err := c.ask(w); prterr.CodeOf(err) != aadsts.DeviceAuthenticationFailed {
					t.Errorf("got %v", err)
				}
			})
			if s := w.consistent(); w.idp.asked[c.method] != 5 || s.GetDeviceId() != joined.GetDeviceId() {
				t.Errorf("asked %d times, and the device is %v", w.idp.asked[c.method], s)
			}
		})
		for age, grow := range map[string]func(*world){
			"old":                            (*world).ages,
			"from before the start":          func(w *world) { w.restart(nil) },
			"that the tenant has known once": func(w *world) { w.describe(true); w.idp.set(func() { clear(w.idp.asked) }) },
		} {
			t.Run(name+", of a device "+age, func(t *testing.T) {
				w := newWorld(t)
				onSoftware(w)
				grow(w)
				w.idp.set(func() { w.idp.hidden = 1000 })
				if err := c.ask(w); prterr.CodeOf(err) != aadsts.DeviceAuthenticationFailed || w.idp.asked[c.method] != 1 {
					t.Errorf("asked %d times: %v", w.idp.asked[c.method], err)
				}
			})
		}
	}
}

// TestFLT07_ADeviceIsReplacedBeforeItIsKnown: a join right after a join removes the first
// device, though its key is gone by the time that the tenant knows it.
func TestFLT07_ADeviceIsReplacedBeforeItIsKnown(t *testing.T) {
	w := newWorld(t)
	w.mustJoin()
	w.idp.set(func() { w.idp.hidden = 3 })
	var next string
	w.hurried(func() { next = w.mustJoin().GetDeviceId() })
	if !w.idp.knows(next) {
		t.Errorf("the tenant has %d devices", len(w.idp.devices))
	}
}

// TestFLT07_TheStatusOfANewDevice: that a replica does not know it is no word that it was
// deleted. Once the device has been known, or is not new, it is.
func TestFLT07_TheStatusOfANewDevice(t *testing.T) {
	const success, gone, unclear = dsregv1.DeviceAuthStatus_DEVICE_AUTH_STATUS_SUCCESS,
		dsregv1.DeviceAuthStatus_DEVICE_AUTH_STATUS_DISABLED_OR_DELETED, dsregv1.DeviceAuthStatus_DEVICE_AUTH_STATUS_ERROR
	status := func(w *world, hidden int) (got dsregv1.DeviceAuthStatus) {
		w.idp.set(func() { w.idp.hidden = hidden })
		w.hurried(func() { got = w.describe(true).GetDeviceAuthStatus() })
		return got
	}
	w := newWorld(t)
	w.mustJoin()
	if got := status(w, 1000); got != unclear {
		t.Errorf("not known yet: %v", got)
	}
	w.ages()
	if got := status(w, 1000); got != gone {
		t.Errorf("not known for five minutes: %v", got)
	}
	w = newWorld(t)
	w.mustJoin()
	if got := status(w, 1); got != success {
		t.Errorf("known at the second time: %v", got)
	}
	if got := status(w, 1000); got != gone {
		t.Errorf("deleted after it was known: %v", got)
	}
}
