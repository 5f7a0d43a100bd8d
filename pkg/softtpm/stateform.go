package softtpm

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// The saved form: magic, version, fields, SHA-256 over all before it. The
// checksum finds damage; it is no protection against whoever can write it.
// Version 1 ended with the persistent objects; it is read and never written.
const (
	stateMagic    = "softtpm\x00"
	stateVersion  = 2
	stateVersion1 = 1

	flagClearDisabled = 1 << 0
	flagOrderly       = 1 << 1
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
	b = nv.encodeVersion2(b)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// encodeVersion2 appends what version 1 had not.
func (nv *nvState) encodeVersion2(b []byte) []byte {
	for _, p := range []policy{nv.ownerPolicy, nv.endorsementPolicy, nv.lockoutPolicy} {
		b = append2B(be.AppendUint16(b, p.alg), p.digest)
	}
	flags := byte(0)
	if nv.clearDisabled {
		flags |= flagClearDisabled
	}
	if nv.orderly {
		flags |= flagOrderly
	}
	b = be.AppendUint64(append(b, flags), nv.maxCount)
	b = be.AppendUint64(be.AppendUint16(b, nv.auditAlg), nv.auditCounter)
	b = be.AppendUint16(b, uint16(len(nv.auditCommands)))
	for _, cc := range nv.auditCommands {
		b = be.AppendUint32(b, cc)
	}
	b = be.AppendUint16(b, uint16(len(nv.indexes)))
	for _, h := range slices.Sorted(maps.Keys(nv.indexes)) {
		x := nv.indexes[h]
		b = append2B(append2B(append2B(b, x.public()), x.auth), x.data)
	}
	return b
}

// decodeState reads what encode wrote. It keeps no part of b.
func decodeState(b []byte) (nvState, error) {
	if len(b) < len(stateMagic)+2+sha256.Size || string(b[:len(stateMagic)]) != stateMagic {
		return nvState{}, ErrNotState
	}
	r := reader{b: slices.Clone(b[len(stateMagic) : len(b)-sha256.Size])}
	version := r.u16()
	if version != stateVersion && version != stateVersion1 {
		return nvState{}, fmt.Errorf("%w: version %d, want at most %d", ErrStateVersion, version, stateVersion)
	}
	sum := sha256.Sum256(b[:len(b)-sha256.Size])
	if subtle.ConstantTimeCompare(sum[:], b[len(b)-sha256.Size:]) != 1 {
		return nvState{}, ErrStateDamaged
	}
	nv := nvState{auditAlg: algSHA256, auditCommands: firstAudited()}
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
	if err := nv.decodePersistent(&r); err != nil {
		return nvState{}, err
	}
	if version > stateVersion1 {
		if err := nv.decodeVersion2(&r); err != nil {
			return nvState{}, err
		}
	}
	if r.end() != rcSuccess {
		return nvState{}, ErrStateDamaged
	}
	return nv, nil
}

func (nv *nvState) decodePersistent(r *reader) error {
	n := r.u16()
	if n > maxPersistent {
		return ErrStateDamaged
	}
	nv.persistent = make(map[uint32][]byte, n)
	for range n {
		h, packed := r.u32(), r.sized()
		if r.bad {
			break
		}
		if _, rc := unpackObject(packed); rc != rcSuccess {
			return fmt.Errorf("%w: persistent object 0x%08x", ErrStateDamaged, h)
		}
		nv.persistent[h] = packed
	}
	return nil
}

func (nv *nvState) decodeVersion2(r *reader) error {
	for _, p := range []*policy{&nv.ownerPolicy, &nv.endorsementPolicy, &nv.lockoutPolicy} {
		p.alg, p.digest = r.u16(), r.sized()
	}
	flags := r.u8()
	nv.clearDisabled, nv.orderly = flags&flagClearDisabled != 0, flags&flagOrderly != 0
	nv.maxCount, nv.auditAlg, nv.auditCounter = r.u64(), r.u16(), r.u64()
	if _, ok := hashOf(nv.auditAlg); !ok || r.bad {
		return ErrStateDamaged
	}
	n := r.u16()
	nv.auditCommands = nil
	for range n {
		if nv.auditCommands = append(nv.auditCommands, r.u32()); r.bad {
			return ErrStateDamaged
		}
	}
	if n = r.u16(); n > maxIndexes {
		return ErrStateDamaged
	}
	nv.indexes = make(map[uint32]*nvIndex, n)
	for range n {
		public := reader{b: r.sized()}
		x, rc := readIndexPublic(&public)
		if rc != rcSuccess || public.end() != rcSuccess {
			return fmt.Errorf("%w: NV index", ErrStateDamaged)
		}
		x.auth, x.data = r.sized(), r.sized()
		if len(x.data) != int(x.size) || x.checkType(hashFor(x.nameAlg).Size()) != rcSuccess {
			return fmt.Errorf("%w: NV index 0x%08x", ErrStateDamaged, x.handle)
		}
		nv.indexes[x.handle] = x
	}
	return nil
}
