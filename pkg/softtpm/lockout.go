package softtpm

import "time"

// Dictionary-attack protection (Part 1, 19.8): objects and NV indexes without noDA share one
// counter of wrong authorizations; at the limit they are refused even with the
// right value, until time heals the counter or the lockout authority resets it.

// daProtected tells whether wrong tries on an entity are counted.
func (e entity) daProtected() bool {
	switch {
	case e.object != nil:
		return e.object.sequence == nil && e.object.pub.attrs&attrNoDA == 0
	default:
		return e.index != nil && !e.index.has(nvNoDA)
	}
}

// lockedOut refuses an entity whose authValue must not be tried now.
func (t *TPM) lockedOut(e entity) rcode {
	if e.handle == rhLockout {
		t.heal()
		if t.nv.lockoutFail != 0 {
			return rcLockout
		}
		return rcSuccess
	}
	if e.daProtected() {
		return t.daLocked()
	}
	return rcSuccess
}

// daLocked refuses while the counter is at its limit, and while the counter
// could not be saved: a try that leaves no trace must not be possible.
func (t *TPM) daLocked() rcode {
	t.heal()
	if t.unsaved {
		if rc := t.save(&t.nv); rc != rcSuccess {
			return rc
		}
		t.unsaved = false
	}
	if t.nv.failures >= t.nv.maxTries {
		return rcLockout
	}
	return rcSuccess
}

// wrongAuth counts a wrong authorization at session i (from 0) and gives its
// code. s is the HMAC session that failed, nil for a password.
func (t *TPM) wrongAuth(e entity, s *session, i int) rcode {
	now := t.cfg.Now().UnixNano()
	switch {
	case e.handle == rhLockout, s != nil && s.lockoutBound:
		t.nv.lockoutFail = now
	case e.daProtected() || (s != nil && s.daBound):
		// A bound session's key holds the authValue of its bind entity, so a
		// wrong HMAC may be a guess at that value.
		t.nv.failures++
		t.nv.lastFail = now
	default:
		return rcBadAuth.session(i + 1)
	}
	t.nv.orderly = false
	if rc := t.save(&t.nv); rc != rcSuccess {
		t.unsaved = true // counted in memory whatever the storage does
		return rc
	}
	return rcAuthFail.session(i + 1)
}

// heal takes one failure off for each recovery time that has passed, and lifts
// the block of the lockout hierarchy. Zero recovery means never by time. It is
// a pure function of saved values, so healing itself is not saved.
func (t *TPM) heal() {
	now := t.cfg.Now().UnixNano()
	if step := int64(t.nv.recovery) * int64(time.Second); step > 0 && t.nv.failures > 0 {
		if n := (now - t.nv.lastFail) / step; n > 0 {
			n = min(n, int64(t.nv.failures))
			t.nv.failures -= uint32(n)
			t.nv.lastFail += n * step
		}
	}
	if step := int64(t.nv.lockoutRecovery) * int64(time.Second); step > 0 && t.nv.lockoutFail != 0 && now-t.nv.lockoutFail >= step {
		t.nv.lockoutFail = 0
	}
}

// lockReset is TPM2_DictionaryAttackLockReset.
func lockReset(c *call) rcode {
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	return c.t.update(func(nv *nvState) { nv.failures = 0 })
}

// lockParameters is TPM2_DictionaryAttackParameters.
func lockParameters(c *call) rcode {
	tries, recovery, lockout := c.in.u32(), c.in.u32(), c.in.u32()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	return c.t.update(func(nv *nvState) {
		nv.maxTries, nv.recovery, nv.lockoutRecovery = tries, recovery, lockout
	})
}
