package enrol

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/state"
)

// Departure says how the device leaves.
type Departure struct {
	// LocalOnly does not tell the tenant, for one that cannot be reached any more.
	LocalOnly bool
	// RegisteredOnly refuses for a device that is joined, or waits to be.
	RegisteredOnly bool
}

// Leave takes the device out of its tenant and destroys its keys.
//
// The tenant is told first, because only a key that still exists can prove which
// device goes. Before that the intention is written down. So after a crash a
// second Leave knows that a tenant which does not know the device any more has
// forgotten it by our own word, and settle knows that keys which are gone were
// meant to go.
func (e *Enroller) Leave(ctx context.Context, how Departure) error {
	end, err := e.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	before, localOnly := e.store.Get(), how.LocalOnly
	if how.RegisteredOnly && (before.Waiting != nil || before.Current != nil && before.Current.Joined()) {
		return prterr.New(prterr.Denied, "this device belongs to a tenant and not only to a work account: its operator has it leave")
	}
	if before.Current == nil && before.Waiting != nil {
		return e.stopWaiting(ctx, before)
	}
	if before.Current == nil {
		return prterr.New(prterr.Conflict, "this device is neither joined nor registered")
	}
	proof := ""
	if !localOnly {
		if err := e.heldBack(byDevice(before.Current)); err != nil {
			return err
		}
		if proof, err = e.removalProof(ctx); err != nil {
			return e.heard(byDevice(before.Current), cannotProve(err))
		}
	}
	if err := e.put(state.Record{Current: before.Current, Leaving: true}); err != nil {
		return err
	}
	e.points.Reached("leaving")
	if !localOnly {
		if err := e.heard(byDevice(before.Current), e.tell(ctx, proof, before)); err != nil {
			return err
		}
		e.points.Reached("tenant-told")
	}
	if err := e.forget(ctx); err != nil {
		return err
	}
	e.log.InfoContext(ctx, "device left", "device_id", before.Current.DeviceID, "tenant_told", !localOnly)
	return nil
}

// stopWaiting ends a hybrid join that the tenant has not completed. It has nothing to
// be told: the object there is the domain's.
func (e *Enroller) stopWaiting(ctx context.Context, r state.Record) error {
	if err := e.keys.drop(ctx, r.Waiting.Keys.ID); err != nil {
		return err
	}
	e.points.Reached("keys-destroyed")
	return e.put(state.Record{})
}

// cannotProve says what is left to do when the keys are gone already: lost, or of a
// tpm-agent that has none at all.
func cannotProve(err error) error {
	if k := prterr.KindOf(err); k != prterr.KeysLost && k != prterr.Conflict {
		return err
	}
	return prterr.Wrap(prterr.KeysLost, err, "the device has lost its keys and cannot remove itself: leave with local_only and have it removed from the tenant")
}

// tell removes the device from its tenant, with the proof that was made first and fresh
// ones after it. When the tenant refuses, the device is what it was.
func (e *Enroller) tell(ctx context.Context, proof string, before state.Record) error {
	next := func(ctx context.Context) (string, error) {
		if signed := proof; signed != "" {
			proof = ""
			return signed, nil
		}
		return e.removalProof(ctx)
	}
	err := e.removeWith(ctx, e.isNew, next)
	switch {
	case err == nil || forgotten(err, before.Leaving):
		e.nowKnown() // what it says of this device from here on is its word
		return nil
	case uncertain(err):
		// It may have happened, so the intention stays written down.
		return prterr.Wrap(prterr.KindOf(err), err, "it is not known whether the tenant has removed the device: leave again, or with local_only when the tenant cannot be reached any more")
	}
	if failed := e.put(before); failed != nil {
		return failed
	}
	return err
}

// forgotten reports whether the tenant does not have the device any more. That a
// proof is not accepted says so only when an earlier Leave may have come through.
func forgotten(err error, again bool) bool {
	return prterr.KindOf(err) == prterr.NotFound || again && prterr.CodeOf(err) == aadsts.DeviceAuthenticationFailed
}

func uncertain(err error) bool {
	switch prterr.KindOf(err) {
	case prterr.Unavailable, prterr.Deadline, prterr.Internal:
		return true
	default:
		return false
	}
}

// forget destroys the keys and then the record. The tenant has forgotten the
// device by now, so the caller's going away does not stop it.
func (e *Enroller) forget(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterwards)
	defer cancel()
	release, err := e.take(ctx)
	if err != nil {
		return err
	}
	defer release()
	e.known.Store(false)
	if err := e.keys.destroy(ctx); err != nil {
		return prterr.Wrap(prterr.KindOf(err), err, "the keys of the device could not be destroyed: leave again")
	}
	e.points.Reached("keys-destroyed")
	if err := e.put(state.Record{}); err != nil {
		return err
	}
	e.changed()
	e.known.Store(true)
	return nil
}
