package main

// planned makes a step when its turn comes, and is told whether all TPMs did it.
type planned func() (*step, func(ok bool))

// object is what lies in a slot, or in a persistent handle.
type object struct {
	h         piece
	template  template
	auth      []byte
	protected bool // failures count
	parent    bool // others can lie under it
	key       *identity
	policy    *policy
	known     bool // the same key in every TPM
	sequence  bool
	made      bool // its key is of the TPM's making
	name      string
}

// identity is one parent key, which may be loaded more than once.
type identity struct{ hierarchy uint32 }

// blob is a created key that is not loaded.
type blob struct {
	step int
	obj  object
	key  *identity // of the parent
}

type saved struct {
	step int
	obj  *object
}

type nvIndex struct {
	handle, attrs uint32
	size          int
	auth          []byte
	platform      bool
}

type session struct {
	h    piece
	kind byte // 0 HMAC, 1 policy, 3 trial
}

// generator decides what is tried next, from what worked so far. It models the
// TPM loosely: a wrong guess is a command that all TPMs refuse, and that is a
// test too.
type generator struct {
	*random
	out       *outside
	id        int
	supported map[uint32]bool
	plan      []planned
	loaded    []*object
	blobs     []*blob
	contexts  []saved
	nv        []*nvIndex
	sessions  []*session
	fixed     []*object // persistent
	hier      map[uint32][]byte
	primaries map[string]*identity
	lastSign  map[int]*object // signature step, key
	cipher    map[int]*object
	table     []op
	total     int
}

type op struct {
	cc     uint32
	weight int
	make   func(g *generator) (*step, func(bool))
}

func newGenerator(r *random, o *outside, supported map[uint32]bool) *generator {
	g := &generator{
		random: r, out: o, supported: supported, hier: map[uint32][]byte{}, primaries: map[string]*identity{},
		lastSign: map[int]*object{}, cipher: map[int]*object{},
	}
	for _, ops := range [][]op{adminOps(), objectOps(), useOps(), sessionOps(), nvOps(), platformOps()} {
		for _, o := range ops {
			if supported[o.cc] {
				g.table = append(g.table, o)
				g.total += o.weight
			}
		}
	}
	return g
}

// next is the next step of a sequence.
func (g *generator) next() (*step, func(bool)) {
	for {
		if len(g.plan) > 0 {
			p := g.plan[0]
			g.plan = g.plan[1:]
			if s, done := p(); s != nil {
				return s, done
			}
			continue
		}
		n := g.below(g.total)
		for _, o := range g.table {
			if n -= o.weight; n >= 0 {
				continue
			}
			s, done := o.make(g)
			if s == nil {
				break
			}
			if g.one(3) {
				g.spoil(s)
				if s.note != "" {
					// What it would have changed is not followed up: if it works
					// nevertheless, what it made is found by nobody.
					return s, nil
				}
			}
			return s, done
		}
	}
}

func (g *generator) cmd(cc uint32, handles []piece, auths []auth, params ...piece) *step {
	g.id++
	tag := uint16(tagNoSessions)
	if len(auths) > 0 {
		tag = tagSessions
	}
	return &step{id: g.id, cc: cc, tag: tag, handles: handles, auths: auths, params: params}
}

// password authorizes with a password.
func (g *generator) password(value []byte) auth {
	return auth{session: handle(rsPW), attrs: 1, value: value}
}

// by authorizes with a password, or with a session of the HMAC kind.
func (g *generator) by(value []byte) auth {
	for _, s := range g.sessions {
		if s.kind == 0 && g.one(3) {
			return auth{session: s.h, nonce: g.bytes(16), attrs: 1, value: value, hmac: true}
		}
	}
	return g.password(value)
}

func (g *generator) authValue() []byte {
	return pick(g.random, nil, nil, []byte("pin"), []byte("another"), []byte("a longer one with 32 characters!"), []byte("zero\x00"))
}

