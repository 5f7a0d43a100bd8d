package softtpm

import (
	"bytes"
	"maps"
)

// clearTPM is TPM2_Clear (Part 3, 24.6): the owner's and the endorsement
// hierarchy's keys are gone, the endorsement seed stays.
func clearTPM(c *call) rcode {
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	t := c.t
	rc := t.update(func(nv *nvState) {
		seed := nv.endorsement.seed
		nv.owner, nv.endorsement = newHierarchy(), newHierarchy()
		nv.endorsement.seed = seed
		nv.lockoutAuth = nil
		nv.failures, nv.lockoutFail = 0, 0
		maps.DeleteFunc(nv.persistent, func(_ uint32, packed []byte) bool {
			r := reader{b: packed}
			return r.u32() != rhPlatform
		})
	})
	if rc != rcSuccess {
		return rc
	}
	for i, o := range t.slots {
		if o != nil && (o.hier == rhOwner || o.hier == rhEndorsement) {
			t.slots[i] = nil
		}
	}
	t.persisted, t.cache = nil, keyCache{}
	return rcSuccess
}

// hierarchyChangeAuth is TPM2_HierarchyChangeAuth (Part 3, 24.8).
func hierarchyChangeAuth(c *call) rcode {
	auth := bytes.Clone(trim(c.in.sized()))
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	if len(auth) > maxDigest {
		return rcSize.param(1)
	}
	h := c.entities[0].handle
	if h == rhPlatform {
		c.t.platformAuth = auth // volatile, so nothing to save
		return rcSuccess
	}
	return c.t.update(func(nv *nvState) {
		switch h {
		case rhOwner:
			nv.owner.auth = auth
		case rhEndorsement:
			nv.endorsement.auth = auth
		case rhLockout:
			nv.lockoutAuth = auth
		}
	})
}
