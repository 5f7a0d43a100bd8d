package softtpm

import (
	"crypto"

	"github.com/google/go-tpm/tpm2"
)

// Types of attestation (Part 2, 6.9).
const (
	attestNV           = uint16(tpm2.TPMSTAttestNV)
	attestCommandAudit = uint16(tpm2.TPMSTAttestCommandAudit)
	attestSessionAudit = uint16(tpm2.TPMSTAttestSessionAudit)
	attestCertify      = uint16(tpm2.TPMSTAttestCertify)
	attestQuote        = uint16(tpm2.TPMSTAttestQuote)
	attestTime         = uint16(tpm2.TPMSTAttestTime)
	attestCreation     = uint16(tpm2.TPMSTAttestCreation)
	attestNVDigest     = uint16(0x801c)
)

// attester is who signs an attestation and how; key nil: nobody.
type attester struct {
	key    *object
	scheme sigScheme
	extra  []byte
}

// attester settles key and scheme of the attestation by the key at handle
// number at (from 0), which may be TPM_RH_NULL: then the statement comes
// unsigned. The last number is the parameter with the scheme.
func (c *call) attester(at int, extra []byte, asked sigScheme, param uint32) (attester, rcode) {
	a := attester{key: c.object(at), scheme: sigScheme{alg: algNull}, extra: extra}
	if a.key == nil {
		return a, rcSuccess
	}
	if !a.key.canSign() {
		return a, rcKey.handle(at + 1)
	}
	var rc rcode
	a.scheme, rc = a.key.selectScheme(asked)
	return a, rc.param(param)
}

// hash is the hash of the scheme; false if the statement is unsigned.
func (a *attester) hash() (crypto.Hash, bool) { return hashOf(a.scheme.hash) }

// putAttest appends a TPMS_ATTEST (Part 2, 10.12.8) and its signature. A real
// TPM blurs the reset counter for keys outside the endorsement and platform
// hierarchies; this one gives it as it is.
func (c *call) putAttest(a *attester, kind uint16, attested []byte) rcode {
	signer := be.AppendUint32(nil, rhNull)
	if a.key != nil {
		signer = a.key.qn
	}
	b := append([]byte{}, generated[:]...)
	b = be.AppendUint16(b, kind)
	b = append2B(b, signer)
	b = append2B(b, a.extra)
	b = c.t.appendClockInfo(b)
	b = be.AppendUint64(b, firmwareNumber)
	b = append(b, attested...)
	c.put2B(b)
	if a.key == nil {
		c.out = be.AppendUint16(c.out, algNull)
		return rcSuccess
	}
	h, _ := a.hash()
	digest := h.New()
	digest.Write(b)
	return c.putSignature(a.key, a.scheme, digest.Sum(nil))
}

// certify is TPM2_Certify (Part 3, 18.2): the key at handle 2 states the Name
// of the object at handle 1.
func certify(c *call) rcode {
	extra, asked := c.in.sized(maxData), c.in.sigScheme()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	a, rc := c.attester(1, extra, asked, 2)
	if rc != rcSuccess {
		return rc
	}
	o := c.object(0)
	if o.sequence != nil {
		return rcType.handle(1)
	}
	b, qn := append2B(nil, o.name), o.qn
	if a.scheme.alg == algECDAA {
		qn = nil // an anonymous signer does not say where the object lies
	}
	return c.putAttest(&a, attestCertify, append2B(b, qn))
}

// certifyCreation is TPM2_CertifyCreation (Part 3, 18.3): the key at handle 1
// states how the object at handle 2 was made, as its creation ticket proves.
func certifyCreation(c *call) rcode {
	extra, hash, asked := c.in.sized(maxData), c.in.sized(maxDigest), c.in.sigScheme()
	_, hier, digest := c.in.ticket(tagCreation, tagCreation)
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	a, rc := c.attester(0, extra, asked, 3)
	if rc != rcSuccess {
		return rc
	}
	o := c.object(1)
	if !c.t.checkTicket(digest, hier, tagCreation, o.name, hash) {
		return rcTicket.param(4)
	}
	return c.putAttest(&a, attestCreation, append2B(append2B(nil, o.name), hash))
}

