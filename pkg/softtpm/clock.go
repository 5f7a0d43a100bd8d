package softtpm

import "time"

// time is the time in milliseconds since power on.
func (t *TPM) time() uint64 { return uint64(max(t.cfg.Now().Sub(t.born)/time.Millisecond, 0)) }

// clock is the time in milliseconds that this TPM has run since it was made
// or cleared. It wraps to zero with the time run when it is cleared.
func (t *TPM) clock() uint64 { return t.nv.clock + t.time() }

// appendClockInfo appends a TPMS_CLOCK_INFO (Part 2, 10.11.1).
func (t *TPM) appendClockInfo(b []byte) []byte {
	b = be.AppendUint64(b, t.clock())
	b = be.AppendUint32(b, t.nv.resets)
	b = be.AppendUint32(b, 0) // restarts: there is no resume
	return append(b, 1)       // the clock never ran backwards
}

// appendTimeInfo appends a TPMS_TIME_INFO (Part 2, 10.11.6).
func (t *TPM) appendTimeInfo(b []byte) []byte {
	return t.appendClockInfo(be.AppendUint64(b, t.time()))
}

// readClock is TPM2_ReadClock (Part 3, 29.1).
func readClock(c *call) rcode {
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	c.out = c.t.appendTimeInfo(c.out)
	return rcSuccess
}

// clockSet is TPM2_ClockSet (Part 3, 29.2): the clock goes forward only.
func clockSet(c *call) rcode {
	to := c.in.u64()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	const never = 0xffff000000000000 // room left so that it cannot run over
	if to < c.t.clock() || to > never {
		return rcValue.param(1)
	}
	run := c.t.time()
	return c.t.update(func(nv *nvState) { nv.clock = to - run })
}

// clockRateAdjust is TPM2_ClockRateAdjust (Part 3, 29.3). The clock is that of
// the machine and right as it is, so the wish is taken and has no effect.
func clockRateAdjust(c *call) rcode {
	rate := int8(c.in.u8())
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	if rate < -3 || rate > 3 {
		return rcValue.param(1)
	}
	return rcSuccess
}
