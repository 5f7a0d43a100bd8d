package softtpm

import "bytes"

// nvRead is TPM2_NV_Read (Part 3, 31.13).
func nvRead(c *call) rcode {
	size, offset := int(c.in.u16()), int(c.in.u16())
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	x := c.entities[1].index
	if rc := c.mayRead(c.entities[0], x); rc != rcSuccess {
		return rc
	}
	switch {
	case size > maxNVBuffer:
		return rcValue.param(1)
	case offset > len(x.data):
		return rcValue.param(2)
	case size > len(x.data)-offset:
		return rcNVRange
	}
	c.put2B(x.data[offset : offset+size])
	return rcSuccess
}

// nvWrite is TPM2_NV_Write (Part 3, 31.7).
func nvWrite(c *call) rcode {
	data, offset := c.in.sized(maxNVBuffer), int(c.in.u16())
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	x := c.entities[1].index
	if rc := c.mayWrite(c.entities[0], x); rc != rcSuccess {
		return rc
	}
	switch {
	case x.kind() == nvCounter, x.kind() == nvBits, x.kind() == nvExtend:
		return rcAttributes
	case offset > len(x.data):
		return rcValue.param(2)
	case len(data) > len(x.data)-offset, x.has(nvWriteAll) && len(data) < len(x.data):
		return rcNVRange
	}
	next := bytes.Clone(x.data)
	if !x.has(nvWritten) { // what is not written now reads as erased memory
		next = bytes.Repeat([]byte{x.erased()}, len(x.data))
	}
	copy(next[offset:], data)
	return c.t.writeIndex(x, next)
}

// writeIndex replaces the data of an index.
func (t *TPM) writeIndex(x *nvIndex, data []byte) rcode {
	return t.putIndex(x, func(next *nvIndex) {
		next.data = data
		next.attrs |= nvWritten
	})
}

// nvIncrement is TPM2_NV_Increment (Part 3, 31.8).
func nvIncrement(c *call) rcode {
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	x := c.entities[1].index
	if rc := c.mayWrite(c.entities[0], x); rc != rcSuccess {
		return rc
	}
	if x.kind() != nvCounter {
		return rcAttributes.handle(2)
	}
	value := c.t.nv.maxCount
	if x.has(nvWritten) {
		value = x.value()
	}
	return c.t.writeIndex(x, be.AppendUint64(nil, value+1))
}

// nvExtendCommand is TPM2_NV_Extend (Part 3, 31.9).
func nvExtendCommand(c *call) rcode {
	data := c.in.sized(maxNVBuffer)
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	x := c.entities[1].index
	if rc := c.mayWrite(c.entities[0], x); rc != rcSuccess {
		return rc
	}
	if x.kind() != nvExtend {
		return rcAttributes.handle(2)
	}
	old := x.data
	if !x.has(nvWritten) {
		old = make([]byte, len(x.data))
	}
	alg, _ := hashOf(x.nameAlg)
	h := alg.New()
	h.Write(old)
	h.Write(data)
	return c.t.writeIndex(x, h.Sum(nil))
}

// nvSetBits is TPM2_NV_SetBits (Part 3, 31.10).
func nvSetBits(c *call) rcode {
	bits := c.in.u64()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	x := c.entities[1].index
	if rc := c.mayWrite(c.entities[0], x); rc != rcSuccess {
		return rc
	}
	if x.kind() != nvBits {
		return rcAttributes.handle(2)
	}
	if x.has(nvWritten) {
		bits |= x.value()
	}
	return c.t.writeIndex(x, be.AppendUint64(nil, bits))
}

// nvWriteLock is TPM2_NV_WriteLock (Part 3, 31.11). Locking twice is no error.
func nvWriteLock(c *call) rcode {
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	x := c.entities[1].index
	switch rc := c.mayWrite(c.entities[0], x); {
	case rc == rcNVLocked:
		return rcSuccess
	case rc != rcSuccess:
		return rc
	case x.attrs&(nvWriteDefine|nvWriteStClear) == 0:
		return rcAttributes.handle(2)
	}
	return c.t.putIndex(x, func(next *nvIndex) { next.attrs |= nvWriteLocked })
}

// nvReadLock is TPM2_NV_ReadLock (Part 3, 31.14). An index that was never
// written can be locked.
func nvReadLock(c *call) rcode {
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	x := c.entities[1].index
	switch rc := c.mayRead(c.entities[0], x); {
	case rc == rcNVLocked:
		return rcSuccess
	case rc == rcNVAuth:
		return rc
	case !x.has(nvReadStClear):
		return rcAttributes.handle(2)
	}
	return c.t.putIndex(x, func(next *nvIndex) { next.attrs |= nvReadLocked })
}

// nvGlobalWriteLock is TPM2_NV_GlobalWriteLock (Part 3, 31.12).
func nvGlobalWriteLock(c *call) rcode {
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	return c.t.update(func(nv *nvState) {
		for h, x := range nv.indexes {
			if x.has(nvGlobalLock) {
				next := *x
				next.attrs |= nvWriteLocked
				nv.indexes[h] = &next
			}
		}
	})
}
