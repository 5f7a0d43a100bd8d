package enrol

import "time"

// newFor is how long a device is new: the replicas of a directory learn of it one after
// the other, and one that has not says that there is no such device (AADSTS50155).
const newFor = 5 * time.Minute

// isNew says whether the tenant may not know the identity of this device everywhere yet.
// In memory only: what was registered before the start is known by now.
func (e *Enroller) isNew() bool {
	at := e.became.Load()
	return at != 0 && e.clock.Now().Sub(time.Unix(0, at)).Abs() < newFor
}

// isKnown ends that: the tenant has taken a proof of the device key.
func (e *Enroller) isKnown() { e.became.Store(0) }
