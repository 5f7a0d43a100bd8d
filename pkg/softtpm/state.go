package softtpm

import (
	"maps"
)

// hierarchy is the root of one tree of keys.
type hierarchy struct {
	seed  [seedSize]byte // primary keys come from it
	proof [seedSize]byte // seals tickets
	auth  []byte
}

func newHierarchy() hierarchy {
	var h hierarchy
	copy(h.seed[:], random(seedSize))
	copy(h.proof[:], random(seedSize))
	return h
}

// policy is an authPolicy; alg 0 is none.
type policy struct {
	alg    uint16
	digest []byte
}

// nvState is everything that survives a restart.
type nvState struct {
	owner, endorsement, platform hierarchy

	lockoutAuth []byte
	persistent  map[uint32][]byte // packed objects by handle

	failures, maxTries        uint32 // dictionary attacks: count and limit
	recovery, lockoutRecovery uint32 // seconds
	lastFail, lockoutFail     int64  // Unix nanoseconds; lockoutFail 0: not blocked

	resets uint32 // TPM2_Startup(CLEAR) so far
	clock  uint64 // milliseconds run before this process

	ownerPolicy, endorsementPolicy, lockoutPolicy policy

	clearDisabled bool                // by TPM2_ClearControl
	orderly       bool                // nothing changed since TPM2_Shutdown
	indexes       map[uint32]*nvIndex // an index is never changed, but replaced
	maxCount      uint64              // the highest value that a deleted counter had

	auditAlg      uint16 // of command audit
	auditCounter  uint64
	auditCommands []uint32 // sorted
}

// The lockout values of a new or cleared TPM. They are milder than the usual
// factory ones (3 tries), because a fresh TPM serves before anyone has set them.
const (
	firstTries           = 32
	firstRecovery        = 600   // seconds
	firstLockoutRecovery = 86400 // seconds
)

// manufacture makes the state of a new TPM.
func manufacture() nvState {
	return nvState{
		owner: newHierarchy(), endorsement: newHierarchy(), platform: newHierarchy(),
		orderly: true, maxTries: firstTries, recovery: firstRecovery, lockoutRecovery: firstLockoutRecovery,
		auditAlg: algSHA256, auditCommands: firstAudited(),
	}
}

// hierarchy finds a hierarchy; nil if h is none.
func (t *TPM) hierarchy(h uint32) *hierarchy {
	switch h {
	case rhOwner:
		return &t.nv.owner
	case rhEndorsement:
		return &t.nv.endorsement
	case rhPlatform:
		return &t.nv.platform
	case rhNull:
		return &t.null
	}
	return nil
}

// update changes non-volatile state: a copy is changed and saved, and only
// then takes effect, so that a failed save leaves no trace.
func (t *TPM) update(change func(*nvState)) rcode {
	t.heal()
	next := t.nv
	next.persistent = maps.Clone(t.nv.persistent)
	next.indexes = maps.Clone(t.nv.indexes)
	next.orderly = false
	change(&next)
	if rc := t.save(&next); rc != rcSuccess {
		return rc
	}
	t.nv, t.unsaved = next, false
	return rcSuccess
}

// save hands a state to the owner of the TPM.
func (t *TPM) save(nv *nvState) rcode {
	if t.cfg.OnChange == nil {
		return rcSuccess
	}
	if err := t.cfg.OnChange(nv.encode(nv.clock + t.time())); err != nil {
		return rcNVUnavailable
	}
	return rcSuccess
}