// quote is TPM2_Quote (Part 3, 18.4): the values of PCRs.
func quote(c *call) rcode {
	extra, asked := c.in.sized(maxData), c.in.sigScheme()
	sel := c.in.selections()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	a, rc := c.attester(0, extra, asked, 2)
	if rc != rcSuccess {
		return rc
	}
	h, ok := a.hash()
	if !ok {
		return rcScheme.param(2)
	}
	return c.putAttest(&a, attestQuote, append2B(appendSelections(nil, sel), c.t.pcrs.digest(sel, h)))
}

// getTime is TPM2_GetTime (Part 3, 18.7).
func getTime(c *call) rcode {
	extra, asked := c.in.sized(maxData), c.in.sigScheme()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	a, rc := c.attester(1, extra, asked, 2)
	if rc != rcSuccess {
		return rc
	}
	return c.putAttest(&a, attestTime, be.AppendUint64(c.t.appendTimeInfo(nil), firmwareNumber))
}

// getSessionAuditDigest is TPM2_GetSessionAuditDigest (Part 3, 18.5).
func getSessionAuditDigest(c *call) rcode {
	extra, asked := c.in.sized(maxData), c.in.sigScheme()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	a, rc := c.attester(1, extra, asked, 2)
	if rc != rcSuccess {
		return rc
	}
	s := c.entities[2].session
	if !s.audit {
		return rcType.handle(3)
	}
	exclusive := byte(0)
	if c.t.exclusive == c.entities[2].handle {
		exclusive = 1
	}
	return c.putAttest(&a, attestSessionAudit, append2B([]byte{exclusive}, s.digest))
}

// getCommandAuditDigest is TPM2_GetCommandAuditDigest (Part 3, 18.6). Once it
// is signed the digest starts anew.
func getCommandAuditDigest(c *call) rcode {
	extra, asked := c.in.sized(maxData), c.in.sigScheme()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	a, rc := c.attester(1, extra, asked, 2)
	if rc != rcSuccess {
		return rc
	}
	nv := &c.t.nv
	list := hashFor(nv.auditAlg).New()
	for _, cc := range nv.auditCommands {
		list.Write(be.AppendUint32(nil, cc))
	}
	b := be.AppendUint16(be.AppendUint64(nil, nv.auditCounter), nv.auditAlg)
	rc = c.putAttest(&a, attestCommandAudit, append2B(append2B(b, c.t.audit.digest), list.Sum(nil)))
	if rc == rcSuccess && a.key != nil {
		c.t.audit.digest = nil
	}
	return rc
}

// nvCertify is TPM2_NV_Certify (Part 3, 31.16): part of an index or, for size
// and offset zero, the digest of all of it.
func nvCertify(c *call) rcode {
	extra, asked := c.in.sized(maxData), c.in.sigScheme()
	size, offset := int(c.in.u16()), int(c.in.u16())
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	a, rc := c.attester(0, extra, asked, 2)
	if rc != rcSuccess {
		return rc
	}
	x := c.entities[2].index
	if rc := c.mayRead(c.entities[1], x); rc != rcSuccess {
		return rc
	}
	switch {
	case size+offset > len(x.data):
		return rcNVRange
	case size > maxNVBuffer:
		return rcValue.param(3)
	}
	b := append2B(nil, x.name())
	if size != 0 || offset != 0 {
		b = be.AppendUint16(b, uint16(offset))
		return c.putAttest(&a, attestNV, append2B(b, x.data[offset:offset+size]))
	}
	var digest []byte
	if h, ok := a.hash(); ok {
		d := h.New()
		d.Write(x.data)
		digest = d.Sum(nil)
	}
	return c.putAttest(&a, attestNVDigest, append2B(b, digest))
}
