package main

func adminOps() []op {
	simple := func(cc uint32, params ...[]byte) op {
		return op{cc, 1, func(g *generator) (*step, func(bool)) { return g.cmd(cc, nil, nil, lit(params...)), nil }}
	}
	return []op{
		simple(ccSelfTest, u8(1)), simple(ccGetTestResult), simple(ccReadClock), simple(ccStartup, u16(0)), simple(ccShutdown, u16(0)),
		{ccGetRandom, 2, func(g *generator) (*step, func(bool)) {
			return g.cmd(ccGetRandom, nil, nil, lit(u16(uint16(g.below(33))))), nil
		}},
		{ccStirRandom, 1, func(g *generator) (*step, func(bool)) {
			return g.cmd(ccStirRandom, nil, nil, lit(b2(g.bytes(g.below(130))))), nil
		}},
		{ccTestParms, 4, func(g *generator) (*step, func(bool)) {
			t := templates()[g.below(len(templates()))]
			return g.cmd(ccTestParms, nil, nil, lit(u16(t.typ), t.parms)), nil
		}},
		{ccGetCapability, 8, getCapability},
		{ccShutdown, 1, func(g *generator) (*step, func(bool)) {
			s := g.cmd(ccShutdown, nil, nil)
			s.cycle, s.note = true, "power cycle"
			g.reset()
			return s, nil
		}},
	}
}

// getCapability asks only for what two TPMs of this kind must agree in: state,
// not make.
func getCapability(g *generator) (*step, func(bool)) {
	const handles, properties, pcrProperties, curves, algs, commands = 1, 6, 7, 8, 0, 2
	agreed := []uint32{0x100, 0x10d + 0x5, 0x200, 0x201, 0x202, 0x203, 0x204, 0x206, 0x208, 0x20a, 0x20e, 0x20f, 0x210, 0x211}
	switch g.below(4) {
	case 0, 1:
		return g.cmd(ccGetCapability, nil, nil, lit(u32(properties), u32(pick(g.random, agreed...)), u32(1))), nil
	case 2:
		kind := pick[uint32](g.random, 0x01000000, 0x02000000, 0x03000000, 0x80000000, 0x81000000, 0)
		return g.cmd(ccGetCapability, nil, nil, lit(u32(handles), u32(kind), u32(uint32(1+g.below(30))))), nil
	default:
		// One command of those that both have: its attributes.
		for range 50 {
			cc := g.table[g.below(len(g.table))].cc
			if cc != 0 {
				return g.cmd(ccGetCapability, nil, nil, lit(u32(commands), u32(cc), u32(1))), nil
			}
		}
		return nil, nil
	}
}

func objectOps() []op {
	return []op{
		{ccCreatePrimary, 14, createPrimary}, {ccCreate, 14, create}, {ccLoad, 14, load}, {ccLoadExternal, 20, loadExternal},
		{ccReadPublic, 4, func(g *generator) (*step, func(bool)) {
			o := g.some(func(*object) bool { return true })
			if o == nil {
				return nil, nil
			}
			return g.cmd(ccReadPublic, []piece{o.h}, nil), nil
		}},
		{ccFlush, 14, flush}, {ccContextSave, 4, contextSave}, {ccContextLoad, 4, contextLoad}, {ccEvict, 4, evict},
		{ccChangeAuth, 2, changeAuth}, {ccDuplicate, 3, duplicate},
	}
}

// sensitive is a TPM2B_SENSITIVE_CREATE.
func (g *generator) sensitive(t template, auth []byte) []byte {
	n := t.data
	if t.data > 0 && g.one(8) {
		n = pick(g.random, 0, 1, 128, 129)
	}
	return b2(cat(b2(auth), b2(g.bytes(n))))
}

