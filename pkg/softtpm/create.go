package softtpm

import (
	"bytes"
	"crypto"
	"crypto/sha256"

	"github.com/google/go-tpm/tpm2"
)

// creation is the input that Create, CreatePrimary and CreateLoaded share.
type creation struct {
	auth, data []byte
	public     *publicArea // of Create and CreatePrimary
	template   []byte      // of CreateLoaded: what it is depends on the parent
	outside    []byte
	pcrs       []pcrSelection
}

// readCreation reads inSensitive and inPublic, and for full also outsideInfo
// and creationPCR. Everything kept is a copy: it outlives the command.
func (c *call) readCreation(full bool) (creation, rcode) {
	var n creation
	n.auth, n.data = c.in.secretCreate()
	if full {
		n.public = c.in.public().own()
		n.outside = bytes.Clone(c.in.sized(maxData))
		n.pcrs = c.in.selections()
	} else {
		n.template = bytes.Clone(c.in.sized(maxTemplate))
	}
	return n, c.in.end()
}

// newChild checks a creation under a parent (nil: a primary) and gives the
// object, still without a key.
func (n *creation) newChild(parent *object, hier uint32) (*object, rcode) {
	p := n.public
	if p == nil {
		var rc rcode
		if p, rc = parsePublic(n.template); rc != rcSuccess {
			return nil, rc.param(2)
		}
	}
	if rc := p.checkSize(); rc != rcSuccess {
		return nil, rc.param(2)
	}
	if rc := p.checkCreate(len(n.data), parent == nil); rc != rcSuccess {
		return nil, rc.param(2)
	}
	if rc := p.checkPublic(parent); rc != rcSuccess {
		return nil, rc.param(2)
	}
	if len(n.auth) > p.hash().Size() {
		return nil, rcSize.param(1)
	}
	o := newObject(p, hier)
	o.auth = n.auth
	return o, rcSuccess
}

// create is TPM2_Create (Part 3, 12.1).
func create(c *call) rcode {
	n, rc := c.readCreation(true)
	if rc != rcSuccess {
		return rc
	}
	parent := c.object(0)
	if !parent.isStorage() {
		return rcType.handle(1)
	}
	if rc := c.t.room(); rc != rcSuccess {
		return rc
	}
	o, rc := n.newChild(parent, parent.hier)
	if rc != rcSuccess {
		return rc
	}
	if rc := o.generate(fresh(), n.data); rc != rcSuccess {
		return rc.param(1)
	}
	c.put2B(parent.seal(o))
	c.put2B(o.pub.raw)
	c.putCreation(&n, o, parent.pub.nameAlg, parent.name, parent.qn)
	return rcSuccess
}

// createPrimary is TPM2_CreatePrimary (Part 3, 24.1).
func createPrimary(c *call) rcode {
	n, rc := c.readCreation(true)
	if rc != rcSuccess {
		return rc
	}
	if rc := c.t.room(); rc != rcSuccess {
		return rc
	}
	hier := c.entities[0].handle
	o, rc := c.t.primary(&n, hier)
	if rc != rcSuccess {
		return rc
	}
	if c.handle, rc = c.t.place(o); rc != rcSuccess {
		return rc
	}
	root := be.AppendUint32(nil, hier)
	c.put2B(o.pub.raw)
	c.putCreation(&n, o, algNull, root, root)
	c.put2B(o.name)
	return rcSuccess
}

// primary makes a primary object. It is a function of the seed, the template
// and the given data, so a key made before comes from the cache: the search
// for RSA primes takes up to a second.
func (t *TPM) primary(n *creation, hier uint32) (*object, rcode) {
	o, rc := n.newChild(nil, hier)
	if rc != rcSuccess {
		return nil, rc
	}
	h := sha256.New()
	h.Write(o.pub.raw)
	h.Write(n.data)
	seed := t.hierarchy(hier).seed
	stream := &counterStream{}
	copy(stream.key[:], tpm2.KDFa(crypto.SHA256, seed[:], "PRIMARY", h.Sum(nil), be.AppendUint32(nil, hier), 256))
	id := sha256.Sum256(stream.key[:])
	if made := t.cache.get(id); made != nil {
		again := *made
		again.auth = n.auth
		return &again, rcSuccess
	}
	if rc := o.generate(source{Reader: stream, fixed: true}, n.data); rc != rcSuccess {
		return nil, rc.param(1)
	}
	o.qualify(be.AppendUint32(nil, hier))
	t.cache.put(id, o)
	return o, rcSuccess
}

