package softtpm

import (
	"bytes"

	"github.com/google/go-tpm/tpm2"
)

// NV index attributes (Part 2, 13.4).
const (
	nvPPWrite        = 1 << 0
	nvOwnerWrite     = 1 << 1
	nvAuthWrite      = 1 << 2
	nvPolicyWrite    = 1 << 3
	nvTypeMask       = 0xf << 4
	nvPolicyDelete   = 1 << 10
	nvWriteLocked    = 1 << 11
	nvWriteAll       = 1 << 12
	nvWriteDefine    = 1 << 13
	nvWriteStClear   = 1 << 14
	nvGlobalLock     = 1 << 15
	nvPPRead         = 1 << 16
	nvOwnerRead      = 1 << 17
	nvAuthRead       = 1 << 18
	nvPolicyRead     = 1 << 19
	nvNoDA           = 1 << 25
	nvOrderly        = 1 << 26
	nvClearStClear   = 1 << 27
	nvReadLocked     = 1 << 28
	nvWritten        = 1 << 29
	nvPlatformCreate = 1 << 30
	nvReadStClear    = 1 << 31

	nvReserved = 3<<8 | 0x1f<<20
)

// Types of an index (TPM_NT).
const (
	nvOrdinary = uint32(tpm2.TPMNTOrdinary)
	nvCounter  = uint32(tpm2.TPMNTCounter)
	nvBits     = uint32(tpm2.TPMNTBits)
	nvExtend   = uint32(tpm2.TPMNTExtend)
	nvPinFail  = uint32(tpm2.TPMNTPinFail)
	nvPinPass  = uint32(tpm2.TPMNTPinPass)
)

// Limits of NV memory, those of common chips.
const (
	maxIndexes   = 128
	maxIndexSize = 2048     // bytes of one index
	maxNVBuffer  = 1024     // bytes of one NV_Read or NV_Write
	maxNVSpace   = 64 << 10 // bytes of all indexes
	indexCost    = 128      // bytes of space that an index takes besides its data
)

// nvIndex is one NV index. It is never changed: a command that changes an
// index puts a changed copy into the state. data always has size bytes.
type nvIndex struct {
	handle  uint32
	nameAlg uint16
	attrs   uint32
	policy  []byte
	size    uint16
	auth    []byte
	data    []byte
}

func (x *nvIndex) has(attr uint32) bool { return x.attrs&attr == attr }
func (x *nvIndex) kind() uint32         { return x.attrs & nvTypeMask >> 4 }
func (x *nvIndex) pin() bool            { return x.kind() == nvPinFail || x.kind() == nvPinPass }

// erased is what an unwritten byte reads as: other TPMs keep orderly indexes in
// RAM and the rest in flash memory. A PIN index lets nobody in by what is not
// written.
func (x *nvIndex) erased() byte {
	if x.has(nvOrderly) || x.pin() {
		return 0
	}
	return 0xff
}

func (x *nvIndex) value() uint64 { return be.Uint64(x.data) } // of counters, bits and PINs

// public encodes the TPMS_NV_PUBLIC (Part 2, 13.5).
func (x *nvIndex) public() []byte {
	b := be.AppendUint32(nil, x.handle)
	b = be.AppendUint16(b, x.nameAlg)
	b = be.AppendUint32(b, x.attrs)
	return be.AppendUint16(append2B(b, x.policy), x.size)
}

// name computes the Name. It changes with the attributes, so with the first
// write too.
func (x *nvIndex) name() []byte {
	h, _ := hashOf(x.nameAlg)
	d := h.New()
	d.Write(x.public())
	return d.Sum(be.AppendUint16(nil, x.nameAlg))
}

// readIndexPublic reads a TPMS_NV_PUBLIC. It keeps no part of the input.
func readIndexPublic(r *reader) (*nvIndex, rcode) {
	x := &nvIndex{handle: r.u32()}
	if !r.bad && x.handle>>24 != rangeNV {
		return nil, rcValue
	}
	x.nameAlg = r.u16()
	if _, ok := hashOf(x.nameAlg); !ok && !r.bad {
		return nil, rcHash
	}
	if x.attrs = r.u32(); x.attrs&nvReserved != 0 {
		return nil, rcReservedBits
	}
	policy, rc := r.limited(maxDigest)
	if rc != rcSuccess {
		return nil, rc
	}
	x.policy, x.size = bytes.Clone(policy), r.u16()
	switch {
	case r.bad:
		return nil, rcInsufficient
	case x.size > maxIndexSize:
		return nil, rcSize
	}
	return x, rcSuccess
}

