package softtpm

import (
	"bytes"
	"crypto/hmac"
	"hash"
)

// sequence is a running hash or HMAC in an object slot (Part 1, 32).
type sequence struct {
	hash   hash.Hash
	keyed  bool   // an HMAC: gets no ticket
	prefix []byte // the first bytes, to see a forged attestation
}

// generated is TPM_GENERATED_VALUE: every structure that a restricted key
// signs starts with it, so data that does gets no ticket (Part 2, 6.2).
var generated = [4]byte{0xff, 'T', 'C', 'G'}

func (s *sequence) write(b []byte) {
	if n := len(generated) - len(s.prefix); n > 0 {
		s.prefix = append(s.prefix, b[:min(n, len(b))]...)
	}
	s.hash.Write(b)
}

// addSequence puts a sequence into a slot.
func (c *call) addSequence(s *sequence, auth []byte) (rc rcode) {
	auth = trim(auth)
	if len(auth) > maxDigest {
		return rcSize.param(1)
	}
	none := &publicArea{typ: algNull, sym: algNull, scheme: algNull, attrs: attrNoDA | attrUserWithAuth}
	c.handle, rc = c.t.place(&object{pub: none, hier: rhNull, auth: bytes.Clone(auth), sequence: s})
	return rc
}

// hmacStart is TPM2_HMAC_Start (Part 3, 17.2).
func hmacStart(c *call) rcode {
	auth, asked := c.in.sized(), c.in.u16()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	o := c.object(0)
	alg, rc := o.hmacHash(asked)
	if rc != rcSuccess {
		return rc
	}
	h, _ := hashOf(alg)
	return c.addSequence(&sequence{hash: hmac.New(h.New, o.secret), keyed: true}, auth)
}

// hashSequenceStart is TPM2_HashSequenceStart (Part 3, 17.3). Event sequences
// (hash null) are not offered.
func hashSequenceStart(c *call) rcode {
	auth, alg := c.in.sized(), c.in.u16()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	h, ok := hashOf(alg)
	if !ok {
		return rcHash.param(2)
	}
	return c.addSequence(&sequence{hash: h.New()}, auth)
}

// sequenceUpdate is TPM2_SequenceUpdate (Part 3, 17.4).
func sequenceUpdate(c *call) rcode {
	data := c.in.sized()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	s := c.object(0).sequence
	switch {
	case s == nil:
		return rcMode.handle(1)
	case len(data) > maxBuffer:
		return rcSize.param(1)
	}
	s.write(data)
	return rcSuccess
}

// sequenceComplete is TPM2_SequenceComplete (Part 3, 17.5). The slot is free
// afterwards; its authValue is still needed for the response HMAC.
func sequenceComplete(c *call) rcode {
	data, hier := c.in.sized(), c.in.u32()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	s := c.object(0).sequence
	switch {
	case s == nil:
		return rcMode.handle(1)
	case len(data) > maxBuffer:
		return rcSize.param(1)
	case c.t.hierarchy(hier) == nil:
		return rcValue.param(2)
	}
	s.write(data)
	digest := s.hash.Sum(nil)
	c.put2B(digest)
	c.putHashTicket(hier, digest, s.prefix, s.keyed)
	c.flush = c.entities[0].handle
	return rcSuccess
}

// hashCommand is TPM2_Hash (Part 3, 15.4).
func hashCommand(c *call) rcode {
	data, alg, hier := c.in.sized(), c.in.u16(), c.in.u32()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	h, ok := hashOf(alg)
	switch {
	case len(data) > maxBuffer:
		return rcSize.param(1)
	case !ok:
		return rcHash.param(2)
	case c.t.hierarchy(hier) == nil:
		return rcValue.param(3)
	}
	x := h.New()
	x.Write(data)
	digest := x.Sum(nil)
	c.put2B(digest)
	c.putHashTicket(hier, digest, data, false)
	return rcSuccess
}

// putHashTicket says that this TPM hashed the data and that it is no forged
// attestation; else the ticket is empty.
func (c *call) putHashTicket(hier uint32, digest, data []byte, keyed bool) {
	if keyed || len(data) < len(generated) || bytes.HasPrefix(data, generated[:]) {
		c.putNullTicket(tagHashCheck)
		return
	}
	c.putTicket(tagHashCheck, hier, c.t.ticket(hier, tagHashCheck, digest))
}