// some picks a loaded object that fits, most of the time.
func (g *generator) some(fits func(*object) bool) *object {
	var all []*object
	anyway := g.one(12)
	for _, list := range [][]*object{g.loaded, g.fixed} {
		for _, o := range list {
			if !o.sequence && (anyway || fits(o)) || o.sequence && fits(o) {
				all = append(all, o)
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all[g.below(len(all))]
}

func (g *generator) drop(o *object) {
	for i, x := range g.loaded {
		if x == o {
			g.loaded = append(g.loaded[:i:i], g.loaded[i+1:]...)
			return
		}
	}
}

// reset forgets what a power cycle ends.
func (g *generator) reset() {
	g.loaded, g.contexts, g.sessions, g.plan = nil, nil, nil, nil
	delete(g.hier, rhPlatform)
}

// spoil makes a step wrong in one way, if it can be in the way that comes up.
func (g *generator) spoil(s *step) {
	switch g.below(10) {
	case 0, 1, 2, 3, 4:
		g.spoilParams(s)
	case 5:
		if len(s.handles) > 0 {
			s.handles = append([]piece{}, s.handles...)
			s.free = true
			s.handles[g.below(len(s.handles))] = handle(pick[uint32](g.random, 0, 7, 23, 24, rhOwner, 0x40000000, rhNull, rsPW, rhLockout, rhEndorsement, rhPlatform, 0x4000000d,
				0x80000000, 0x80000001, 0x80000005, 0x81000001, 0x81000099, 0x81800000, 0x02000000, 0x02000001, 0x03000000, 0x03000002, 0x01500001, 0x01500099, 0xffffffff))
			s.note = "another handle"
		}
	case 6:
		s.tag = pick[uint16](g.random, tagNoSessions, tagSessions, 0x8003, 0, uint16(g.number()))
		s.note = "another tag"
	default:
		g.spoilAuths(s)
	}
}

// spoilParams makes the parameters wrong.
func (g *generator) spoilParams(s *step) {
	if g.one(5) {
		s.params = append(append([]piece{}, s.params...), lit(g.bytes(1+g.below(4))))
		s.note = "more behind"
		return
	}
	if len(s.params) == 0 {
		return
	}
	i := g.below(len(s.params))
	if g.one(4) {
		i = len(s.params) - 1
		b := s.params[i].lit // nil: a thing of an earlier step, which is left out
		s.params = append(append([]piece{}, s.params[:i]...), lit(b[:g.below(len(b)+1)]))
		s.note = "cut short"
		return
	}
	if len(s.params[i].lit) == 0 {
		return
	}
	s.params = append([]piece{}, s.params...)
	b := append([]byte{}, s.params[i].lit...)
	at := g.below(len(b))
	if s.note = "a bit"; g.one(3) {
		b[at], s.note = pick(g.random, byte(0), 0xff, 0x7f, byte(g.below(256))), "a byte"
	} else {
		b[at] ^= 1 << g.below(8)
	}
	s.params[i] = piece{lit: b}
}

// spoilAuths makes the authorization area wrong.
func (g *generator) spoilAuths(s *step) {
	s.auths = append([]auth{}, s.auths...)
	if len(s.auths) == 0 || g.one(5) {
		s.auths = append(s.auths, g.password(nil))
		s.tag = tagSessions
		s.note = "an authorization more"
		return
	}
	a := &s.auths[g.below(len(s.auths))]
	switch g.below(4) {
	case 0:
		s.auths = s.auths[:len(s.auths)-1]
		s.note = "an authorization less"
	case 1:
		a.attrs ^= 1 << g.below(8)
		s.note = "another session attribute"
	default:
		a.value = pick(g.random, []byte("wrong"), nil, g.bytes(65), append([]byte{0}, a.value...), append(append([]byte{}, a.value...), 0))
		s.note = "another authValue"
	}
}

// number is any number; next is the next step.
func (g *generator) number() uint64 { return g.random.next() }