// checkNew applies the rules of TPM2_NV_DefineSpace (Part 3, 31.3). The places
// are those of the command: handle 1, and parameter 2 for the public area.
func (x *nvIndex) checkNew(by uint32) rcode {
	h, _ := hashOf(x.nameAlg)
	if n := len(x.policy); n != 0 && n != h.Size() {
		return rcSize.param(2)
	}
	if rc := x.checkType(h.Size()); rc != rcSuccess {
		return rc.param(2)
	}
	switch {
	case x.attrs&(nvWritten|nvWriteLocked|nvReadLocked) != 0,
		x.attrs&(nvOwnerRead|nvPPRead|nvAuthRead|nvPolicyRead) == 0,
		x.attrs&(nvOwnerWrite|nvPPWrite|nvAuthWrite|nvPolicyWrite) == 0,
		x.has(nvClearStClear | nvWriteDefine):
		return rcAttributes.param(2)
	case x.has(nvPlatformCreate) != (by == rhPlatform):
		return rcAttributes.handle(1) // else nobody could remove it
	case x.has(nvPolicyDelete) && by != rhPlatform:
		return rcAttributes.param(2)
	case x.size > maxNVBuffer && x.has(nvWriteAll):
		return rcSize.param(2)
	}
	return rcSuccess
}

// checkType applies the rules of each type; digest is the size of the nameAlg.
func (x *nvIndex) checkType(digest int) rcode {
	switch x.kind() {
	case nvOrdinary:
		return rcSuccess
	case nvExtend:
		if int(x.size) != digest {
			return rcSize
		}
		return rcSuccess
	case nvCounter, nvBits, nvPinFail, nvPinPass:
		if x.size != 8 {
			return rcSize
		}
	default:
		return rcAttributes
	}
	switch {
	case x.kind() == nvCounter && x.has(nvClearStClear),
		x.kind() == nvPinFail && !x.has(nvNoDA),
		// The value of a PIN index is there only once it is written, so the
		// PIN itself must not be needed for that.
		x.pin() && x.attrs&(nvAuthWrite|nvGlobalLock|nvWriteDefine) != 0:
		return rcAttributes
	}
	return rcSuccess
}

// mayRead tells whether the authorization at handle 1 allows a read of the
// index at handle 2 (Part 3, 31.1). The index' own authorization was checked
// with its attributes before.
func (c *call) mayRead(by entity, x *nvIndex) rcode {
	if x.has(nvReadLocked) {
		return rcNVLocked
	}
	if rc := mayAccess(by, x, nvOwnerRead, nvPPRead); rc != rcSuccess {
		return rc
	}
	if !x.has(nvWritten) {
		return rcNVUninit
	}
	return rcSuccess
}

func (c *call) mayWrite(by entity, x *nvIndex) rcode {
	if x.has(nvWriteLocked) {
		return rcNVLocked
	}
	return mayAccess(by, x, nvOwnerWrite, nvPPWrite)
}

func mayAccess(by entity, x *nvIndex, owner, platform uint32) rcode {
	switch {
	case by.handle == rhOwner && x.has(owner), by.handle == rhPlatform && x.has(platform), by.handle == x.handle:
		return rcSuccess
	}
	return rcNVAuth
}

// putIndex saves a changed copy of an index, written for data.
func (t *TPM) putIndex(x *nvIndex, change func(*nvIndex)) rcode {
	next := *x
	change(&next)
	return t.update(func(nv *nvState) { nv.indexes[x.handle] = &next })
}

// restartIndexes lifts the locks that last until a start, and takes back what
// was written in an index that other TPMs keep in RAM, as TPM2_Startup does (Part
// 2, 13.4). Counters stay.
func restartIndexes(nv *nvState) {
	for h, x := range nv.indexes {
		attrs := x.attrs &^ nvReadLocked
		if x.attrs&(nvClearStClear|nvOrderly) != 0 && x.kind() != nvCounter {
			attrs &^= nvWritten
		}
		if attrs&(nvWriteDefine|nvWritten) != nvWriteDefine|nvWritten {
			attrs &^= nvWriteLocked
		}
		if attrs != x.attrs {
			next := *x
			next.attrs = attrs
			nv.indexes[h] = &next
		}
	}
}

// deleteIndex takes an index out of a state. A counter that is defined later
// starts above all values that a deleted one had, so that it can never show
// the same value again (Part 3, 31.8).
func (nv *nvState) deleteIndex(x *nvIndex) {
	if x.kind() == nvCounter && x.has(nvWritten) {
		nv.maxCount = max(nv.maxCount, x.value())
	}
	delete(nv.indexes, x.handle)
}

// indexEnabled tells whether the hierarchy that an index belongs to is on.
func (t *TPM) indexEnabled(x *nvIndex) bool {
	if x.has(nvPlatformCreate) {
		return !t.off.platformNV
	}
	return !t.off.owner
}

// used is how much NV space the indexes take.
func (nv *nvState) used() int {
	n := 0
	for _, x := range nv.indexes {
		n += int(x.size) + indexCost
	}
	return n
}
