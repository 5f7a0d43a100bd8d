package softtpm

const attestCertify = 0x8017 // TPM_ST_ATTEST_CERTIFY

// certify is TPM2_Certify (Part 3, 18.2): the key at handle 2 states the Name
// of the object at handle 1. Handle 2 may be TPM_RH_NULL: the statement comes
// unsigned.
func certify(c *call) rcode {
	extra := c.in.sized()
	asked, askedHash, _ := readScheme(&c.in)
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	o, key := c.object(0), c.object(1)
	switch {
	case o.sequence != nil:
		return rcType.handle(1)
	case len(extra) > maxDigest+2:
		return rcSize.param(1)
	}
	if key == nil {
		c.put2B(c.t.attestation(attestCertify, be.AppendUint32(nil, rhNull), extra, o))
		c.out = be.AppendUint16(c.out, algNull)
		return rcSuccess
	}
	if !key.canSign() {
		return rcKey.handle(2)
	}
	scheme, h, rc := key.selectScheme(asked, askedHash)
	if rc != rcSuccess {
		return rc.param(2)
	}
	statement := c.t.attestation(attestCertify, key.qn, extra, o)
	digest := h.New()
	digest.Write(statement)
	c.put2B(statement)
	return c.putSignature(key, scheme, h, digest.Sum(nil))
}

// attestation builds a TPMS_ATTEST about an object (Part 2, 10.12.8). A real
// TPM blurs the reset counter for keys outside the endorsement and platform
// hierarchies; this one gives it as it is.
func (t *TPM) attestation(kind uint16, signer, extra []byte, o *object) []byte {
	b := append([]byte{}, generated[:]...)
	b = be.AppendUint16(b, kind)
	b = append2B(b, signer)
	b = append2B(b, extra)
	b = be.AppendUint64(b, t.clock())
	b = be.AppendUint32(b, t.nv.resets)
	b = be.AppendUint32(b, 0) // restarts: there is no resume
	b = append(b, 1)          // the clock never ran backwards
	b = be.AppendUint64(b, firmwareNumber)
	b = append2B(b, o.name)
	return append2B(b, o.qn)
}
