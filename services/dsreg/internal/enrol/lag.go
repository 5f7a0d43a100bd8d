package enrol

import (
	"context"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/authority/freshnonce"
	"github.com/lockstep-sso/lockstep/pkg/authority/newdevice"
)

// newFor is how long a device is new: the replicas of a directory learn of it one after
// the other, and one that has not says that there is no such device (AADSTS50155).
const newFor = 5 * time.Minute

// isNew says whether the tenant may not know the identity of this device everywhere yet.
// In memory only: what was registered before the start is known by now.
func (e *Enroller) isNew() bool {
	at := e.became.Load()
	return at != 0 && e.clock.Now().Sub(time.Unix(0, at)).Abs() < newFor
}

// nowKnown ends that: the tenant has taken a proof of the device key.
func (e *Enroller) nowKnown() { e.became.Store(0) }

// asDevice asks the tenant for something that a device proves: with the next proof when it
// refuses the nonce of one, and again while it may not know a new device yet.
func asDevice[T any](ctx context.Context, e *Enroller, isNew func() bool, next func(context.Context) (string, error), ask func(context.Context, string) (T, error)) (T, error) {
	return newdevice.UntilKnown(ctx, e.clock, isNew, func() (T, error) { return freshnonce.With(ctx, next, ask) })
}
