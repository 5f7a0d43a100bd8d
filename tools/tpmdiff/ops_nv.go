package main

// Attributes of an NV index (Part 2, 13.4).
const (
	nvPPWrite      = 1 << 0
	nvOwnerWrite   = 1 << 1
	nvAuthWrite    = 1 << 2
	nvPolicyWrite  = 1 << 3
	nvPolicyDelete = 1 << 10
	nvWriteAll     = 1 << 12
	nvWriteDefine  = 1 << 13
	nvWriteSTClear = 1 << 14
	nvGlobalLock   = 1 << 15
	nvPPRead       = 1 << 16
	nvOwnerRead    = 1 << 17
	nvAuthRead     = 1 << 18
	nvNoDA         = 1 << 25
	nvOrderly      = 1 << 26
	nvClearSTClear = 1 << 27
	nvPlatformMade = 1 << 30
	nvReadSTClear  = 1 << 31
	nvCounter      = 1 << 4
	nvBits         = 2 << 4
	nvExtend       = 4 << 4
	nvPIN          = 8 << 4
	nvIndexes      = 6
	nvFirst        = 0x01500000
)

func nvOps() []op {
	data := func(g *generator) []byte { return g.bytes(g.below(20)) }
	return []op{
		{ccNVDefine, 10, nvDefine},
		{ccNVUndefine, 3, func(g *generator) (*step, func(bool)) {
			n := g.index()
			if n == nil {
				return nil, nil
			}
			h := g.nvOwner(n)
			return g.cmd(ccNVUndefine, []piece{handle(h), handle(n.handle)}, []auth{g.by(g.hier[h])}), func(ok bool) {
				for i, x := range g.nv {
					if ok && x == n {
						g.nv = append(g.nv[:i:i], g.nv[i+1:]...)
						return
					}
				}
			}
		}},
		{ccNVReadPublic, 5, func(g *generator) (*step, func(bool)) {
			n := g.index()
			if n == nil {
				return nil, nil
			}
			return g.cmd(ccNVReadPublic, []piece{handle(n.handle)}, nil), nil
		}},
		nvOp(ccNVWrite, 12, true, func(g *generator, n *nvIndex) []byte {
			if n.attrs&0xf0 >= nvPIN { // of one that is written in part the rest is defined nowhere
				return cat(b2(g.bytes(8)), u16(0))
			}
			return cat(b2(g.bytes(g.below(n.size+2))), u16(uint16(pick(g.random, 0, 0, 0, g.below(n.size+1)))))
		}),
		nvOp(ccNVRead, 12, false, func(g *generator, n *nvIndex) []byte {
			return cat(u16(uint16(pick(g.random, n.size, n.size, g.below(n.size+2)))), u16(uint16(pick(g.random, 0, 0, 0, g.below(n.size+2)))))
		}),
		nvOp(ccNVIncrement, 5, true, nil), nvOp(ccNVWriteLock, 2, true, nil), nvOp(ccNVReadLock, 2, false, nil),
		nvOp(ccNVExtend, 4, true, func(g *generator, _ *nvIndex) []byte { return b2(data(g)) }),
		nvOp(ccNVSetBits, 4, true, func(g *generator, _ *nvIndex) []byte { return u64(g.number()) }),
		{ccNVGlobalLock, 1, func(g *generator) (*step, func(bool)) {
			h := pick[uint32](g.random, rhOwner, rhPlatform)
			return g.cmd(ccNVGlobalLock, []piece{handle(h)}, []auth{g.by(g.hier[h])}), nil
		}},
		{ccNVCertify, 3, func(g *generator) (*step, func(bool)) {
			n, by := g.index(), g.some(typed(algECC, sign))
			if n == nil || by == nil {
				return nil, nil
			}
			h, a := g.nvBy(n, false)
			return g.cmd(ccNVCertify, []piece{by.h, h, handle(n.handle)}, []auth{g.by(by.auth), a},
				lit(b2(data(g)), g.signScheme(), u16(uint16(g.below(n.size+2))), u16(uint16(pick(g.random, 0, 0, g.below(9)))))), nil
		}},
		{ccPolicyNV, 4, func(g *generator) (*step, func(bool)) {
			n, s := g.index(), g.policySession()
			if n == nil || s == nil {
				return nil, nil
			}
			h, a := g.nvBy(n, false)
			operand := g.bytes(min(n.size, 1+g.below(8)))
			return g.cmd(ccPolicyNV, []piece{h, handle(n.handle), s.h}, []auth{a}, lit(b2(operand), u16(uint16(pick(g.random, 0, 0, g.below(9)))), u16(uint16(g.below(13))))), nil
		}},
	}
}

