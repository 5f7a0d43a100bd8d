package softtpm

import (
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
)

// sign is TPM2_Sign (Part 3, 20.2).
func sign(c *call) rcode {
	digest, asked := c.in.sized(maxDigest), c.in.sigScheme()
	_, hier, ticket := c.in.ticket(tagHashCheck, tagHashCheck)
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	o := c.object(0)
	if !o.canSign() {
		return rcKey.handle(1)
	}
	scheme, rc := o.selectScheme(asked)
	if rc != rcSuccess {
		return rc.param(2)
	}
	// A restricted key signs only digests that this TPM computed over data
	// that does not look like an attestation; the ticket is the proof.
	if o.pub.has(attrRestricted) || len(ticket) > 0 {
		want := c.t.ticket(hier, tagHashCheck, digest)
		if want == nil || !hmac.Equal(ticket, want) {
			return rcTicket.param(3)
		}
	}
	if len(digest) != hashFor(scheme.hash).Size() {
		return rcSize.param(1)
	}
	return c.putSignature(o, scheme, digest)
}

// canSign tells whether the object holds a private signing key.
func (o *object) canSign() bool {
	return o.sequence == nil && !o.publicOnly && o.pub.has(attrSignKey) && o.pub.typ != algSymCipher
}

// selectScheme settles the signing scheme: that of the key if it has one, and
// then the caller may only repeat it (Part 3, 20.2.1). The count of ECDAA
// always comes from the caller.
func (o *object) selectScheme(asked sigScheme) (sigScheme, rcode) {
	p := o.pub
	if p.scheme != algNull {
		if asked.alg != algNull && (asked.alg != p.scheme || asked.hash != p.schemeHash) {
			return asked, rcScheme
		}
		asked.alg, asked.hash = p.scheme, p.schemeHash
	}
	fits := false
	switch p.typ {
	case algRSA:
		fits = asked.alg == algRSASSA || asked.alg == algRSAPSS
	case algECC:
		fits = asked.alg == algECDSA && o.ec != nil || asked.alg == algECDAA
	case algKeyedHash:
		fits = asked.alg == algHMAC
	}
	if !fits {
		return asked, rcScheme
	}
	return asked, rcSuccess
}

// putSignature signs a digest and appends a TPMT_SIGNATURE (Part 2, 11.3).
func (c *call) putSignature(o *object, scheme sigScheme, digest []byte) rcode {
	h := hashFor(scheme.hash)
	c.out = be.AppendUint16(be.AppendUint16(c.out, scheme.alg), scheme.hash)
	switch {
	case scheme.alg == algRSASSA && o.rsa != nil:
		// The randomness argument is ignored: PKCS #1 v1.5 has none, and
		// blinding draws its own.
		s, err := rsa.SignPKCS1v15(nil, o.rsa, h, digest)
		if err != nil {
			return rcFailure
		}
		c.put2B(s)
	case scheme.alg == algRSAPSS && o.rsa != nil:
		s, err := rsa.SignPSS(rand.Reader, o.rsa, h, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		if err != nil {
			return rcFailure
		}
		c.put2B(s)
	case scheme.alg == algECDSA && o.ec != nil:
		r, s, err := ecdsa.Sign(rand.Reader, o.ec, digest)
		if err != nil {
			return rcFailure
		}
		size := (o.ec.Curve.Params().BitSize + 7) / 8
		c.put2B(r.FillBytes(make([]byte, size)))
		c.put2B(s.FillBytes(make([]byte, size)))
	case scheme.alg == algECDAA && o.pub.typ == algECC:
		return c.putECDAA(o, scheme, digest)
	case scheme.alg == algHMAC:
		m := hmac.New(h.New, o.secret)
		m.Write(digest)
		c.out = m.Sum(c.out)
	default:
		return rcKey
	}
	return rcSuccess
}
