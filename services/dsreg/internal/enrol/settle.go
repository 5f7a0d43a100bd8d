package enrol

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/state"
)

// settle finishes what an interruption left open. The TPM decides: the identity
// whose device key is installed there is the device's, because no other one can
// sign anything.
//
//	pending, and its key is installed      the enrolment had happened: it is current
//	pending, and its key is not installed  the enrolment had not happened: current stays
//	leaving, and no key is installed       the device had left: nothing is current
//	leaving, and a key is installed        the device still is what it was
//
// A hybrid join that waits, an exchange of keys that was begun, and an enrolment that is
// not done stay so.
//
// The caller has the turn. While the tpm-agent cannot be asked nothing is
// answered: the wrong identity would be worse than none.
func (e *Enroller) settle(ctx context.Context) error {
	r := e.store.Get()
	if e.known.Load() || r.Settled() {
		e.known.Store(true)
		return nil
	}
	installed, err := e.keys.installedKey(ctx)
	if err != nil {
		return prterr.Wrap(prterr.KindOf(err), err, "an interrupted change of the registration waits for the tpm-agent: try again when it runs")
	}
	next := r
	next.Pending = nil
	switch {
	case r.Pending != nil && r.Pending.HasKey(installed):
		next = state.Record{Current: r.Pending}
		e.changed()
	case r.Pending != nil && (r.Waiting != nil || r.Replacing != nil || r.Enrolling != nil):
		// The same device goes on with what it waits with.
	case r.Pending != nil:
		e.log.WarnContext(ctx, "an interrupted enrolment left a device at the tenant that nobody can use: have it removed", "device_id", r.Pending.DeviceID)
	}
	if next.Leaving && installed == nil {
		next = state.Record{}
	}
	if next != r {
		if err := e.put(next); err != nil {
			return err
		}
	}
	e.known.Store(true)
	return nil
}
