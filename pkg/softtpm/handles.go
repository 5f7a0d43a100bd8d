package softtpm

import (
	"slices"

	"github.com/google/go-tpm/tpm2"
)

// Fixed handles (Part 2, 7.4).
const (
	rhOwner       = uint32(tpm2.TPMRHOwner)
	rhNull        = uint32(tpm2.TPMRHNull)
	rhPassword    = uint32(tpm2.TPMRSPW)
	rhLockout     = uint32(tpm2.TPMRHLockout)
	rhEndorsement = uint32(tpm2.TPMRHEndorsement)
	rhPlatform    = uint32(tpm2.TPMRHPlatform)
	rhPlatformNV  = uint32(0x4000000d)
)

// Handle ranges: the top byte says what a handle points to.
const (
	rangePCR        = 0x00
	rangeNV         = 0x01
	rangeHMAC       = 0x02
	rangePolicy     = 0x03
	rangePermanent  = 0x40
	rangeTransient  = 0x80
	rangePersistent = 0x81

	baseHMAC       = uint32(rangeHMAC) << 24
	basePolicy     = uint32(rangePolicy) << 24
	baseTransient  = uint32(rangeTransient) << 24
	basePersistent = uint32(rangePersistent) << 24
)

// handleKind says what a command accepts at one handle.
type handleKind byte

const (
	kindObject     handleKind = iota + 1
	kindObjectNull            // an object or TPM_RH_NULL
	kindEntity                // anything that has an authValue
	kindEntityNull
	kindHierarchy     // owner, endorsement, platform or null
	kindParent        // an object or a hierarchy
	kindProvision     // owner or platform
	kindClear         // lockout or platform
	kindHierarchyAuth // owner, endorsement, platform or lockout
	kindBase          // owner, endorsement or platform
	kindEndorsement
	kindPlatform
	kindLockout
	kindNV      // an NV index
	kindNVAuth  // owner, platform or an NV index
	kindPolicy  // a policy or trial session
	kindHMAC    // an HMAC session
	kindContext // a transient object or a session
	kindPCR
	kindPCRNull
)

// permanent tells which fixed handles a kind accepts.
func (k handleKind) permanent(h uint32) bool {
	switch k {
	case kindHierarchy, kindParent:
		return h == rhNull || kindBase.permanent(h)
	case kindEntity, kindHierarchyAuth:
		return h == rhLockout || kindBase.permanent(h)
	case kindBase:
		return h == rhOwner || h == rhEndorsement || h == rhPlatform
	case kindEntityNull:
		return h == rhNull || kindEntity.permanent(h)
	case kindObjectNull, kindPCRNull:
		return h == rhNull
	case kindProvision, kindNVAuth:
		return h == rhOwner || h == rhPlatform
	case kindClear:
		return h == rhLockout || h == rhPlatform
	case kindLockout:
		return h == rhLockout
	case kindEndorsement:
		return h == rhEndorsement
	case kindPlatform:
		return h == rhPlatform
	default:
		return false
	}
}

func (k handleKind) object() bool {
	switch k {
	case kindObject, kindObjectNull, kindEntity, kindEntityNull, kindParent:
		return true
	default:
		return false
	}
}

func (k handleKind) nv() bool {
	switch k {
	case kindNV, kindNVAuth, kindEntity, kindEntityNull:
		return true
	default:
		return false
	}
}

func (k handleKind) pcr() bool {
	switch k {
	case kindPCR, kindPCRNull, kindEntity, kindEntityNull:
		return true
	default:
		return false
	}
}

// entity is what one handle of a command points to.
type entity struct {
	handle  uint32
	object  *object  // set for objects
	session *session // set for sessions
	index   *nvIndex // set for NV indexes
}

// resolve looks up handle number i (from 0) and checks its kind.
//
//nolint:cyclop // one case a range of handles, as Part 2 lists them
func (t *TPM) resolve(k handleKind, h uint32, i int) (entity, rcode) {
	e := entity{handle: h}
	wrong := rcValue.handle(i + 1)
	switch h >> 24 {
	case rangeTransient:
		if !k.object() && k != kindContext {
			return e, wrong
		}
		if h-baseTransient >= uint32(len(t.slots)) {
			return e, wrong
		}
		if e.object = t.transient(h); e.object == nil {
			return e, rcReferenceH0 + rcode(i)
		}
	case rangePersistent:
		if !k.object() {
			return e, wrong
		}
		var rc rcode
		if e.object, rc = t.borrow(h); rc != rcSuccess {
			return e, rc.handle(i + 1)
		}
	case rangeNV:
		if !k.nv() {
			return e, wrong
		}
		if e.index = t.nv.indexes[h]; e.index == nil || !t.indexEnabled(e.index) {
			return e, rcHandle.handle(i + 1)
		}
	case rangeHMAC, rangePolicy:
		fits := k == kindContext || k == kindPolicy && h>>24 == rangePolicy || k == kindHMAC && h>>24 == rangeHMAC
		if !fits || h&0x00ffffff >= maxActiveSess {
			return e, wrong
		}
		if e.session = t.session(h); e.session == nil {
			if t.session(otherRange(h)) != nil {
				return e, rcHandle.handle(i + 1)
			}
			return e, rcReferenceH0 + rcode(i)
		}
	case rangePermanent:
		if !k.permanent(h) {
			return e, wrong
		}
		if !t.enabled(h) {
			return e, rcHierarchy.handle(i + 1)
		}
	case rangePCR:
		if h >= pcrCount || !k.pcr() {
			return e, wrong
		}
	default:
		return e, wrong
	}
	return e, rcSuccess
}

