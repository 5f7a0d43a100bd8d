package softtpm

import (
	"bytes"
	"crypto/cipher"
)

// Values of savedHandle (Part 2, 14.5).
const (
	savedOrdinary = 0x80000000
	savedSequence = 0x80000001
	savedStClear  = 0x80000002
)

// contextKey protects saved contexts. It is new at every start, and the proof
// of the hierarchy is part of the protection, so contexts die at a restart and
// with TPM2_Clear, as the objects they came from.
type contextKey struct {
	aead cipher.AEAD
	next uint64
}

func newContextKey() contextKey { return contextKey{aead: newAEAD(random(32))} }

// contextData is what a context is bound to: its head and its hierarchy.
func (t *TPM) contextData(head []byte, hier uint32) []byte {
	proof := t.hierarchy(hier).proof
	return append(bytes.Clone(head), proof[:]...)
}

// contextSave is TPM2_ContextSave (Part 3, 28.2). An object stays loaded; a
// session is only in its context afterwards.
func contextSave(c *call) rcode {
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	k := &c.t.contexts
	handle, hier := uint32(savedOrdinary), rhNull
	var inside []byte
	if s := c.entities[0].session; s != nil {
		// The session itself never leaves the process: the context is a
		// sealed note that brings it back once.
		handle = c.entities[0].handle
		k.next++
		s.saved = k.next
	} else {
		o := c.object(0)
		switch hier = o.hier; {
		case o.sequence != nil:
			packed := o.sequence.pack()
			if packed == nil {
				return rcType.handle(1)
			}
			handle, inside = savedSequence, append(append2B(nil, o.auth), packed...)
		case o.stClear:
			handle, inside = savedStClear, o.pack()
		default:
			inside = o.pack()
		}
		k.next++
	}
	head := be.AppendUint64(nil, k.next)
	head = be.AppendUint32(head, handle)
	head = be.AppendUint32(head, hier)
	c.out = append(c.out, head...)
	c.put2B(k.aead.Seal(nil, nil, inside, c.t.contextData(head, hier)))
	return rcSuccess
}

// contextLoad is TPM2_ContextLoad (Part 3, 28.3).
func contextLoad(c *call) rcode {
	var head reader
	var blob []byte
	c.in.group(func(r *reader) (rc rcode) {
		if head.b = r.take(16); r.bad {
			return rcInsufficient
		}
		blob, rc = r.limited(maxContext)
		return rc
	})
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	k := &c.t.contexts
	if len(blob) < k.aead.Overhead() {
		return rcSize.param(1)
	}
	fixed := head.b
	number, handle, hier := head.u64(), head.u32(), head.u32()
	if c.t.hierarchy(hier) == nil || !contextHandle(handle) {
		return rcValue.param(1)
	}
	if !c.t.enabled(hier) {
		return rcHierarchy.param(1)
	}
	inside, err := k.aead.Open(nil, nil, blob, c.t.contextData(fixed, hier))
	if err != nil {
		return rcIntegrity.param(1)
	}
	if h := handle >> 24; h == rangeHMAC || h == rangePolicy {
		s := c.t.anySession(handle)
		if s == nil || s.saved != number {
			return rcHandle.param(1) // flushed, or loaded before
		}
		if loaded, _ := c.t.countSessions(); loaded >= maxLoadedSess {
			return rcSessionMemory
		}
		s.saved, c.handle = 0, handle
		return rcSuccess
	}
	if handle == savedSequence {
		r := reader{b: inside}
		auth := bytes.Clone(r.sized())
		s, ok := unpackSequence(&r)
		if !ok {
			return rcIntegrity.param(1)
		}
		var rc rcode
		c.handle, rc = c.t.place(sequenceObject(s, auth))
		return rc
	}
	o, rc := unpackObject(bytes.Clone(inside))
	if rc != rcSuccess {
		return rcIntegrity.param(1)
	}
	c.handle, rc = c.t.place(o)
	return rc
}

// contextHandle tells whether a context can be of a handle.
func contextHandle(h uint32) bool {
	switch h >> 24 {
	case rangeHMAC, rangePolicy:
		return h&0x00ffffff < maxActiveSess
	default:
		return h >= savedOrdinary && h <= savedStClear
	}
}

// evictControl is TPM2_EvictControl (Part 3, 28.5): make an object persistent,
// or remove a persistent one.
func evictControl(c *call) rcode {
	handle := c.in.u32()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	t, by, e := c.t, c.entities[0].handle, c.entities[1]
	kept := e.handle>>24 == rangePersistent
	o := e.object
	switch {
	case handle>>24 != rangePersistent:
		return rcValue.param(1)
	case kept && handle != e.handle:
		return rcHandle.handle(2)
	case o.sequence != nil, o.publicOnly, o.external, o.hier == rhNull, o.stClear:
		return rcAttributes.handle(2)
	case kept && by == rhPlatform: // it removes what it likes
	case (o.hier == rhPlatform) != (by == rhPlatform):
		return rcHierarchy.handle(2)
	case persistentOwner(handle) != by:
		return rcRange.param(1)
	}
	switch {
	case kept:
		rc := t.update(func(nv *nvState) { delete(nv.persistent, handle) })
		if rc == rcSuccess {
			delete(t.persisted, handle)
		}
		return rc
	case t.nv.persistent[handle] != nil:
		return rcNVDefined
	case len(t.nv.persistent) >= maxPersistent:
		return rcNVSpace
	}
	return t.update(func(nv *nvState) {
		if nv.persistent == nil {
			nv.persistent = map[uint32][]byte{}
		}
		nv.persistent[handle] = o.pack()
	})
}
