package softtpm

import (
	"crypto"
	"math/big"

	"github.com/google/go-tpm/tpm2"
)

// commitSlots is how many commits are remembered; older ones are forgotten.
const commitSlots = 128

// commits keeps track of the one-time secrets of ECDAA: TPM2_Commit hands out
// numbers, each good for one signature (Part 1, C.2.3). All end with a start.
type commits struct {
	nonce   [32]byte
	counter uint64
	open    [commitSlots / 8]byte
}

// secret computes the one-time secret r of a count for a key.
func (k *commits) secret(count uint64, e *equation, name []byte) *big.Int {
	// 64 bits more than the order has, so that r is uniform.
	b := tpm2.KDFa(crypto.SHA256, k.nonce[:], "ECDAA Commit", name, be.AppendUint64(nil, count), (e.n.BitLen()+7)/8*8+64)
	one := big.NewInt(1)
	r := new(big.Int).SetBytes(b)
	return r.Add(r.Mod(r, new(big.Int).Sub(e.n, one)), one)
}

// find gives the full count of an open commit of which the caller knows the
// lower 16 bits.
func (k *commits) find(short uint16) (count uint64, ok bool) {
	slot := short % commitSlots
	if k.open[slot/8]&(1<<(slot%8)) == 0 {
		return 0, false
	}
	// The newest count that fell on the slot: any older one is forgotten.
	count = k.counter - 1 - (k.counter-1-uint64(slot))%commitSlots
	return count, uint16(count) == short
}

// commit is TPM2_Commit (Part 3, 19.2): the first half of an ECDAA signature.
func commit(c *call) rcode {
	x1, y1 := c.in.point()
	s2, y2 := c.in.sized(maxSealed), c.in.sized(maxECC)
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	o := c.object(0)
	switch {
	case o.pub.typ != algECC:
		return rcKey.handle(1)
	case o.pub.scheme != algECDAA:
		return rcScheme.handle(1)
	case (len(s2) == 0) != (len(y2) == 0):
		return rcSize.param(3)
	}
	cv, _ := curveOf(o.pub.curveID)
	e := cv.equation()
	k := &c.t.commits
	r := k.secret(k.counter, e, o.name)
	var kPoint, l, result point
	if len(s2) > 0 {
		h := o.pub.hash().New()
		h.Write(s2)
		x2 := new(big.Int).SetBytes(h.Sum(nil))
		q := point{e.mod(x2), new(big.Int).SetBytes(y2)}
		if !e.has(q) {
			return rcECCPoint.param(2)
		}
		kPoint, l = e.multiply(q, new(big.Int).SetBytes(o.secret)), e.multiply(q, r)
	}
	if len(x1)+len(y1) > 0 {
		q := readPoint(x1, y1)
		if !e.has(q) {
			return rcECCPoint.param(1)
		}
		result = e.multiply(q, r)
	} else if len(s2) == 0 {
		result = e.multiply(e.base(), r)
	}
	for _, q := range []point{kPoint, l, result} {
		c.putPoint(e.bytes(q))
	}
	c.out = be.AppendUint16(c.out, uint16(k.counter))
	slot := k.counter % commitSlots
	k.open[slot/8] |= 1 << (slot % 8)
	k.counter++
	return rcSuccess
}

// putECDAA finishes an ECDAA signature (Part 1, C.4.2): of a random nonce k and
// the digest T = H(k || digest), s = r + T d modulo the order. A commit is used
// once: two signatures with one r would give the key away.
func (c *call) putECDAA(o *object, scheme sigScheme, digest []byte) rcode {
	k := &c.t.commits
	count, ok := k.find(scheme.count)
	if !ok {
		return rcValue
	}
	cv, _ := curveOf(o.pub.curveID)
	e := cv.equation()
	nonce := random(e.size + 8)
	n := new(big.Int).SetBytes(nonce)
	nonce = n.Mod(n, e.n).FillBytes(make([]byte, e.size))
	h := hashFor(scheme.hash).New()
	h.Write(nonce)
	h.Write(digest)
	s := new(big.Int).SetBytes(h.Sum(nil))
	s.Mul(s.Mod(s, e.n), new(big.Int).SetBytes(o.secret))
	s.Add(s, k.secret(count, e, o.name))
	s.Mod(s, e.n)
	slot := count % commitSlots
	k.open[slot/8] &^= 1 << (slot % 8)
	c.put2B(nonce)
	c.put2B(s.FillBytes(make([]byte, e.size)))
	return rcSuccess
}