func (g *generator) index() *nvIndex {
	if g.one(15) {
		return &nvIndex{handle: nvFirst + 0x99, size: 8}
	}
	if len(g.nv) == 0 {
		return nil
	}
	return g.nv[g.below(len(g.nv))]
}

func (g *generator) nvOwner(n *nvIndex) uint32 {
	if n.platform != g.one(10) {
		return rhPlatform
	}
	return rhOwner
}

// nvBy is who reads or writes an index: mostly somebody who may.
func (g *generator) nvBy(n *nvIndex, write bool) (piece, auth) {
	type way struct {
		attr uint32
		h    uint32
	}
	ways := []way{{nvOwnerRead, rhOwner}, {nvAuthRead, n.handle}, {nvPPRead, rhPlatform}}
	if write {
		ways = []way{{nvOwnerWrite, rhOwner}, {nvAuthWrite, n.handle}, {nvPPWrite, rhPlatform}}
	}
	w := ways[g.below(3)]
	for range 6 {
		if n.attrs&w.attr != 0 || g.one(12) {
			break
		}
		w = ways[g.below(3)]
	}
	if w.h == n.handle {
		return handle(w.h), g.by(n.auth)
	}
	return handle(w.h), g.by(g.hier[w.h])
}

func nvOp(cc uint32, weight int, write bool, params func(*generator, *nvIndex) []byte) op {
	return op{cc, weight, func(g *generator) (*step, func(bool)) {
		n := g.index()
		if n == nil {
			return nil, nil
		}
		h, a := g.nvBy(n, write)
		var p []piece
		if params != nil {
			p = []piece{lit(params(g, n))}
		}
		return g.cmd(cc, []piece{h, handle(n.handle)}, []auth{a}, p...), nil
	}}
}

func nvDefine(g *generator) (*step, func(bool)) {
	if len(g.nv) >= nvIndexes && !g.one(6) {
		return nil, nil
	}
	n := &nvIndex{handle: nvFirst + uint32(g.below(nvIndexes+2)), size: 1 + g.below(64), auth: g.authValue()}
	n.attrs = pick[uint32](g.random, nvOwnerWrite|nvOwnerRead, nvAuthWrite|nvAuthRead, nvOwnerWrite|nvAuthRead, nvAuthWrite|nvOwnerRead|nvAuthRead, nvPPWrite|nvPPRead|nvAuthRead)
	for range 2 {
		n.attrs |= pick[uint32](g.random, 0, nvNoDA, nvNoDA, nvWriteDefine, nvReadSTClear, nvWriteSTClear, nvGlobalLock, nvClearSTClear, nvOrderly, nvWriteAll)
	}
	switch g.below(8) {
	case 0:
		n.attrs, n.size = n.attrs|nvCounter, 8
	case 1:
		n.attrs, n.size = n.attrs|nvBits, 8
	case 2:
		n.attrs, n.size = n.attrs|nvExtend, 32
	case 3:
		if g.one(4) {
			n.attrs, n.size = n.attrs|nvPIN, 8
		}
	}
	h := uint32(rhOwner)
	if g.one(4) {
		h, n.platform = rhPlatform, true
		n.attrs |= nvPlatformMade
	}
	if g.one(10) {
		n.attrs ^= 1 << g.below(32)
	}
	if g.one(20) {
		n.size = pick(g.random, 0, 7, 2048, 4096)
		n.attrs &^= nvOrderly // the references have 512 bytes for those
	}
	hash := pick[uint16](g.random, algSHA256, algSHA256, algSHA256, algSHA384, algSHA1)
	public := cat(u32(n.handle), u16(hash), u32(n.attrs), b2(nil), u16(uint16(n.size)))
	return g.cmd(ccNVDefine, []piece{handle(h)}, []auth{g.by(g.hier[h])}, lit(b2(n.auth), b2(public))), func(ok bool) {
		if ok {
			g.nv = append(g.nv, n)
		}
	}
}
