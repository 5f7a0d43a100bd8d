package main

func platformOps() []op {
	digest := func(g *generator) []byte { return cat(u32(1), u16(algSHA256), g.bytes(32)) }
	pcr := func(g *generator) piece { return handle(uint32(pick(g.random, 16, 16, 23, g.below(24), g.below(24)))) }
	return []op{
		{ccPCRRead, 5, func(g *generator) (*step, func(bool)) {
			return g.cmd(ccPCRRead, nil, nil, lit(u32(1), selection(uint32(g.number())))), nil
		}},
		{ccPCRExtend, 5, func(g *generator) (*step, func(bool)) {
			return g.cmd(ccPCRExtend, []piece{pcr(g)}, []auth{g.by(nil)}, lit(digest(g))), nil
		}},
		{ccPCRReset, 3, func(g *generator) (*step, func(bool)) {
			return g.cmd(ccPCRReset, []piece{pcr(g)}, []auth{g.by(nil)}), nil
		}},
		{ccPCREvent, 3, func(g *generator) (*step, func(bool)) {
			return g.cmd(ccPCREvent, []piece{pcr(g)}, []auth{g.by(nil)}, lit(b2(g.bytes(g.below(100))))), nil
		}},
		{ccHierAuth, 3, func(g *generator) (*step, func(bool)) {
			h := pick[uint32](g.random, rhOwner, rhEndorsement, rhPlatform, rhLockout)
			value := pick(g.random, nil, nil, []byte("hierarchy"))
			return g.cmd(ccHierAuth, []piece{handle(h)}, []auth{g.by(g.hier[h])}, lit(b2(value))), func(ok bool) {
				if ok {
					g.hier[h] = value
				}
			}
		}},
		{ccHierControl, 1, func(g *generator) (*step, func(bool)) {
			h := pick[uint32](g.random, rhPlatform, rhOwner, rhEndorsement)
			which := pick[uint32](g.random, rhOwner, rhEndorsement, rhOwner, rhPlatform)
			return g.cmd(ccHierControl, []piece{handle(h)}, []auth{g.by(g.hier[h])}, lit(u32(which), u8(byte(pick(g.random, 0, 1, 1, 1))))), nil
		}},
		{ccClear, 1, func(g *generator) (*step, func(bool)) {
			h := pick[uint32](g.random, rhPlatform, rhLockout)
			return g.cmd(ccClear, []piece{handle(h)}, []auth{g.by(g.hier[h])}), func(ok bool) {
				if ok {
					g.loaded, g.blobs, g.fixed, g.contexts, g.nv = nil, nil, nil, nil, nil
					delete(g.hier, rhOwner)
					delete(g.hier, rhEndorsement)
					delete(g.hier, rhLockout)
				}
			}
		}},
		{ccClearControl, 1, func(g *generator) (*step, func(bool)) {
			h := pick[uint32](g.random, rhPlatform, rhLockout)
			return g.cmd(ccClearControl, []piece{handle(h)}, []auth{g.by(g.hier[h])}, lit(u8(byte(pick(g.random, 0, 0, 1))))), nil
		}},
		{ccLockReset, 2, func(g *generator) (*step, func(bool)) {
			return g.cmd(ccLockReset, []piece{handle(rhLockout)}, []auth{g.by(g.hier[rhLockout])}), nil
		}},
		{ccLockParams, 1, func(g *generator) (*step, func(bool)) {
			return g.cmd(ccLockParams, []piece{handle(rhLockout)}, []auth{g.by(g.hier[rhLockout])}, lit(u32(uint32(pick(g.random, 32, 32, 3))), u32(1000), u32(1000))), nil
		}},
	}
}
