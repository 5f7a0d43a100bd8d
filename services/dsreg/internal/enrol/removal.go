package enrol

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/state"
)

const (
	// spare is how many proofs of its removal an old device leaves behind: a tenant may
	// refuse the good nonce of one, and there is no key for another then.
	spare = 2
	// spareNew is the same for a device that its tenant may not know everywhere yet.
	spareNew = 5
)

// farewell are proofs with which an old device is removed when its key is gone. isNew says
// that the tenant may not have known the device yet.
type farewell struct {
	proofs []string
	isNew  bool
}

// farewell signs the removal of the old device while it still has its key. The
// new identity does not depend on it, so a failure is only reported.
func (e *Enroller) farewell(ctx context.Context, old *state.Identity) farewell {
	if old == nil {
		return farewell{}
	}
	f := farewell{isNew: e.isNew()}
	most := spare
	if f.isNew {
		most = spareNew
	}
	for range most {
		proof, err := e.removalProof(ctx)
		if err != nil {
			e.log.WarnContext(ctx, "the old device may not be able to remove itself: see that it is gone from its tenant", "device_id", old.DeviceID, "proofs", len(f.proofs), "error", err)
			return f
		}
		f.proofs = append(f.proofs, proof)
	}
	return f
}

// next takes the next proof.
func (f *farewell) next(context.Context) (string, error) {
	if len(f.proofs) == 0 {
		return "", prterr.New(prterr.Denied, "the tenant took no proof of the old device, whose key is gone")
	}
	proof := f.proofs[0]
	f.proofs = f.proofs[1:]
	return proof, nil
}

// removalProof is a fresh proof of the installed device key, good for the removal
// of this device from its tenant and nothing else.
func (e *Enroller) removalProof(ctx context.Context) (string, error) {
	nonce, err := e.cloud.nonce(ctx)
	if err != nil {
		return "", err
	}
	return e.keys.removal(ctx, nonce)
}

// remove is step 7 of an enrolment. It reports whether the old device is gone.
func (e *Enroller) remove(ctx context.Context, f farewell, old *state.Identity) bool {
	if len(f.proofs) == 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterwards)
	defer cancel()
	if err := e.removeWith(ctx, func() bool { return f.isNew }, f.next); err != nil {
		e.log.WarnContext(ctx, "the old device was not removed: have it removed from its tenant", "device_id", old.DeviceID, "error", err)
		return false
	}
	return true
}

// removeWith has the tenant remove a device, with proofs of that.
func (e *Enroller) removeWith(ctx context.Context, isNew func() bool, next func(context.Context) (string, error)) error {
	_, err := asDevice(ctx, e, isNew, next, func(ctx context.Context, proof string) (struct{}, error) {
		return struct{}{}, e.cloud.remove(ctx, proof)
	})
	return err
}
