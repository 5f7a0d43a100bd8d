package softtpm

import "github.com/google/go-tpm/tpm2"

// Fixed handles (Part 2, 7.4).
const (
	rhOwner       = uint32(tpm2.TPMRHOwner)
	rhNull        = uint32(tpm2.TPMRHNull)
	rhPassword    = uint32(tpm2.TPMRSPW)
	rhLockout     = uint32(tpm2.TPMRHLockout)
	rhEndorsement = uint32(tpm2.TPMRHEndorsement)
	rhPlatform    = uint32(tpm2.TPMRHPlatform)
)

// Handle ranges: the top byte says what a handle points to.
const (
	rangePCR        = 0x00
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
	kindLockout
	kindPolicy  // a policy or trial session
	kindContext // a transient object or a session
	kindPCR
)

// permanent tells which fixed handles a kind accepts.
func (k handleKind) permanent(h uint32) bool {
	switch k {
	case kindHierarchy, kindParent:
		return h == rhOwner || h == rhEndorsement || h == rhPlatform || h == rhNull
	case kindEntity, kindHierarchyAuth:
		return h == rhOwner || h == rhEndorsement || h == rhPlatform || h == rhLockout
	case kindEntityNull:
		return h == rhNull || kindEntity.permanent(h)
	case kindObjectNull:
		return h == rhNull
	case kindProvision:
		return h == rhOwner || h == rhPlatform
	case kindClear:
		return h == rhLockout || h == rhPlatform
	case kindLockout:
		return h == rhLockout
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

// entity is what one handle of a command points to.
type entity struct {
	handle  uint32
	object  *object  // set for objects
	session *session // set for sessions
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
		if e.object = t.transient(h); e.object == nil {
			return e, rcReferenceH0 + rcode(i)
		}
	case rangePersistent:
		if !k.object() {
			return e, wrong
		}
		if e.object = t.persistent(h); e.object == nil {
			return e, rcHandle.handle(i + 1)
		}
	case rangeHMAC, rangePolicy:
		if k != kindContext && (k != kindPolicy || h>>24 != rangePolicy) {
			return e, wrong
		}
		if e.session = t.session(h); e.session == nil {
			return e, rcReferenceH0 + rcode(i)
		}
	case rangePermanent:
		if !k.permanent(h) {
			return e, wrong
		}
	case rangePCR:
		if h >= pcrCount || (k != kindPCR && k != kindEntity && k != kindEntityNull) {
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

// persistent gives a persistent object. It is unpacked at its first use and
// takes no transient slot.
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
	for i, s := range t.slots {
		if s == nil {
			t.slots[i] = o
			return baseTransient + uint32(i), rcSuccess
		}
	}
	return 0, rcObjectMemory
}

// appendName appends the Name of an entity as it enters cpHash and policies
// (Part 1, 16): an object's Name, nothing for a sequence, else the handle.
func (e entity) appendName(b []byte) []byte {
	switch {
	case e.object != nil:
		return append(b, e.object.name...)
	default:
		return be.AppendUint32(b, e.handle)
	}
}

// authValue gives the secret that authorizes the use of an entity.
func (t *TPM) authValue(e entity) []byte {
	switch {
	case e.object != nil:
		return e.object.auth
	case e.handle == rhLockout:
		return t.nv.lockoutAuth
	case e.handle == rhPlatform:
		return t.platformAuth
	case e.handle == rhOwner || e.handle == rhEndorsement:
		return t.hierarchy(e.handle).auth
	}
	return nil // TPM_RH_NULL and PCRs have none
}
