package dsreg_test

import (
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/authority/freshnonce"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
)

// proven are the requests that a device proves with a nonce: what is asked, of which
// method, on a device that may have software keys.
func proven() map[string]struct {
	method string
	ask    func(*world) error
} {
	return map[string]struct {
		method string
		ask    func(*world) error
	}{
		"leave":   {"DeleteDevice", func(w *world) error { return w.leave(false) }},
		"migrate": {"ReplaceDeviceKeys", func(w *world) error { _, err := w.migrate(); return err }},
		"status": {"CheckDevice", func(w *world) error {
			if got := w.describe(true).GetDeviceAuthStatus(); got != dsregv1.DeviceAuthStatus_DEVICE_AUTH_STATUS_SUCCESS {
				return prterr.AADSTS(aadsts.InvalidNonce, "DeviceAuthStatus is %v", got)
			}
			return nil
		}},
	}
}

// TestFLT06_ARefusedNonceIsAskedAnew whatever the device asks for, with a bound, and the
// device is what it was when even that does not help.
func TestFLT06_ARefusedNonceIsAskedAnew(t *testing.T) {
	for name, c := range proven() {
		for _, refused := range []int{1, freshnonce.Tries - 1, freshnonce.Tries, 1000} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t)
				joined := onSoftware(w)
				w.idp.set(func() { w.idp.picky = refused })
				err := c.ask(w)
				if want := min(refused+1, freshnonce.Tries); w.idp.asked[c.method] != want {
					t.Errorf("%d refusals: asked %d times, not %d", refused, w.idp.asked[c.method], want)
				}
				if refused < freshnonce.Tries {
					if err != nil {
						t.Errorf("%d refusals are seen: %v", refused, err)
					}
					return
				}
				if prterr.CodeOf(err) != aadsts.InvalidNonce {
					t.Errorf("%d refusals: %v", refused, err)
				}
				w.idp.set(func() { w.idp.picky = 0 })
				if s := w.consistent(); s.GetDeviceId() != joined.GetDeviceId() || !w.idp.knows(joined.GetDeviceId()) {
					t.Errorf("the device is %v", s)
				}
				if err := c.ask(w); err != nil {
					t.Errorf("later: %v", err)
				}
			})
		}
	}
}

// TestFLT06_AnOldDeviceGoesAllTheSame: its key is gone when it is removed, so it has left a
// spare proof. When all are refused, the device that stays is named.
func TestFLT06_AnOldDeviceGoesAllTheSame(t *testing.T) {
	for refused, gone := range map[int]bool{0: true, 1: true, 1000: false} {
		w := newWorld(t)
		old := w.mustJoin().GetDeviceId()
		w.ages()
		w.idp.set(func() { w.idp.picky = refused })
		next := w.mustJoin().GetDeviceId()
		if w.idp.knows(next) != gone || !gone && !w.idp.knows(next, old) {
			t.Errorf("%d refusals: the tenant has %d devices", refused, len(w.idp.devices))
		}
		if left := w.describe(false).GetLastAttempt().GetLeftBehindDeviceId(); gone && left != "" || !gone && left != old {
			t.Errorf("%d refusals: %q is named", refused, left)
		}
		if w.idp.asked["DeleteDevice"] > 2 {
			t.Errorf("asked %d times", w.idp.asked["DeleteDevice"])
		}
	}
}
