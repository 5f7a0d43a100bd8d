package lab

import (
	"context"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	labv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lab/v1"
)

// apart is how far two clocks of a deployment may differ without being moved: asking for
// the time takes some.
const apart = 2 * time.Second

// together has the clocks of a deployment show one time, that of the one which is furthest
// ahead. An earlier play moved those that were there: a device that came later has the time
// of its machine, and what the cloud gives it is of its future, so that it refuses it. How
// wrong a clock was set on purpose stays. Outside of lab mode clocks have no door.
func (l *Lab) together(ctx context.Context) error {
	ahead, most := map[string]time.Duration{}, time.Duration(0)
	err := l.eachClock(ctx, func(key string, c labv1.ClockServiceClient) error {
		at, err := shown(ctx, c)
		switch k := prterr.KindOf(err); {
		case k == prterr.NotFound || k == prterr.Denied:
			return nil
		case err != nil:
			return err
		}
		ahead[key] = time.Until(at)
		most = max(most, ahead[key])
		return nil
	})
	if err != nil {
		return err
	}
	err = l.eachClock(ctx, func(key string, c labv1.ClockServiceClient) error {
		if own, asked := ahead[key]; asked && most-own >= apart {
			return catchUp(ctx, c, most-own)
		}
		return nil
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ahead = most
	return err
}
