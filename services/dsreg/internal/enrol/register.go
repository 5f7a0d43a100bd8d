package enrol

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/state"
)

// Register registers the device for a work account (Entra registration). Keys,
// order, checks and the way back from a crash are those of Join; after a crash the
// device is registered, and a second Register says so, or it is not, and it works.
func (e *Enroller) Register(ctx context.Context, req Request) (*state.Identity, error) {
	return e.enrol(ctx, entrawire.JoinRegistered, req)
}

// makesWay refuses a registration of a device that has an identity. There is room
// for one: to end it would take the PRT away from whoever uses it, and a work
// account may be added by any app that has its password. Who operates the device
// may join it over whatever it was.
func makesWay(r state.Record, kind entrawire.JoinType) error {
	old := r.Current
	switch {
	case kind == entrawire.JoinJoined:
		return nil
	case old == nil && r.Waiting != nil:
		return prterr.New(prterr.Conflict, "a hybrid join of this device waits for the sync of its domain: wait for it, or leave first")
	case old == nil:
		return nil
	case old.Joined():
		return prterr.New(prterr.Conflict, "this device is joined to a tenant and cannot be registered beside it: sign in to it with an account of that tenant, or leave the tenant first")
	default:
		return prterr.New(prterr.Conflict, "this device is registered for a work account already: leave first to register it for another")
	}
}