// wanted is an object as a creation asks for it, and its public area.
func (g *generator) wanted(t template) (object, []byte) {
	attrs := t.attrs | pick[uint32](g.random, 0, 0, noDA)
	if g.one(10) {
		attrs ^= pick[uint32](g.random, fixedTPM, fixedParent, origin, userWithAuth, adminPolicy, restricted, decrypt, sign, stClear, encDup, 1, 1<<20)
	}
	o := object{template: t, made: t.data == 0 || attrs&origin != 0, protected: attrs&noDA == 0, parent: attrs&restricted != 0 && attrs&decrypt != 0, name: t.name}
	var digest []byte
	if g.one(5) || attrs&fixedTPM == 0 {
		all := policies()
		p := all[g.below(len(all))]
		if attrs&fixedTPM == 0 {
			p = all[3] // duplication
		}
		o.policy, digest = &p, p.digest
	}
	return o, area(t, pick[uint16](g.random, algSHA256, algSHA256, algSHA256, algSHA256, algSHA384, algSHA1), attrs, digest)
}

func createPrimary(g *generator) (*step, func(bool)) {
	all := templates()
	t := all[0]
	if g.one(3) {
		t = all[g.below(len(all)-2)] // RSA primaries take seconds
	}
	h := pick[uint32](g.random, rhOwner, rhOwner, rhEndorsement, rhPlatform, rhNull)
	o, public := g.wanted(t)
	o.auth = g.authValue()
	s := g.cmd(ccCreatePrimary, []piece{handle(h)}, []auth{g.by(g.hier[h])}, lit(g.sensitive(t, o.auth), b2(public), b2(g.bytes(g.below(9))), u32(0)))
	o.h = from(s.id, "handle")
	return s, func(ok bool) {
		if ok {
			id := string(cat(u32(h), public))
			if g.primaries[id] == nil {
				g.primaries[id] = &identity{h}
			}
			o.key = g.primaries[id]
			g.loaded = append(g.loaded, &o)
		}
	}
}

func isParent(o *object) bool { return o.parent }

func create(g *generator) (*step, func(bool)) {
	p := g.some(isParent)
	if p == nil {
		return nil, nil
	}
	all := templates()
	t := all[g.below(len(all)-2)]
	if g.one(15) {
		t = all[g.below(len(all))]
	}
	o, public := g.wanted(t)
	o.auth = g.authValue()
	pcrs := u32(0)
	if g.one(4) {
		pcrs = cat(u32(1), selection(uint32(g.number())))
	}
	s := g.cmd(ccCreate, []piece{p.h}, []auth{g.by(p.auth)}, lit(g.sensitive(t, o.auth), b2(public), b2(nil), pcrs))
	return s, func(ok bool) {
		if ok {
			g.blobs = append(g.blobs, &blob{s.id, o, p.key})
		}
	}
}

// framed is a TPM2B around what an earlier step got.
func framed(step int, field string) piece { return from(step, field+"2b") }

func load(g *generator) (*step, func(bool)) {
	if len(g.blobs) == 0 {
		return nil, nil
	}
	b := g.blobs[g.below(len(g.blobs))]
	p := g.some(func(o *object) bool { return o.parent && o.key == b.key })
	if p == nil {
		return nil, nil
	}
	s := g.cmd(ccLoad, []piece{p.h}, []auth{g.by(p.auth)}, framed(b.step, "private"), framed(b.step, "public"))
	return s, func(ok bool) {
		if ok {
			o := b.obj
			o.h = from(s.id, "handle")
			o.key = &identity{}
			g.loaded = append(g.loaded, &o)
		}
	}
}

func loadExternal(g *generator) (*step, func(bool)) {
	value := g.authValue()
	k := g.out.keys(g.random, value)
	h := uint32(rhNull)
	private := b2(k.sensitive)
	if g.one(4) {
		private = b2(nil)
		h = pick[uint32](g.random, rhOwner, rhNull, rhEndorsement, rhPlatform)
	}
	s := g.cmd(ccLoadExternal, nil, nil, lit(private, b2(k.public), u32(h)))
	return s, func(ok bool) {
		if ok {
			t := template{name: k.name, typ: uint16(k.public[0])<<8 | uint16(k.public[1])}
			attrs := uint32(k.public[4])<<24 | uint32(k.public[5])<<16 | uint32(k.public[6])<<8 | uint32(k.public[7])
			t.attrs = attrs
			g.loaded = append(g.loaded, &object{h: from(s.id, "handle"), template: t, auth: value, known: true, name: k.name, protected: attrs&noDA == 0})
		}
	}
}

