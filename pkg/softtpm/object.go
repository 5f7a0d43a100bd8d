package softtpm

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rsa"
	"hash"
)

// object is what a slot holds: a key, sealed data or a running sequence. After
// it is built only mac, store and sequence change, so slots, the cache and
// persistent handles may share one.
type object struct {
	pub  *publicArea
	name []byte
	qn   []byte // qualified name: the path from the hierarchy
	hier uint32
	auth []byte // without trailing zeros

	seed   []byte // of a parent: protects children; else blinds the unique field
	secret []byte // RSA: one prime, ECC: the scalar, else the key or data

	publicOnly bool // LoadExternal without a private part
	external   bool
	stClear    bool // lasts until a reset at most, as an ancestor may too

	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey

	mac      hash.Hash // keyed and ready, built at first use
	store    *store    // protects children, built at first use
	sequence *sequence
}

// newObject makes an object of a public area, with nothing private yet.
func newObject(p *publicArea, hier uint32) *object {
	return &object{pub: p, name: p.name(), hier: hier, stClear: p.has(attrStClear)}
}

// isStorage tells whether the object can be a parent of stored keys.
func (o *object) isStorage() bool {
	return o.sequence == nil && !o.publicOnly && o.pub.isParent() && o.pub.typ != algKeyedHash
}

// isDeriver tells whether the object is a derivation parent (Part 1, 28).
func (o *object) isDeriver() bool {
	return o.sequence == nil && !o.publicOnly && o.pub.isParent() && o.pub.typ == algKeyedHash
}

// qualify sets the qualified name (Part 1, 26.5).
func (o *object) qualify(parent []byte) {
	h := o.pub.hash().New()
	h.Write(parent)
	h.Write(o.name)
	o.qn = h.Sum(be.AppendUint16(nil, o.pub.nameAlg))
}

// bindSecret computes the unique field of a keyed hash or symmetric object: it
// ties the secret to the public area (Part 1, 27.5.3).
func (o *object) bindSecret() []byte {
	if o.pub.isParent() {
		m := hmac.New(o.pub.hash().New, o.seed)
		m.Write(o.secret)
		return m.Sum(nil)
	}
	h := o.pub.hash().New()
	h.Write(o.seed)
	h.Write(o.secret)
	return h.Sum(nil)
}

// bindKey builds the private key of the secret and checks that it belongs to
// the public area. foreign also proves that an RSA secret is prime; secrets
// that this TPM made and sealed itself do not need that.
func (o *object) bindKey(foreign bool) rcode {
	switch o.pub.typ {
	case algRSA:
		return o.bindRSA(foreign)
	case algECC:
		return o.bindECC()
	default:
		if rc := o.checkSecretSize(); rc != rcSuccess {
			return rc
		}
		if !hmac.Equal(o.pub.digest, o.bindSecret()) {
			return rcBinding
		}
		return rcSuccess
	}
}

// checkSecretSize bounds the secret of a keyed hash or symmetric object.
func (o *object) checkSecretSize() rcode {
	switch {
	case o.pub.typ == algSymCipher && len(o.secret) != int(o.pub.symBits)/8:
		return rcKeySize
	case len(o.secret) > maxSealed:
		return rcSize
	case o.pub.typ == algKeyedHash && o.pub.attrs&(attrSignKey|attrDecryptKey) != 0:
		h, ok := hashOf(o.pub.schemeHash)
		if !ok {
			h = o.pub.hash()
		}
		if len(o.secret) > h.New().BlockSize() {
			return rcSize // HMAC would hash it first
		}
	}
	return rcSuccess
}

// pack gives every byte that makes the object, for saved contexts and
// persistent objects.
func (o *object) pack() []byte {
	b := be.AppendUint32(nil, o.hier)
	var flags byte
	if o.publicOnly {
		flags |= 1
	}
	if o.external {
		flags |= 2
	}
	if o.stClear {
		flags |= 4
	}
	b = append(b, flags)
	for _, f := range [][]byte{o.pub.raw, o.qn, o.auth, o.seed, o.secret} {
		b = append2B(b, f)
	}
	return b
}

// unpackObject reads what pack wrote. It keeps b.
func unpackObject(b []byte) (*object, rcode) {
	r := reader{b: b}
	hier, flags, raw := r.u32(), r.u8(), r.sized()
	if r.bad {
		return nil, rcInsufficient
	}
	p, rc := parsePublic(raw)
	if rc != rcSuccess {
		return nil, rc
	}
	o := newObject(p, hier)
	o.publicOnly, o.external, o.stClear = flags&1 != 0, flags&2 != 0, o.stClear || flags&4 != 0
	o.qn, o.auth, o.seed, o.secret = r.sized(), r.sized(), r.sized(), r.sized()
	if rc := r.end(); rc != rcSuccess {
		return nil, rc
	}
	if o.publicOnly {
		return o, rcSuccess
	}
	return o, o.bindKey(false)
}

// readSensitive fills the private part from a TPMT_SENSITIVE that came from
// outside (Part 2, 12.3.2.4).
func (o *object) readSensitive(b []byte) rcode {
	r := reader{b: b}
	typ := r.u16()
	auth, seed, secret := r.sized(), r.sized(), r.sized()
	if rc := r.end(); rc != rcSuccess {
		return rc
	}
	switch {
	case typ != o.pub.typ:
		return rcType
	case len(trim(auth)) > o.pub.hash().Size(), len(seed) > maxDigest:
		return rcSize
	case len(seed) < o.pub.hash().Size() && o.pub.isParent() && !o.pub.symmetric():
		return rcSize // too weak to protect children
	}
	o.auth, o.seed, o.secret = bytes.Clone(trim(auth)), bytes.Clone(seed), bytes.Clone(secret)
	return o.bindKey(true)
}
