package softtpm

import "bytes"

// hierarchyChangeAuth is TPM2_HierarchyChangeAuth (Part 3, 24.8).
func hierarchyChangeAuth(c *call) rcode {
	auth := bytes.Clone(trim(c.in.sized(maxDigest)))
	if rc := c.in.end(); rc != rcSuccess {
		return rc
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
