package softtpm

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"maps"
	"slices"
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
}

// manufacture makes the state of a new TPM. The lockout values are milder than
// the usual factory ones (3 tries), because a fresh TPM serves before anyone
// has set them.
func manufacture() nvState {
	return nvState{
		owner: newHierarchy(), endorsement: newHierarchy(), platform: newHierarchy(),
		maxTries: 32, recovery: 600, lockoutRecovery: 86400,
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
	if err := t.cfg.OnChange(nv.encode(t.clock())); err != nil {
		return rcNVUnavailable
	}
	return rcSuccess
}

// The saved form: magic, version, fields, SHA-256 over all before it. The
// checksum finds damage; it is no protection against whoever can write it.
const (
	stateMagic   = "softtpm\x00"
	stateVersion = 1
)

// Errors of a state that cannot be used.
var (
	ErrNotState     = errors.New("softtpm: not a saved TPM state")
	ErrStateVersion = errors.New("softtpm: saved by another version of this program")
	ErrStateDamaged = errors.New("softtpm: the saved TPM state is damaged")
)

func (nv *nvState) encode(clock uint64) []byte {
	b := append(make([]byte, 0, 512), stateMagic...)
	b = be.AppendUint16(b, stateVersion)
	for _, h := range []*hierarchy{&nv.owner, &nv.endorsement, &nv.platform} {
		b = append(b, h.seed[:]...)
		b = append(b, h.proof[:]...)
		b = append2B(b, h.auth)
	}
	b = append2B(b, nv.lockoutAuth)
	for _, v := range []uint32{nv.failures, nv.maxTries, nv.recovery, nv.lockoutRecovery, nv.resets} {
		b = be.AppendUint32(b, v)
	}
	for _, v := range []uint64{uint64(nv.lastFail), uint64(nv.lockoutFail), clock} {
		b = be.AppendUint64(b, v)
	}
	b = be.AppendUint16(b, uint16(len(nv.persistent)))
	for _, h := range slices.Sorted(maps.Keys(nv.persistent)) {
		b = append2B(be.AppendUint32(b, h), nv.persistent[h])
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// decodeState reads what encode wrote. It keeps no part of b.
func decodeState(b []byte) (nvState, error) {
	if len(b) < len(stateMagic)+2+sha256.Size || string(b[:len(stateMagic)]) != stateMagic {
		return nvState{}, ErrNotState
	}
	r := reader{b: slices.Clone(b[len(stateMagic) : len(b)-sha256.Size])}
	if v := r.u16(); v != stateVersion {
		return nvState{}, fmt.Errorf("%w: version %d, want %d", ErrStateVersion, v, stateVersion)
	}
	sum := sha256.Sum256(b[:len(b)-sha256.Size])
	if subtle.ConstantTimeCompare(sum[:], b[len(b)-sha256.Size:]) != 1 {
		return nvState{}, ErrStateDamaged
	}
	var nv nvState
	for _, h := range []*hierarchy{&nv.owner, &nv.endorsement, &nv.platform} {
		copy(h.seed[:], r.take(seedSize))
		copy(h.proof[:], r.take(seedSize))
		h.auth = r.sized()
	}
	nv.lockoutAuth = r.sized()
	for _, v := range []*uint32{&nv.failures, &nv.maxTries, &nv.recovery, &nv.lockoutRecovery, &nv.resets} {
		*v = r.u32()
	}
	nv.lastFail, nv.lockoutFail, nv.clock = int64(r.u64()), int64(r.u64()), r.u64()
	n := r.u16()
	nv.persistent = make(map[uint32][]byte, min(n, maxPersistent))
	for range n {
		h, packed := r.u32(), r.sized()
		if r.bad {
			break
		}
		if _, rc := unpackObject(packed); rc != rcSuccess {
			return nvState{}, fmt.Errorf("%w: persistent object 0x%08x", ErrStateDamaged, h)
		}
		nv.persistent[h] = packed
	}
	if r.end() != rcSuccess || n > maxPersistent {
		return nvState{}, ErrStateDamaged
	}
	return nv, nil
}
