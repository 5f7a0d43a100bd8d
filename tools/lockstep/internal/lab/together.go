package lab

import (
	"context"
	"fmt"
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
	behind := map[string]time.Duration{}
	for _, key := range l.clocked() {
		if !l.host.runs(key) {
			continue
		}
		c, err := l.clockOf(ctx, key)
		if err != nil {
			return err
		}
		at, err := c.DescribeClock(ctx, &labv1.DescribeClockRequest{})
		if k := prterr.KindOf(err); k == prterr.NotFound || k == prterr.Denied {
			continue
		}
		if err != nil {
			return fmt.Errorf("the clock of %s: %w", key, err)
		}
		behind[key] = time.Since(at.GetNow().AsTime().Add(-at.GetSkew().AsDuration()))
	}
	var ahead time.Duration
	for _, by := range behind {
		ahead = max(ahead, -by)
	}
	for key, by := range behind {
		if by += ahead; by < apart {
			continue
		}
		c, err := l.clockOf(ctx, key)
		if err != nil {
			return err
		}
		if err := catchUp(ctx, c, by); err != nil {
			return fmt.Errorf("the clock of %s: %w", key, err)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ahead = ahead
	return nil
}