func flush(g *generator) (*step, func(bool)) {
	if len(g.sessions) > 0 && (g.one(4) || len(g.loaded) == 0) {
		i := g.below(len(g.sessions))
		x := g.sessions[i]
		return g.cmd(ccFlush, nil, nil, x.h), func(ok bool) {
			if ok {
				g.sessions = append(g.sessions[:i:i], g.sessions[i+1:]...)
			}
		}
	}
	if len(g.loaded) == 0 || len(g.loaded) < 3 && !g.one(4) {
		return nil, nil
	}
	o := g.loaded[g.below(len(g.loaded))]
	return g.cmd(ccFlush, nil, nil, o.h), func(ok bool) {
		if ok {
			g.drop(o)
		}
	}
}

func contextSave(g *generator) (*step, func(bool)) {
	o := g.some(func(*object) bool { return true })
	if o == nil || o.h.field == "" {
		return nil, nil
	}
	s := g.cmd(ccContextSave, []piece{o.h}, nil)
	return s, func(ok bool) {
		if ok {
			g.contexts = append(g.contexts, saved{step: s.id, obj: o})
		}
	}
}

func contextLoad(g *generator) (*step, func(bool)) {
	if len(g.contexts) == 0 {
		return nil, nil
	}
	c := g.contexts[g.below(len(g.contexts))]
	s := g.cmd(ccContextLoad, nil, nil, from(c.step, "context"))
	return s, func(ok bool) {
		if ok {
			o := *c.obj
			o.h = from(s.id, "handle")
			g.loaded = append(g.loaded, &o)
		}
	}
}

func evict(g *generator) (*step, func(bool)) {
	if len(g.fixed) > 0 && g.one(2) {
		i := g.below(len(g.fixed))
		o := g.fixed[i]
		return g.cmd(ccEvict, []piece{handle(rhOwner), o.h}, []auth{g.by(g.hier[rhOwner])}, o.h), func(ok bool) {
			if ok {
				g.fixed = append(g.fixed[:i:i], g.fixed[i+1:]...)
			}
		}
	}
	o := g.some(func(o *object) bool { return !o.known })
	if o == nil {
		return nil, nil
	}
	who := pick[uint32](g.random, rhOwner, rhOwner, rhOwner, rhPlatform)
	at := handle(pick[uint32](g.random, 0x81000001, 0x81000002, 0x81000003, 0x81800001, 0x80000000))
	return g.cmd(ccEvict, []piece{handle(who), o.h}, []auth{g.by(g.hier[who])}, at), func(ok bool) {
		if ok {
			c := *o
			c.h = at
			g.fixed = append(g.fixed, &c)
		}
	}
}

func changeAuth(g *generator) (*step, func(bool)) {
	if len(g.loaded) < 2 {
		return nil, nil
	}
	o, p := g.loaded[g.below(len(g.loaded))], g.some(isParent)
	if p == nil || o.h.field == "" {
		return nil, nil
	}
	// The parent has to be the object's own; the model does not know, the TPMs do.
	return g.cmd(ccChangeAuth, []piece{o.h, p.h}, []auth{g.by(o.auth)}, lit(b2(g.authValue()))), nil
}

func duplicate(g *generator) (*step, func(bool)) {
	o := g.some(func(o *object) bool { return o.policy != nil && o.policy.name == "duplication alone" })
	if o == nil || o.policy == nil {
		return nil, nil
	}
	to := handle(rhNull)
	return g.withPolicy(o, func(a auth) *step {
		return g.cmd(ccDuplicate, []piece{o.h, to}, []auth{a}, lit(b2(nil), u16(algNull)))
	})
}
