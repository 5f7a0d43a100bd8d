package softtpm

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
)

// sign is TPM2_Sign (Part 3, 20.2).
func sign(c *call) rcode {
	digest := c.in.sized()
	scheme, hash, _ := readScheme(&c.in)
	tag, hier, ticket := c.in.u16(), c.in.u32(), c.in.sized()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	o := c.object(0)
	if !o.canSign() {
		return rcKey.handle(1)
	}
	scheme, h, rc := o.selectScheme(scheme, hash)
	if rc != rcSuccess {
		return rc.param(2)
	}
	if tag != tagHashCheck {
		return rcTag.param(3)
	}
	if len(digest) != h.Size() {
		return rcSize.param(1)
	}
	// A restricted key signs only digests that this TPM computed over data
	// that does not look like an attestation; the ticket is the proof.
	if o.pub.has(attrRestricted) || len(ticket) > 0 {
		want := c.t.ticket(hier, tagHashCheck, digest)
		if want == nil || !hmac.Equal(ticket, want) {
			return rcTicket.param(3)
		}
	}
	return c.putSignature(o, scheme, h, digest)
}

// canSign tells whether the object holds a private signing key.
func (o *object) canSign() bool {
	return o.sequence == nil && !o.publicOnly && o.pub.has(attrSignKey) && o.pub.typ != algSymCipher
}

// selectScheme settles the signing scheme: that of the key if it has one, and
// then the caller may only repeat it (Part 3, 20.2.1).
func (o *object) selectScheme(scheme, hash uint16) (uint16, crypto.Hash, rcode) {
	p := o.pub
	if p.scheme != algNull {
		if scheme != algNull && (scheme != p.scheme || hash != p.schemeHash) {
			return 0, 0, rcScheme
		}
		scheme, hash = p.scheme, p.schemeHash
	}
	fits := false
	switch p.typ {
	case algRSA:
		fits = scheme == algRSASSA || scheme == algRSAPSS
	case algECC:
		fits = scheme == algECDSA
	case algKeyedHash:
		fits = scheme == algHMAC
	}
	if !fits {
		return 0, 0, rcScheme
	}
	h, ok := hashOf(hash)
	if !ok {
		return 0, 0, rcHash
	}
	return scheme, h, rcSuccess
}

// putSignature signs a digest and appends a TPMT_SIGNATURE (Part 2, 11.3).
func (c *call) putSignature(o *object, scheme uint16, h crypto.Hash, digest []byte) rcode {
	hashID := algNull
	for _, id := range []uint16{algSHA1, algSHA256, algSHA384, algSHA512} {
		if known, _ := hashOf(id); known == h {
			hashID = id
		}
	}
	c.out = be.AppendUint16(be.AppendUint16(c.out, scheme), hashID)
	switch {
	case scheme == algRSASSA && o.rsa != nil:
		// The randomness argument is ignored: PKCS #1 v1.5 has none, and
		// blinding draws its own.
		s, err := rsa.SignPKCS1v15(nil, o.rsa, h, digest)
		if err != nil {
			return rcFailure
		}
		c.put2B(s)
	case scheme == algRSAPSS && o.rsa != nil:
		s, err := rsa.SignPSS(rand.Reader, o.rsa, h, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		if err != nil {
			return rcFailure
		}
		c.put2B(s)
	case scheme == algECDSA && o.ec != nil:
		r, s, err := ecdsa.Sign(rand.Reader, o.ec, digest)
		if err != nil {
			return rcFailure
		}
		cv, _ := curveOf(o.pub.curveID)
		c.put2B(r.FillBytes(make([]byte, cv.size)))
		c.put2B(s.FillBytes(make([]byte, cv.size)))
	case scheme == algHMAC:
		m := hmac.New(h.New, o.secret)
		m.Write(digest)
		c.out = m.Sum(c.out)
	default:
		return rcKey
	}
	return rcSuccess
}

// rsaDecrypt is TPM2_RSA_Decrypt (Part 3, 14.3), OAEP only.
func rsaDecrypt(c *call) rcode {
	ciphertext := c.in.sized()
	scheme, hash, _ := readScheme(&c.in)
	label := c.in.sized()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	o := c.object(0)
	p := o.pub
	switch {
	case o.rsa == nil:
		return rcKey.handle(1)
	case p.has(attrRestricted), !p.has(attrDecryptKey):
		return rcAttributes.handle(1)
	case len(ciphertext) != int(p.keyBits)/8:
		return rcSize.param(1)
	}
	if p.scheme != algNull {
		if scheme != algNull && (scheme != p.scheme || hash != p.schemeHash) {
			return rcScheme.param(2)
		}
		scheme, hash = p.scheme, p.schemeHash
	}
	h, ok := hashOf(hash)
	if scheme != algOAEP {
		return rcScheme.param(2)
	}
	if !ok {
		return rcHash.param(2)
	}
	if len(label) > 0 && (label[len(label)-1] != 0 || bytes.IndexByte(label, 0) != len(label)-1) {
		return rcValue.param(3) // Part 3: null-terminated
	}
	// One answer for every kind of bad ciphertext: detail would be an oracle.
	m, err := rsa.DecryptOAEP(h.New(), nil, o.rsa, ciphertext, label)
	if err != nil {
		return rcValue.param(1)
	}
	c.put2B(m)
	return rcSuccess
}
