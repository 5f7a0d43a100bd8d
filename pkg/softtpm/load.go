package softtpm

import "bytes"

// load is TPM2_Load (Part 3, 12.2).
func load(c *call) rcode {
	private, p := c.in.sized(maxBlob), c.in.public()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	if rc := c.t.room(); rc != rcSuccess {
		return rc
	}
	parent := c.object(0)
	if !parent.isStorage() {
		return rcType.handle(1)
	}
	o, rc := c.t.loadChild(parent, private, p)
	if rc != rcSuccess {
		return rc
	}
	if c.handle, rc = c.t.place(o); rc != rcSuccess {
		return rc
	}
	c.put2B(o.name)
	return rcSuccess
}

// loadExternal is TPM2_LoadExternal (Part 3, 12.3): a public key for any
// hierarchy, or a key pair in the clear, which belongs to none.
func loadExternal(c *call) rcode {
	sensitive, p, hier := c.in.sensitive(), c.in.public(), c.in.hierarchy()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	if rc := c.t.room(); rc != rcSuccess {
		return rc
	}
	switch {
	case !c.t.enabled(hier), len(sensitive) > 0 && hier != rhNull:
		return rcHierarchy.param(3)
	case len(sensitive) > 0 && p.attrs&(attrFixedTPM|attrFixedParent|attrRestricted) != 0:
		return rcAttributes.param(2) // a known key must not look bound
	}
	if rc := p.checkShape(); rc != rcSuccess {
		return rc.param(2)
	}
	if rc := p.checkPublicKey(); rc != rcSuccess {
		return rc.param(2)
	}
	o := newObject(p.own(), hier)
	o.external, o.publicOnly = true, len(sensitive) == 0
	if !o.publicOnly {
		if rc := o.readSensitive(sensitive); rc != rcSuccess {
			return rc.param(1)
		}
	}
	o.qualify(be.AppendUint32(nil, hier))
	var rc rcode
	if c.handle, rc = c.t.place(o); rc != rcSuccess {
		return rc
	}
	c.put2B(o.name)
	return rcSuccess
}

// readPublic is TPM2_ReadPublic (Part 3, 12.4).
func readPublic(c *call) rcode {
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	o := c.object(0)
	if o.sequence != nil {
		return rcSequence
	}
	c.put2B(o.pub.raw)
	c.put2B(o.name)
	c.put2B(o.qn)
	return rcSuccess
}

// flushContext is TPM2_FlushContext (Part 3, 28.4). The handle is a parameter.
func flushContext(c *call) rcode {
	h := c.in.u32()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	switch i := h & 0x00ffffff; h >> 24 {
	case rangeTransient:
		if i >= uint32(len(c.t.slots)) {
			return rcValue.param(1)
		}
		if c.t.transient(h) == nil {
			return rcHandle.param(1)
		}
		c.t.slots[h-baseTransient] = nil
	case rangeHMAC, rangePolicy:
		// A policy session may be named by either range (Part 3, 28.4.1).
		other := otherRange(h)
		switch {
		case i >= maxActiveSess:
			return rcValue.param(1)
		case c.t.anySession(h) != nil:
			c.t.dropSession(h)
		case c.t.anySession(other) != nil:
			c.t.dropSession(other)
		default:
			return rcHandle.param(1)
		}
	default:
		return rcValue.param(1)
	}
	return rcSuccess
}

// objectChangeAuth is TPM2_ObjectChangeAuth (Part 3, 12.8): a new blob with the
// new authValue. The old blob stays good with the old value, as on any TPM.
func objectChangeAuth(c *call) rcode {
	auth := bytes.Clone(trim(c.in.sized(maxDigest)))
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	o, parent := c.object(0), c.object(1)
	if o.sequence != nil || !parent.isStorage() {
		return rcType.handle(2)
	}
	below := object{pub: o.pub, name: o.name}
	below.qualify(parent.qn)
	if !bytes.Equal(below.qn, o.qn) {
		return rcType.handle(2) // not the parent of this object
	}
	if len(auth) > o.pub.hash().Size() {
		return rcSize.param(1)
	}
	changed := *o
	changed.auth = auth
	c.put2B(parent.seal(&changed))
	return rcSuccess
}