func (t *TPM) transient(h uint32) *object {
	if i := h - baseTransient; i < uint32(len(t.slots)) {
		return t.slots[i]
	}
	return nil
}

// borrow gives a persistent object for one command. As on other TPMs it takes a
// free slot for that time, so that whoever gets by with the slots of this TPM
// gets by with those of a chip.
func (t *TPM) borrow(h uint32) (*object, rcode) {
	if !t.enabled(persistentOwner(h)) {
		return nil, rcHandle
	}
	i := slices.Index(t.slots, nil)
	if i < 0 {
		return nil, rcObjectMemory
	}
	o := t.persistent(h)
	if o == nil || !t.enabled(o.hier) && t.call.cmd.code != tpm2.TPMCCEvictControl {
		return nil, rcHandle
	}
	t.slots[i] = o
	t.call.borrowed[t.call.borrows] = i
	t.call.borrows++
	return o, rcSuccess
}

// persistentOwner gives the hierarchy that a persistent handle belongs to: each
// of the two has one half of the range.
func persistentOwner(h uint32) uint32 {
	if h&0x00800000 != 0 {
		return rhPlatform
	}
	return rhOwner
}

// giveBack frees the slots that a command took for persistent objects.
func (c *call) giveBack() {
	for _, i := range c.borrowed[:c.borrows] {
		c.t.slots[i] = nil
	}
}

// persistent gives a persistent object, unpacked at its first use.
func (t *TPM) persistent(h uint32) *object {
	if o := t.persisted[h]; o != nil {
		return o
	}
	packed, ok := t.nv.persistent[h]
	if !ok {
		return nil
	}
	o, rc := unpackObject(packed)
	if rc != rcSuccess {
		return nil
	}
	if t.persisted == nil {
		t.persisted = map[uint32]*object{}
	}
	t.persisted[h] = o
	return o
}

// place puts an object into a free slot.
func (t *TPM) place(o *object) (uint32, rcode) {
	i := slices.Index(t.slots, nil)
	if i < 0 {
		return 0, rcObjectMemory
	}
	t.slots[i] = o
	return baseTransient + uint32(i), rcSuccess
}

// room refuses a command that makes an object, before any work, when there is
// no slot for it. Create needs one too, because chips make the object in it.
func (t *TPM) room() rcode {
	if slices.Index(t.slots, nil) < 0 {
		return rcObjectMemory
	}
	return rcSuccess
}

// appendName appends the Name of an entity as it enters cpHash and policies
// (Part 1, 16): that of an object or index, nothing for a sequence, else the
// handle.
func (e entity) appendName(b []byte) []byte {
	switch {
	case e.object != nil:
		return append(b, e.object.name...)
	case e.index != nil:
		return append(b, e.index.name()...)
	default:
		return be.AppendUint32(b, e.handle)
	}
}

// authValue gives the secret that authorizes the use of an entity.
func (t *TPM) authValue(e entity) []byte {
	switch {
	case e.object != nil:
		return e.object.auth
	case e.index != nil:
		return e.index.auth
	case e.handle == rhLockout:
		return t.nv.lockoutAuth
	case e.handle == rhPlatform:
		return t.platformAuth
	case e.handle == rhOwner || e.handle == rhEndorsement:
		return t.hierarchy(e.handle).auth
	}
	return nil // TPM_RH_NULL and PCRs have none
}

// policyOf gives the authPolicy of an entity.
func (t *TPM) policyOf(e entity) policy {
	switch {
	case e.object != nil:
		return policy{e.object.pub.nameAlg, e.object.pub.policy}
	case e.index != nil:
		return policy{e.index.nameAlg, e.index.policy}
	case e.handle == rhOwner:
		return t.nv.ownerPolicy
	case e.handle == rhEndorsement:
		return t.nv.endorsementPolicy
	case e.handle == rhLockout:
		return t.nv.lockoutPolicy
	case e.handle == rhPlatform:
		return t.platformPolicy
	}
	return policy{}
}
