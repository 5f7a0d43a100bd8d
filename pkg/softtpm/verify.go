package softtpm

import (
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rsa"
	"math/big"
)

// signature is a TPMT_SIGNATURE (Part 2, 11.3).
type signature struct {
	alg, hash uint16
	a, b      []byte // the signature, or the two numbers of an ECC signature
}

// readSignature reads a TPMT_SIGNATURE that must be one.
func readSignature(r *reader) (signature, rcode) {
	s := signature{alg: r.u16(), hash: r.u16()}
	if r.bad {
		return s, rcInsufficient
	}
	switch s.alg {
	case algRSASSA, algRSAPSS, algECDSA, algECDAA, algHMAC:
	default:
		return s, rcScheme
	}
	h, ok := hashOf(s.hash)
	if !ok {
		return s, rcHash
	}
	var rc rcode
	switch s.alg {
	case algHMAC:
		if s.a = r.take(h.Size()); r.bad {
			return s, rcInsufficient
		}
	case algECDSA, algECDAA:
		if s.a, rc = r.limited(maxECC); rc == rcSuccess {
			s.b, rc = r.limited(maxECC)
		}
	default:
		s.a, rc = r.limited(maxRSA)
	}
	return s, rc
}

// verify checks a signature over a digest with the public part of a key, or
// with a whole HMAC key.
func (o *object) verify(s signature, digest []byte) rcode {
	h := hashFor(s.hash)
	var good bool
	switch {
	case o.sequence != nil:
		return rcType
	case o.pub.typ == algRSA && (s.alg == algRSASSA || s.alg == algRSAPSS):
		key := &rsa.PublicKey{N: new(big.Int).SetBytes(o.pub.n), E: rsaExponent}
		if len(digest) != h.Size() {
			return rcSize
		}
		if s.alg == algRSASSA {
			good = rsa.VerifyPKCS1v15(key, h, digest, s.a) == nil
		} else {
			good = rsa.VerifyPSS(key, h, digest, s.a, nil) == nil
		}
	case o.pub.typ == algECC && s.alg == algECDSA:
		c, _ := curveOf(o.pub.curveID)
		q, ok := c.point(o.pub.x, o.pub.y)
		if !ok {
			return rcScheme // BN_P256 is for ECDAA, which a TPM does not verify
		}
		key, err := ecdsa.ParseUncompressedPublicKey(c.ecdsa, q.Bytes())
		if err != nil {
			return rcKey
		}
		good = ecdsa.Verify(key, digest, new(big.Int).SetBytes(s.a), new(big.Int).SetBytes(s.b))
	case o.pub.typ == algKeyedHash && o.publicOnly:
		return rcHandle
	case o.pub.typ == algKeyedHash && s.alg == algHMAC:
		m := hmac.New(h.New, o.secret)
		m.Write(digest)
		good = hmac.Equal(m.Sum(nil), s.a)
	default:
		return rcScheme
	}
	if !good {
		return rcSignature
	}
	return rcSuccess
}

// verifySignature is TPM2_VerifySignature (Part 3, 20.1). The ticket lets
// PolicyAuthorize believe what was verified here.
func verifySignature(c *call) rcode {
	digest, s := c.in.sized(maxDigest), c.in.signature()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	o := c.object(0)
	if o.sequence != nil || !o.pub.has(attrSignKey) {
		return rcAttributes.handle(1)
	}
	if rc := o.verify(s, digest); rc != rcSuccess {
		return rc.param(2)
	}
	c.putTicket(tagVerified, o.hier, c.t.ticket(o.hier, tagVerified, append2B(nil, digest), o.name))
	return rcSuccess
}
