package newdevice_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/authority/newdevice"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

func TestFLT07_ANewDeviceIsAskedForFiveTimes(t *testing.T) {
	unknown, wrong := prterr.AADSTS(aadsts.DeviceAuthenticationFailed, ""), prterr.AADSTS(aadsts.InvalidCredentials, "")
	for name, c := range map[string]struct {
		known   time.Duration // by then the tenant knows it
		old     bool
		then    error
		patient time.Duration
		asked   int
		want    error
		took    time.Duration
	}{
		"at once":              {asked: 1},
		"after a while":        {known: 6 * time.Second, asked: 4, took: 7 * time.Second},
		"never":                {known: time.Hour, asked: 5, want: unknown, took: 15 * time.Second},
		"a device that is old": {known: 6 * time.Second, old: true, asked: 1, want: unknown},
		"another error":        {known: time.Second, then: wrong, asked: 2, want: wrong, took: time.Second},
		"nobody waits so long": {known: time.Hour, patient: 5 * time.Second, asked: 3, want: unknown, took: 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if c.patient > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.patient)
					defer cancel()
				}
				start, asked := time.Now(), 0
				_, err := newdevice.UntilKnown(ctx, clock.Real(), func() bool { return !c.old }, func() (int, error) {
					if asked++; time.Since(start) < c.known {
						return 0, unknown
					}
					return asked, c.then
				})
				if took := time.Since(start); prterr.CodeOf(err) != prterr.CodeOf(c.want) || asked != c.asked || took != c.took {
					t.Errorf("asked %d times in %v: %v", asked, took, err)
				}
			})
		})
	}
}
