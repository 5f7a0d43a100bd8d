package softtpm

import (
	"bytes"
	"crypto/rand"

	"github.com/google/go-tpm/tpm2"
)

// readInner reads the symmetric algorithm of an inner wrapper. Inner wrappers
// are not offered: only null passes.
func readInner(r *reader) rcode {
	if alg := r.u16(); alg != algNull && !r.bad {
		return rcSymmetric
	}
	return rcSuccess
}

// importObject is TPM2_Import (Part 3, 13.3): a duplicate, wrapped for the
// parent at handle 1 or in the clear, becomes a private blob.
func importObject(c *call) rcode {
	inner, public, dup, enc := c.in.sized(), c.in.sized(), c.in.sized(), c.in.sized()
	if rc := readInner(&c.in); rc != rcSuccess {
		return rc.param(5)
	}
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	parent := c.object(0)
	if !parent.isStorage() {
		return rcType.handle(1)
	}
	if len(inner) > 0 {
		return rcSize.param(1)
	}
	p, rc := parsePublic(bytes.Clone(public))
	if rc != rcSuccess {
		return rc.param(2)
	}
	if p.attrs&(attrFixedTPM|attrFixedParent) != 0 {
		return rcAttributes.param(2) // it was elsewhere before
	}
	if p.has(attrEncryptedDup) {
		return rcAttributes.param(2) // would need the inner wrapper
	}
	if rc := p.checkPublic(parent); rc != rcSuccess {
		return rc.param(2)
	}
	o := newObject(p, parent.hier)
	sensitive, rc := openDuplicate(parent, o, dup, enc)
	if rc != rcSuccess {
		return rc
	}
	if rc := o.readSensitive(sensitive); rc != rcSuccess {
		return rc.param(3)
	}
	c.put2B(parent.seal(o))
	return rcSuccess
}

// openDuplicate takes the outer wrapper off.
func openDuplicate(parent, o *object, dup, enc []byte) ([]byte, rcode) {
	if len(enc) == 0 {
		r := reader{b: dup}
		s := r.sized()
		return s, r.end().param(3)
	}
	secret, rc := parent.recoverSecret(enc, "DUPLICATE")
	if rc != rcSuccess {
		return nil, rc.param(4)
	}
	s, rc := parent.unwrap(secret, o.name, dup)
	return s, rc.param(3)
}

// duplicate is TPM2_Duplicate (Part 3, 13.1). The authorization already asked
// for a policy session that names this command; a key that is fixed to its
// parent, as every fixedTPM key is, is refused even then.
func duplicate(c *call) rcode {
	inner := c.in.sized()
	if rc := readInner(&c.in); rc != rcSuccess {
		return rc.param(2)
	}
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	o := c.object(0)
	switch {
	case o.sequence != nil || o.publicOnly:
		return rcType.handle(1)
	case o.pub.attrs&(attrFixedParent|attrFixedTPM) != 0:
		return rcAttributes.handle(1)
	case o.pub.has(attrEncryptedDup):
		return rcSymmetric.param(2) // must not leave without an inner wrapper
	case len(inner) > 0:
		return rcSize.param(1)
	}
	sensitive := be.AppendUint16(nil, o.pub.typ)
	for _, f := range [][]byte{o.auth, o.seed, o.secret} {
		sensitive = append2B(sensitive, f)
	}
	dup, enc := append2B(nil, sensitive), []byte(nil)
	if parent := c.object(1); parent != nil {
		if !parent.canReceive() {
			return rcType.handle(2)
		}
		k, rc := parent.encapsulation()
		if rc != rcSuccess {
			return rc.handle(2)
		}
		var err error
		if dup, enc, err = tpm2.CreateDuplicate(rand.Reader, k, o.name, sensitive); err != nil {
			return rcFailure
		}
	}
	c.put2B(nil) // no inner key
	c.put2B(dup)
	c.put2B(enc)
	return rcSuccess
}
