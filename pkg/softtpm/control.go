package softtpm

import (
	"bytes"
	"maps"
)

// switches says which hierarchies are off. TPM2_Startup(CLEAR) turns all on.
type switches struct {
	owner, endorsement, platform, platformNV bool
}

// enabled tells whether a hierarchy may be used.
func (t *TPM) enabled(h uint32) bool {
	switch h {
	case rhOwner:
		return !t.off.owner
	case rhEndorsement:
		return !t.off.endorsement
	case rhPlatform:
		return !t.off.platform
	default:
		return true
	}
}

// hierarchyControl is TPM2_HierarchyControl (Part 3, 24.2). Whoever turns a
// hierarchy off loses its loaded objects; blobs, persistent objects and NV
// indexes are back when the platform turns it on again.
func hierarchyControl(c *call) rcode {
	which := c.in.u32()
	off, by := &c.t.off, c.entities[0].handle
	var one *bool
	switch which {
	case rhOwner:
		one = &off.owner
	case rhEndorsement:
		one = &off.endorsement
	case rhPlatform:
		one = &off.platform
	case rhPlatformNV:
		one = &off.platformNV
	default:
		c.in.fail(rcValue)
	}
	on := c.in.yesNo()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	// The platform may do all; owner and endorsement only turn themselves off.
	own := by == which && (which == rhOwner || which == rhEndorsement)
	if by != rhPlatform && !(own && (!on || !*one)) {
		return rcAuthType
	}
	if *one == !on {
		return rcSuccess
	}
	*one = !on
	if !on && which != rhPlatformNV {
		c.t.flushHierarchy(which)
	}
	return rcSuccess
}

// flushHierarchy drops the loaded objects of a hierarchy.
func (t *TPM) flushHierarchy(h uint32) {
	for i, o := range t.slots {
		if o != nil && o.sequence == nil && o.hier == h {
			t.slots[i] = nil
		}
	}
	t.persisted, t.cache = nil, keyCache{}
}

// clearControl is TPM2_ClearControl (Part 3, 24.7). Only the platform lifts
// the ban again.
func clearControl(c *call) rcode {
	disable := c.in.yesNo()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	if !disable && c.entities[0].handle == rhLockout {
		return rcAuthFail
	}
	return c.t.update(func(nv *nvState) { nv.clearDisabled = disable })
}

// clearTPM is TPM2_Clear (Part 3, 24.6): the owner's and the endorsement
// hierarchy's keys are gone, the endorsement seed stays.
func clearTPM(c *call) rcode {
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	t := c.t
	if t.nv.clearDisabled {
		return rcDisabled
	}
	run := t.time()
	rc := t.update(func(nv *nvState) {
		seed := nv.endorsement.seed
		nv.owner, nv.endorsement = newHierarchy(), newHierarchy()
		nv.endorsement.seed = seed
		nv.lockoutAuth = nil
		nv.ownerPolicy, nv.endorsementPolicy, nv.lockoutPolicy = policy{}, policy{}, policy{}
		nv.failures, nv.lockoutFail = 0, 0
		nv.maxTries, nv.recovery, nv.lockoutRecovery = firstTries, firstRecovery, firstLockoutRecovery
		nv.resets, nv.auditCounter = 0, 0
		nv.clock = -run // the clock starts anew
		nv.dropKeys(rhOwner)
		nv.dropKeys(rhEndorsement)
		for _, x := range nv.indexes {
			if !x.has(nvPlatformCreate) {
				nv.deleteIndex(x)
			}
		}
	})
	if rc != rcSuccess {
		return rc
	}
	t.off.owner, t.off.endorsement = false, false
	t.flushHierarchy(rhOwner)
	t.flushHierarchy(rhEndorsement)
	t.pcrs.updates++
	return rcSuccess
}

// dropKeys removes the persistent objects of a hierarchy.
func (nv *nvState) dropKeys(h uint32) {
	maps.DeleteFunc(nv.persistent, func(_ uint32, packed []byte) bool {
		r := reader{b: packed}
		return r.u32() == h
	})
}

// changeEPS is TPM2_ChangeEPS (Part 3, 24.4): a new endorsement seed.
func changeEPS(c *call) rcode {
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	rc := c.t.update(func(nv *nvState) {
		nv.endorsement, nv.endorsementPolicy = newHierarchy(), policy{}
		nv.dropKeys(rhEndorsement)
	})
	if rc == rcSuccess {
		c.t.off.endorsement = false
		c.t.flushHierarchy(rhEndorsement)
	}
	return rc
}

// changePPS is TPM2_ChangePPS (Part 3, 24.3): a new platform seed.
func changePPS(c *call) rcode {
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	rc := c.t.update(func(nv *nvState) {
		nv.platform = newHierarchy()
		nv.dropKeys(rhPlatform)
		for _, x := range nv.indexes {
			if x.has(nvPlatformCreate) {
				nv.deleteIndex(x)
			}
		}
	})
	if rc == rcSuccess {
		c.t.platformPolicy = policy{}
		c.t.flushHierarchy(rhPlatform)
	}
	return rc
}

// setPrimaryPolicy is TPM2_SetPrimaryPolicy (Part 3, 24.3).
func setPrimaryPolicy(c *call) rcode {
	p := policy{digest: bytes.Clone(c.in.sized(maxDigest)), alg: c.in.hashOrNull()}
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	h, ok := hashOf(p.alg)
	if p.alg == algNull {
		p.alg = 0
	}
	if ok && len(p.digest) != h.Size() || !ok && len(p.digest) != 0 {
		return rcSize.param(1)
	}
	if c.entities[0].handle == rhPlatform {
		c.t.platformPolicy = p // volatile, as its authValue
		return rcSuccess
	}
	return c.t.update(func(nv *nvState) {
		switch c.entities[0].handle {
		case rhOwner:
			nv.ownerPolicy = p
		case rhEndorsement:
			nv.endorsementPolicy = p
		case rhLockout:
			nv.lockoutPolicy = p
		}
	})
}
