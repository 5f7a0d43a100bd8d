package softtpm

import "bytes"

// nvDefineSpace is TPM2_NV_DefineSpace (Part 3, 31.3).
func nvDefineSpace(c *call) rcode {
	auth := bytes.Clone(trim(c.in.sized(maxDigest)))
	var x *nvIndex
	c.in.nested(func(r *reader) (rc rcode) {
		x, rc = readIndexPublic(r)
		return rc
	})
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	if h, _ := hashOf(x.nameAlg); len(auth) > h.Size() {
		return rcSize.param(1)
	}
	by := c.entities[0].handle
	if by == rhPlatform && c.t.off.platformNV {
		return rcHierarchy.handle(1)
	}
	if rc := x.checkNew(by); rc != rcSuccess {
		return rc
	}
	if c.t.nv.indexes[x.handle] != nil {
		return rcNVDefined
	}
	if c.t.nv.used()+int(x.size)+indexCost > maxNVSpace || len(c.t.nv.indexes) >= maxIndexes {
		return rcNVSpace
	}
	x.auth, x.data = auth, bytes.Repeat([]byte{x.erased()}, int(x.size))
	return c.t.update(func(nv *nvState) {
		if nv.indexes == nil {
			nv.indexes = map[uint32]*nvIndex{}
		}
		nv.indexes[x.handle] = x
	})
}

// nvUndefineSpace is TPM2_NV_UndefineSpace (Part 3, 31.4).
func nvUndefineSpace(c *call) rcode {
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	x := c.entities[1].index
	switch {
	case x.has(nvPolicyDelete):
		return rcAttributes.handle(2)
	case c.entities[0].handle == rhOwner && x.has(nvPlatformCreate):
		return rcNVAuth
	}
	return c.t.update(func(nv *nvState) { nv.deleteIndex(x) })
}

// nvUndefineSpaceSpecial is TPM2_NV_UndefineSpaceSpecial (Part 3, 31.5): the
// policy of the index and the platform agree to its end.
func nvUndefineSpaceSpecial(c *call) rcode {
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	x := c.entities[0].index
	if !x.has(nvPolicyDelete) {
		return rcAttributes.handle(1)
	}
	rc := c.t.update(func(nv *nvState) { nv.deleteIndex(x) })
	if rc == rcSuccess {
		c.entities[0] = entity{handle: rhNull} // its authValue is gone with it
	}
	return rc
}

// nvReadPublic is TPM2_NV_ReadPublic (Part 3, 31.6).
func nvReadPublic(c *call) rcode {
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	x := c.entities[0].index
	c.put2B(x.public())
	c.put2B(x.name())
	return rcSuccess
}

// nvChangeAuth is TPM2_NV_ChangeAuth (Part 3, 31.15).
func nvChangeAuth(c *call) rcode {
	auth := bytes.Clone(trim(c.in.sized(maxDigest)))
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	x := c.entities[0].index
	if h, _ := hashOf(x.nameAlg); len(auth) > h.Size() {
		return rcSize.param(1)
	}
	rc := c.t.putIndex(x, func(next *nvIndex) { next.auth = auth })
	if rc == rcSuccess { // the response is proved with the new value
		c.entities[0].index = c.t.nv.indexes[x.handle]
	}
	return rc
}
