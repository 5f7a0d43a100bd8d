package main

// selection is a TPMS_PCR_SELECTION of the SHA-256 bank.
func selection(bits uint32) []byte {
	return cat(u16(algSHA256), u8(3), u8(byte(bits)), u8(byte(bits>>8)), u8(byte(bits>>16)))
}

// startSession begins a session that is neither bound nor salted.
func (g *generator) startSession(kind byte) (*step, func(bool)) {
	sym := pick(g.random, noSym(), noSym(), aes128(algCFB))
	hash := uint16(algSHA256)
	if kind == 3 {
		hash = pick[uint16](g.random, algSHA256, algSHA256, algSHA1, algSHA384)
	}
	s := g.cmd(ccStartAuthSession, []piece{handle(rhNull), handle(rhNull)}, nil, lit(b2(g.bytes(pick(g.random, 16, 16, 32, 15))), b2(nil), u8(kind), sym, u16(hash)))
	return s, func(ok bool) {
		if ok {
			g.sessions = append(g.sessions, &session{from(s.id, "handle"), kind})
		}
	}
}

// withPolicy plans the use of an object by its policy: begin a session, satisfy
// the policy, use the object, end the session. It returns the first of these.
func (g *generator) withPolicy(o *object, then func(auth) *step) (*step, func(bool)) {
	p := o.policy
	if len(g.plan) > 0 {
		return nil, nil
	}
	s := g.cmd(ccStartAuthSession, []piece{handle(rhNull), handle(rhNull)}, nil, lit(b2(g.bytes(16)), b2(nil), u8(1), noSym(), u16(algSHA256)))
	h := from(s.id, "handle")
	return s, func(ok bool) {
		if !ok {
			return
		}
		if !g.one(6) { // else it is not satisfied
			g.plan = append(g.plan, p.steps(g, h)...)
		}
		g.plan = append(g.plan, func() (*step, func(bool)) {
			a := auth{session: h, nonce: g.bytes(16), attrs: 1}
			switch {
			case p.name == "the password":
				a.value = o.auth
			case p.auth:
				a.value, a.hmac = o.auth, true
			}
			return then(a), nil
		}, func() (*step, func(bool)) { return g.cmd(ccFlush, nil, nil, h), nil })
	}
}

// policyStep is a policy command on a session of that kind.
func policyStep(cc uint32, weight int, params func(g *generator) []byte) op {
	return op{cc, weight, func(g *generator) (*step, func(bool)) {
		s := g.policySession()
		if s == nil {
			return nil, nil
		}
		var p []piece
		if params != nil {
			p = []piece{lit(params(g))}
		}
		return g.cmd(cc, []piece{s.h}, nil, p...), nil
	}}
}

func (g *generator) policySession() *session {
	for range 4 {
		if len(g.sessions) == 0 {
			return nil
		}
		if s := g.sessions[g.below(len(g.sessions))]; s.kind != 0 || g.one(10) {
			return s
		}
	}
	return nil
}

func sessionOps() []op {
	digest := func(g *generator) []byte { return b2(g.bytes(pick(g.random, 32, 32, 32, 0, 20, 31))) }
	return []op{
		{ccStartAuthSession, 14, func(g *generator) (*step, func(bool)) {
			if len(g.sessions) > 2 && !g.one(5) {
				return nil, nil
			}
			return g.startSession(pick[byte](g.random, 0, 1, 3, 3))
		}},
		policyStep(ccPolicyDigest, 12, nil), policyStep(ccPolicyAuthValue, 3, nil), policyStep(ccPolicyPassword, 3, nil), policyStep(ccPolicyRestart, 3, nil),
		policyStep(ccPolicyCode, 4, func(g *generator) []byte {
			return u32(pick[uint32](g.random, ccSign, ccSign, ccDuplicate, ccNVWrite, 0x11e, 0x999))
		}),
		policyStep(ccPolicyLocality, 3, func(g *generator) []byte { return u8(pick[byte](g.random, 1, 1, 3, 0, 32, 0x40)) }),
		policyStep(ccPolicyCpHash, 2, digest), policyStep(ccPolicyNameHash, 2, digest), policyStep(ccPolicyTemplate, 2, digest),
		policyStep(ccPolicyNVWritten, 2, func(g *generator) []byte { return u8(byte(g.below(3))) }),
		policyStep(ccPolicyPCR, 4, func(g *generator) []byte {
			return cat(b2(pick(g.random, nil, nil, g.bytes(32))), u32(1), selection(uint32(g.number())))
		}),
		policyStep(ccPolicyOR, 4, func(g *generator) []byte {
			n := pick(g.random, 2, 2, 3, 8, 1, 9)
			all := u32(uint32(n))
			for range n {
				all = append(all, b2(policies()[g.below(4)].digest)...)
			}
			return all
		}),
		policyStep(ccPolicyDup, 2, func(g *generator) []byte {
			name := cat(u16(algSHA256), g.bytes(32))
			return cat(b2(pick(g.random, nil, name)), b2(name), u8(byte(g.below(2))))
		}),
		policyStep(ccPolicyAuthorize, 2, func(g *generator) []byte {
			return cat(b2(nil), b2(g.bytes(g.below(20))), b2(cat(u16(algSHA256), g.bytes(32))), u16(0x8022), u32(rhOwner), b2(nil))
		}),
		{ccPolicyTime, 2, func(g *generator) (*step, func(bool)) {
			s := g.policySession()
			if s == nil || s.kind != 3 { // a trial does not compare the clock, which differs
				return nil, nil
			}
			return g.cmd(ccPolicyTime, []piece{s.h}, nil, lit(b2(g.bytes(pick(g.random, 8, 8, 4, 0))), u16(uint16(g.below(20))), u16(uint16(g.below(13))))), nil
		}},
		{ccPolicySecret, 5, func(g *generator) (*step, func(bool)) {
			s := g.policySession()
			if s == nil {
				return nil, nil
			}
			h := pick[uint32](g.random, rhOwner, rhOwner, rhEndorsement, rhPlatform, rhLockout, rhNull)
			expires := u32(pick[uint32](g.random, 0, 0, 10, 0xfffffff6))
			nonce := pick(g.random, lit(b2(nil)), lit(b2(nil)), framed(s.h.step, "nonce"))
			return g.cmd(ccPolicySecret, []piece{handle(h), s.h}, []auth{g.by(g.hier[h])}, nonce, lit(b2(nil), b2(g.bytes(g.below(10))), expires)), nil
		}},
	}
}
