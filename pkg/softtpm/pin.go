package softtpm

// A PIN index is an authValue with a counter of its own: pinCount and
// pinLimit, 32 bits each (Part 1, 37.2.6 and 37.2.7).

// pinLeft tells whether the counter is below the limit.
func pinLeft(x *nvIndex) bool { return be.Uint32(x.data) < be.Uint32(x.data[4:]) }

// countPIN updates the counter of the index at handle i for an authorization
// that came out as rc, and gives the code of the command. A PIN that cannot be
// counted is not accepted.
func (c *call) countPIN(i int, rc rcode) rcode {
	x := c.entities[i].index
	wrong := rc&0x0bf == rcBadAuth || rc&0x0bf == rcAuthFail
	if !x.has(nvWritten) || rc != rcSuccess && !wrong {
		return rc
	}
	count := be.Uint32(x.data)
	switch {
	case x.kind() == nvPinFail && rc == rcSuccess:
		count = 0
	case x.kind() == nvPinFail && wrong && count < 1<<32-1, x.kind() == nvPinPass && rc == rcSuccess:
		count++
	}
	if count == be.Uint32(x.data) {
		return rc
	}
	data := be.AppendUint32(nil, count)
	saved := c.t.putIndex(x, func(next *nvIndex) { next.data = append(data, x.data[4:]...) })
	if saved != rcSuccess {
		return saved
	}
	next := c.t.nv.indexes[x.handle]
	for j := range c.entities {
		if c.entities[j].index == x {
			c.entities[j].index = next
		}
	}
	return rc
}
