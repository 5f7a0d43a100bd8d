package softtpm

import (
	"bytes"
	"crypto/aes"
	"crypto/hmac"
)

// A duplicate is a TPM2B_SENSITIVE that may be wrapped twice: inside with a
// symmetric key that the caller knows, outside for a new parent (Part 1, 23.3).

// inner reads the algorithm of an inner wrapper: null, or AES-CFB. bits is the
// size of its key, 0 for none.
func (p *params) inner() (bits int) {
	p.group(func(r *reader) rcode {
		var area publicArea
		if rc := area.parseSym(r); rc != rcSuccess {
			return rc
		}
		if area.sym != algNull && area.symMode != algCFB {
			return rcMode
		}
		bits = int(area.symBits)
		return rcSuccess
	})
	return bits
}

// wrapInner encrypts a sensitive area with a hash over it and the Name of the
// object, so that damage does not go unseen without an outer wrapper.
func (o *object) wrapInner(key, sensitive []byte) []byte {
	b := append(append2B(nil, o.innerDigest(sensitive)), sensitive...)
	cfb(key, make([]byte, aes.BlockSize), b, false)
	return b
}

func (o *object) unwrapInner(key, blob []byte) ([]byte, rcode) {
	b := bytes.Clone(blob)
	cfb(key, make([]byte, aes.BlockSize), b, true)
	r := reader{b: b}
	digest := r.sized()
	if r.bad || !hmac.Equal(digest, o.innerDigest(r.b)) {
		return nil, rcIntegrity
	}
	return r.b, rcSuccess
}

func (o *object) innerDigest(sensitive []byte) []byte {
	h := o.pub.hash().New()
	h.Write(sensitive)
	h.Write(o.name)
	return h.Sum(nil)
}

// importObject is TPM2_Import (Part 3, 13.3): a duplicate becomes a private
// blob of the parent at handle 1.
func importObject(c *call) rcode {
	key, p, dup, enc, bits := c.in.sized(maxData), c.in.public(), c.in.sized(maxBlob), c.in.sized(maxSecret), c.in.inner()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	if p.attrs&(attrFixedTPM|attrFixedParent) != 0 {
		return rcAttributes.param(2) // it was elsewhere before
	}
	parent := c.object(0)
	switch {
	case !parent.isStorage():
		return rcType.handle(1)
	case len(key) != bits/8:
		return rcSize.param(1)
	case p.has(attrEncryptedDup) && bits == 0:
		return rcAttributes.param(1)
	case p.has(attrEncryptedDup) && len(enc) == 0:
		return rcAttributes.param(4)
	}
	o := newObject(p.own(), parent.hier)
	var rc rcode
	if len(enc) > 0 {
		var secret []byte
		if secret, rc = parent.recoverSecret(enc, "DUPLICATE"); rc != rcSuccess {
			return rc.param(4)
		}
		if dup, rc = parent.unwrap(secret, o.name, dup); rc != rcSuccess {
			return rc.param(3)
		}
	}
	if bits > 0 {
		if dup, rc = o.unwrapInner(key, dup); rc != rcSuccess {
			return rc.param(3)
		}
	}
	r := reader{b: dup}
	sensitive := r.sized()
	if rc := r.end(); rc != rcSuccess {
		return rc.param(3)
	}
	if rc := p.checkPublic(parent); rc != rcSuccess {
		return rc.param(2)
	}
	if rc := o.readSensitive(sensitive); rc != rcSuccess {
		return rc.param(3)
	}
	c.put2B(parent.seal(o))
	return rcSuccess
}

// duplicate is TPM2_Duplicate (Part 3, 13.1). The authorization already asked
// for a policy session that names this command; a key that is fixed to its
// parent, as every fixedTPM key is, is refused even then.
func duplicate(c *call) rcode {
	key, bits := bytes.Clone(c.in.sized(maxData)), c.in.inner()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	o, parent := c.object(0), c.object(1)
	switch {
	case o.sequence != nil || o.publicOnly:
		return rcType.handle(1)
	case o.pub.attrs&(attrFixedParent|attrFixedTPM) != 0:
		return rcAttributes.handle(1)
	case parent != nil && !parent.canReceive():
		return rcType.handle(2)
	case o.pub.has(attrEncryptedDup) && bits == 0:
		return rcSymmetric.param(2)
	case o.pub.has(attrEncryptedDup) && parent == nil:
		return rcHierarchy.handle(2)
	case len(key) > 0 && len(key) != bits/8:
		return rcSize.param(1)
	}
	// The authValue is padded, so that a duplicate does not tell how long it is.
	auth := make([]byte, o.pub.hash().Size())
	copy(auth, o.auth)
	sensitive := be.AppendUint16(nil, o.pub.typ)
	for _, f := range [][]byte{auth, o.seed, o.secret} {
		sensitive = append2B(sensitive, f)
	}
	dup := append2B(nil, sensitive)
	var made []byte // the inner key, if it was made here
	if bits > 0 {
		if len(key) == 0 {
			key = random(bits / 8)
			made = key
		}
		dup = o.wrapInner(key, dup)
	}
	var enc []byte
	if parent != nil {
		var rc rcode
		if dup, enc, rc = parent.wrapOuter("DUPLICATE", o.name, dup); rc != rcSuccess {
			return rc.handle(2)
		}
	}
	c.put2B(made)
	c.put2B(dup)
	c.put2B(enc)
	return rcSuccess
}

// rewrap is TPM2_Rewrap (Part 3, 13.2): the outer wrapper of a duplicate for
// one parent is changed into one for another; the inside stays closed.
func rewrap(c *call) rcode {
	dup, name, enc := c.in.sized(maxBlob), c.in.sized(maxName), c.in.sized(maxSecret)
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	from, to := c.object(0), c.object(1)
	if (from == nil) != (len(enc) == 0) {
		return rcHandle.handle(1)
	}
	var rc rcode
	if from != nil {
		if !from.isStorage() || !from.canReceive() {
			return rcType.handle(1)
		}
		secret, rc := from.recoverSecret(enc, "DUPLICATE")
		if rc != rcSuccess {
			return rcValue.param(3)
		}
		if dup, rc = from.unwrap(secret, name, dup); rc != rcSuccess {
			return rc.param(1)
		}
	}
	enc = nil
	if to != nil {
		if !to.canReceive() {
			return rcType.handle(2)
		}
		if len(dup) > maxBuffer {
			return rcValue.param(1)
		}
		if dup, enc, rc = to.wrapOuter("DUPLICATE", name, dup); rc != rcSuccess {
			return rc.handle(2)
		}
	}
	c.put2B(dup)
	c.put2B(enc)
	return rcSuccess
}
