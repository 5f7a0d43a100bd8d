package enrol

import (
	"context"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/state"
)

// sameWithin is how long the keys of an enrolment that is not done are offered again. The
// tenant answers them with the same device for a time; later they would only be old keys.
const sameWithin = 10 * time.Minute

// ready is step 1: keys that are offered to the tenant. Those of an enrolment that was
// begun a moment ago are offered again, when it was the same: the tenant may have made a
// device for them, which nobody could use if there were other keys now.
func (e *Enroller) ready(ctx context.Context, kind entrawire.JoinType, req Request) (state.Record, offer, error) {
	if r := e.store.Get(); e.goesOn(r.Enrolling, kind, req) {
		o, err := e.offer(ctx, r.Enrolling.Keys, req.User.Domain())
		if o.asked = true; !gone(err) {
			return r, o, err
		}
	}
	r, err := e.abandon()
	if err != nil {
		return r, offer{}, err
	}
	keys, err := e.keys.create(ctx)
	if err != nil {
		return r, offer{}, err
	}
	e.points.Reached("keys-created")
	o, err := e.offer(ctx, keys, req.User.Domain())
	if err != nil {
		return r, offer{}, err
	}
	r.Enrolling = &state.Enrolling{Keys: keys, Kind: kind, User: req.User, DisplayName: req.DisplayName, Since: e.clock.Now().UTC().Truncate(time.Second)}
	if err := e.put(r); err != nil {
		return r, offer{}, err
	}
	e.points.Reached("enrolling-written")
	return r, o, nil
}

func (e *Enroller) goesOn(was *state.Enrolling, kind entrawire.JoinType, req Request) bool {
	if was == nil || was.Kind != kind || was.User != req.User || was.DisplayName != req.DisplayName {
		return false
	}
	age := e.clock.Now().Sub(was.Since)
	return age < sameWithin && age > -sameWithin
}

// ask is step 2. A question whose answer is lost is put once more, with the same keys and
// a new proof of them: a tenant may take each proof once. What is refused for good by the
// tenant's rules has made no device, so the next try begins with other keys.
func (e *Enroller) ask(ctx context.Context, kind entrawire.JoinType, req Request, by pass, o offer) (registered, offer, error) {
	register := func() (registered, error) {
		return e.cloud.register(ctx, kind, by.token, o, e.machine(req.DisplayName, req.User.Domain()), by.replaces)
	}
	answer, err := register()
	k := prterr.KindOf(err)
	if (k == prterr.Deadline || k == prterr.Unavailable) && ctx.Err() == nil {
		next, failed := e.offer(ctx, o.keys, req.User.Domain())
		if failed != nil {
			return answer, o, err // what is not known is whether the tenant has made the device
		}
		o = next
		answer, err = register()
		return answer, o, err
	}
	if k == prterr.Denied && !o.asked {
		if _, failed := e.abandon(); failed != nil {
			return answer, o, failed
		}
	}
	return answer, o, err
}