// createLoaded is TPM2_CreateLoaded (Part 3, 12.9): an ordinary, a primary or
// a derived object, by the kind of parent.
func createLoaded(c *call) rcode {
	n, rc := c.readCreation(false)
	if rc != rcSuccess {
		return rc
	}
	if rc := c.t.room(); rc != rcSuccess {
		return rc
	}
	var o *object
	var private []byte
	parent := c.object(0)
	switch {
	case parent == nil:
		o, rc = c.t.primary(&n, c.entities[0].handle)
	case parent.isDeriver():
		o, rc = parent.derive(&n)
	case parent.isStorage():
		if o, rc = n.newChild(parent, parent.hier); rc == rcSuccess {
			if rc = o.generate(fresh(), n.data).param(1); rc == rcSuccess {
				o.qualify(parent.qn)
				o.stClear = o.stClear || parent.stClear
				private = parent.seal(o)
			}
		}
	default:
		rc = rcType.handle(1)
	}
	if rc != rcSuccess {
		return rc
	}
	if c.handle, rc = c.t.place(o); rc != rcSuccess {
		return rc
	}
	c.put2B(private)
	c.put2B(o.pub.raw)
	c.put2B(o.name)
	return rcSuccess
}

// maxLabel is LABEL_MAX_BUFFER: bytes of a derivation label or context.
const maxLabel = 32

// derive makes an object of a derivation parent: a function of the parent, the
// label and the context, which come from the template or, where they are empty
// there, from the sensitive data (Part 3, 12.9.1).
func (o *object) derive(n *creation) (*object, rcode) {
	p, d, rc := parseDerived(n.template)
	if rc != rcSuccess {
		return nil, rc.param(2)
	}
	if len(n.data) > 0 {
		r := reader{b: n.data}
		label, context := r.sized(), r.sized()
		if rc := r.end(); rc != rcSuccess {
			return nil, rc.param(1)
		}
		if len(d.label) == 0 {
			d.label = label
		}
		if len(d.context) == 0 {
			d.context = context
		}
	}
	if len(d.label) > maxLabel || len(d.context) > maxLabel {
		return nil, rcSize.param(2)
	}
	switch {
	case p.typ == algRSA:
		return nil, rcType.param(2) // not from a KDF of bounded length
	case p.has(attrSensitiveDataOrigin), !p.has(attrFixedParent), p.has(attrFixedTPM) != o.pub.has(attrFixedTPM):
		return nil, rcAttributes.param(2)
	}
	if rc := p.checkShape(); rc != rcSuccess {
		return nil, rc.param(2)
	}
	if len(n.auth) > p.hash().Size() {
		return nil, rcSize.param(1)
	}
	child := newObject(p, o.hier)
	child.auth, child.stClear = n.auth, child.stClear || o.stClear
	if rc := child.generate(source{Reader: newDerivedStream(o, d), fixed: true}, nil); rc != rcSuccess {
		return nil, rc.param(2)
	}
	child.qualify(o.qn)
	return child, rcSuccess
}

// putCreation appends creationData, creationHash and creationTicket (Part 2,
// 15.1): where and with what the object was made, provable to this TPM later.
func (c *call) putCreation(n *creation, o *object, parentAlg uint16, parentName, parentQN []byte) {
	d := appendSelections(nil, n.pcrs)
	d = append2B(d, c.t.pcrs.digest(n.pcrs, o.pub.hash()))
	d = append(d, 1) // locality zero
	d = be.AppendUint16(d, parentAlg)
	d = append2B(d, parentName)
	d = append2B(d, parentQN)
	d = append2B(d, n.outside)
	h := o.pub.hash().New()
	h.Write(d)
	digest := h.Sum(nil)
	c.put2B(d)
	c.put2B(digest)
	c.putTicket(tagCreation, o.hier, c.t.ticket(o.hier, tagCreation, o.name, digest))
}
