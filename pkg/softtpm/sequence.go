package softtpm

import (
	"bytes"
	"encoding"
	"hash"
)

// sequence is a running hash or HMAC in an object slot (Part 1, 32). An event
// sequence runs one hash for each PCR bank.
type sequence struct {
	algs   []uint16
	hashes []hash.Hash
	outer  []byte // of an HMAC: the key of its outer hash; such a result gets no ticket
	begun  bool   // there was a first block
	safe   bool   // and it shows that this is no forged attestation
	event  bool
}

func newSequence(algs ...uint16) *sequence {
	s := &sequence{algs: algs}
	for _, alg := range algs {
		s.hashes = append(s.hashes, hashFor(alg).New())
	}
	return s
}

// newHMACSequence starts an HMAC (RFC 2104). It is not crypto/hmac's, because
// that cannot be packed into a context.
func newHMACSequence(alg uint16, key []byte) *sequence {
	s := newSequence(alg)
	size := s.hashes[0].BlockSize()
	if len(key) > size {
		h := hashFor(alg).New()
		h.Write(key)
		key = h.Sum(nil)
	}
	inner := make([]byte, size)
	copy(inner, key)
	s.outer = bytes.Clone(inner)
	for i := range inner {
		inner[i] ^= 0x36
		s.outer[i] ^= 0x5c
	}
	s.hashes[0].Write(inner)
	return s
}

// sum gives the result of a hash or HMAC.
func (s *sequence) sum() []byte {
	d := s.hashes[0].Sum(nil)
	if s.outer == nil {
		return d
	}
	h := hashFor(s.algs[0]).New()
	h.Write(s.outer)
	h.Write(d)
	return h.Sum(nil)
}

// pack gives every byte of the state; nil if the hash cannot be packed.
func (s *sequence) pack() []byte {
	b := []byte{byte(len(s.algs)), 0}
	for i, set := range []bool{s.event, s.begun, s.safe} {
		if set {
			b[1] |= 1 << i
		}
	}
	for i, h := range s.hashes {
		m, ok := h.(encoding.BinaryMarshaler)
		if !ok {
			return nil
		}
		state, err := m.MarshalBinary()
		if err != nil {
			return nil
		}
		b = append2B(be.AppendUint16(b, s.algs[i]), state)
	}
	return append2B(b, s.outer)
}

// unpackSequence reads what pack wrote.
func unpackSequence(r *reader) (*sequence, bool) {
	n, flags := r.u8(), r.u8()
	s := &sequence{event: flags&1 != 0, begun: flags&2 != 0, safe: flags&4 != 0}
	for range n {
		alg, state := r.u16(), r.sized()
		a, ok := hashOf(alg)
		if !ok {
			return nil, false
		}
		h := a.New()
		m, ok := h.(encoding.BinaryUnmarshaler)
		if !ok || m.UnmarshalBinary(state) != nil {
			return nil, false
		}
		s.algs, s.hashes = append(s.algs, alg), append(s.hashes, h)
	}
	if outer := r.sized(); len(outer) > 0 {
		s.outer = bytes.Clone(outer)
	}
	return s, r.end() == rcSuccess && len(s.hashes) > 0
}

// generated is TPM_GENERATED_VALUE: every structure that a restricted key
// signs starts with it, so data that does gets no ticket (Part 2, 6.2).
var generated = [4]byte{0xff, 'T', 'C', 'G'}

// write adds a block. The first decides whether there will be a ticket, and one
// that is too short to tell is not safe (Part 3, 17.4).
func (s *sequence) write(b []byte) {
	if !s.begun {
		s.begun, s.safe = true, len(b) >= len(generated) && !bytes.HasPrefix(b, generated[:])
	}
	for _, h := range s.hashes {
		h.Write(b)
	}
}

// addSequence puts a sequence into a slot.
func (c *call) addSequence(s *sequence, auth []byte) (rc rcode) {
	c.handle, rc = c.t.place(sequenceObject(s, bytes.Clone(trim(auth))))
	return rc
}

func sequenceObject(s *sequence, auth []byte) *object {
	none := &publicArea{typ: algNull, sym: algNull, scheme: algNull, attrs: attrNoDA | attrUserWithAuth}
	return &object{pub: none, hier: rhNull, auth: auth, sequence: s}
}

// hmacStart is TPM2_HMAC_Start (Part 3, 17.2).
func hmacStart(c *call) rcode {
	auth, asked := c.in.sized(maxDigest), c.in.mac()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	o := c.object(0)
	alg, rc := o.hmacHash(asked)
	if rc != rcSuccess {
		return rc
	}
	return c.addSequence(newHMACSequence(alg, o.secret), auth)
}

// hashSequenceStart is TPM2_HashSequenceStart (Part 3, 17.3). The null hash
// starts an event sequence.
func hashSequenceStart(c *call) rcode {
	auth, alg := c.in.sized(maxDigest), c.in.hashOrNull()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	if alg == algNull {
		banks := pcrBanks()
		s := newSequence(banks[:]...)
		s.event = true
		return c.addSequence(s, auth)
	}
	return c.addSequence(newSequence(alg), auth)
}

// sequenceUpdate is TPM2_SequenceUpdate (Part 3, 17.4).
func sequenceUpdate(c *call) rcode {
	data := c.in.sized(maxBuffer)
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	s := c.object(0).sequence
	if s == nil {
		return rcMode.param(1) // not handle 1: that is what TPMs answer
	}
	s.write(data)
	return rcSuccess
}

// sequenceComplete is TPM2_SequenceComplete (Part 3, 17.5). The slot is free
// afterwards; its authValue is still needed for the response HMAC.
func sequenceComplete(c *call) rcode {
	data, hier := c.in.sized(maxBuffer), c.in.hierarchy()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	s := c.object(0).sequence
	if s == nil || s.event {
		return rcMode.handle(1)
	}
	s.write(data)
	digest := s.sum()
	c.put2B(digest)
	c.putHashTicket(hier, digest, s.safe && s.outer == nil)
	c.flush = c.entities[0].handle
	return rcSuccess
}

// eventSequenceComplete is TPM2_EventSequenceComplete (Part 3, 17.6).
func eventSequenceComplete(c *call) rcode {
	data := c.in.sized(maxBuffer)
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	s := c.object(1).sequence
	if s == nil || !s.event {
		return rcMode.handle(2)
	}
	s.write(data)
	var digests [3][]byte
	for i, h := range s.hashes {
		digests[i] = h.Sum(nil)
	}
	rc := c.finishEvent(c.entities[0].handle, digests)
	if rc == rcSuccess {
		c.flush = c.entities[1].handle
	}
	return rc
}

// hashCommand is TPM2_Hash (Part 3, 15.4).
func hashCommand(c *call) rcode {
	data, alg, hier := c.in.sized(maxBuffer), c.in.hash(), c.in.hierarchy()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	x := hashFor(alg).New()
	x.Write(data)
	digest := x.Sum(nil)
	c.put2B(digest)
	c.putHashTicket(hier, digest, !bytes.HasPrefix(data, generated[:]))
	return rcSuccess
}

// putHashTicket says that this TPM hashed the data and that it is no forged
// attestation; else the ticket is empty.
func (c *call) putHashTicket(hier uint32, digest []byte, safe bool) {
	if !safe {
		c.putNullTicket(tagHashCheck)
		return
	}
	c.putTicket(tagHashCheck, hier, c.t.ticket(hier, tagHashCheck, digest))
}
