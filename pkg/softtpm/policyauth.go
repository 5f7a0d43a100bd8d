package softtpm

import (
	"bytes"
	"crypto/hmac"

	"github.com/google/go-tpm/tpm2"
)

// proof is what PolicySigned, PolicySecret and PolicyTicket have in common:
// for whom, for which command and until when the authorization holds.
type proof struct {
	nonce, cpHash, ref []byte
	expiration         int32
	end                uint64 // t.time() of the end, 0: none
}

// resetBit marks a timeout that also ends with the next start.
const resetBit = uint64(1) << 63

// readProof reads nonceTPM, cpHashA, policyRef and expiration.
func (c *call) readProof() proof {
	return proof{nonce: c.in.sized(maxDigest), cpHash: c.in.sized(maxDigest), ref: c.in.sized(maxDigest), expiration: int32(c.in.u32())}
}

// timed computes the end of an authorization and checks it against the
// session. A trial session takes everything.
func (c *call) timed(s *session, p *proof) rcode {
	if s.trial {
		return rcSuccess
	}
	if n := int64(p.expiration); n != 0 {
		span := uint64(max(n, -n)) * 1000
		// With a nonce the time runs from the start of the policy session,
		// without one it is a time since power on (Part 3, 23.3.1).
		p.end = span + c.t.time()%1000
		if len(p.nonce) > 0 {
			p.end = span + s.start
		}
	}
	if len(p.nonce) > 0 && !bytes.Equal(p.nonce, s.nonceTPM) {
		return rcNonce.param(1)
	}
	return c.fits(s, p, 4, 2)
}

// fits checks the end and the cpHash of an authorization; the numbers are the
// parameters to blame.
func (c *call) fits(s *session, p *proof, timeout, cpHash uint32) rcode {
	switch {
	case p.end != 0 && p.end < c.t.time():
		return rcExpired.param(timeout)
	case len(p.cpHash) > 0 && len(p.cpHash) != s.hash.Size():
		return rcSize.param(cpHash)
	case len(p.cpHash) > 0 && s.bindTo != bindNothing && (s.bindTo != bindCpHash || !bytes.Equal(p.cpHash, s.binding)):
		return rcCPHash
	}
	return rcSuccess
}

// accept puts an authorization by an entity into the policy.
func (s *session) accept(cc tpm2.TPMCC, name []byte, p *proof) {
	s.extend(code(cc), name)
	s.extend(p.ref)
	if len(p.cpHash) > 0 {
		s.bindTo, s.binding = bindCpHash, bytes.Clone(p.cpHash)
	}
	if p.end != 0 && (s.expires == 0 || p.end < s.expires) {
		s.expires = p.end
	}
}

// putProof appends timeout and ticket: real ones if the caller asked by a
// negative expiration.
func (c *call) putProof(s *session, tag uint16, hier uint32, name []byte, p *proof) {
	if p.expiration >= 0 || s.trial {
		c.put2B(nil)
		c.putNullTicket(tag)
		return
	}
	end := p.end &^ resetBit
	if len(p.nonce) == 0 {
		end |= resetBit
	}
	c.put2B(be.AppendUint64(nil, end))
	c.out = be.AppendUint32(be.AppendUint16(c.out, tag), hier)
	c.put2B(c.t.authTicket(hier, tag, end, name, p))
}

// authTicket computes the digest of an authorization ticket. Times count from
// power on, so the ticket is good until the next one.
func (t *TPM) authTicket(hier uint32, tag uint16, end uint64, name []byte, p *proof) []byte {
	h := t.hierarchy(hier)
	if h == nil {
		return nil
	}
	m := hmac.New(hashFor(algSHA256).New, h.proof[:])
	m.Write(be.AppendUint16(nil, tag))
	for _, b := range [][]byte{p.cpHash, p.ref, name} {
		m.Write(append2B(nil, b)) // with lengths: the parts cannot be shifted
	}
	m.Write(be.AppendUint64(nil, end))
	m.Write(t.epoch[:])
	return m.Sum(nil)
}

// policySigned is TPM2_PolicySigned (Part 3, 23.3).
func policySigned(c *call) rcode {
	p, sig := c.readProof(), c.in.signature()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	key, s := c.object(0), c.entities[1].session
	if rc := c.timed(s, &p); rc != rcSuccess {
		return rc
	}
	if !s.trial {
		alg, ok := hashOf(sig.hash)
		if !ok {
			return rcScheme.param(5)
		}
		h := alg.New()
		h.Write(p.nonce)
		h.Write(be.AppendUint32(nil, uint32(p.expiration)))
		h.Write(p.cpHash)
		h.Write(p.ref)
		if rc := key.verify(sig, h.Sum(nil)); rc != rcSuccess {
			return rc.param(5)
		}
	}
	s.accept(tpm2.TPMCCPolicySigned, key.name, &p)
	c.putProof(s, tagAuthSigned, key.hier, key.name, &p)
	return rcSuccess
}

// policySecret is TPM2_PolicySecret (Part 3, 23.4).
func policySecret(c *call) rcode {
	p := c.readProof()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	e, s := c.entities[0], c.entities[1].session
	if rc := c.timed(s, &p); rc != rcSuccess {
		return rc
	}
	name := e.appendName(nil)
	s.accept(tpm2.TPMCCPolicySecret, name, &p)
	if e.index != nil && e.index.kind() == nvPinPass {
		p.expiration = 0 // a ticket would get around the count
	}
	c.putProof(s, tagAuthSecret, c.t.hierarchyOf(e), name, &p)
	return rcSuccess
}

// hierarchyOf tells which hierarchy vouches for an entity.
func (t *TPM) hierarchyOf(e entity) uint32 {
	switch {
	case e.object != nil:
		return e.object.hier
	case e.index != nil && e.index.has(nvPlatformCreate), e.handle == rhPlatform:
		return rhPlatform
	case e.handle == rhEndorsement:
		return rhEndorsement
	case e.handle == rhNull:
		return rhNull
	default:
		return rhOwner
	}
}

// policyTicket is TPM2_PolicyTicket (Part 3, 23.5): an authorization that was
// given before.
func policyTicket(c *call) rcode {
	timeout := c.in.sized(8)
	p := proof{cpHash: c.in.sized(maxDigest), ref: c.in.sized(maxDigest)}
	name := c.in.sized(maxName)
	tag, hier, digest := c.in.ticket(tagAuthSigned, tagAuthSecret)
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	s := c.entities[0].session
	cc := tpm2.TPMCCPolicySigned
	if tag == tagAuthSecret {
		cc = tpm2.TPMCCPolicySecret
	}
	switch {
	case s.trial:
		return rcAttributes.handle(1)
	case len(timeout) != 8:
		return rcSize.param(1)
	}
	end := be.Uint64(timeout)
	p.end = end &^ resetBit
	if rc := c.fits(s, &p, 1, 2); rc != rcSuccess {
		return rc
	}
	if !hmac.Equal(digest, c.t.authTicket(hier, tag, end, name, &p)) {
		return rcTicket.param(5)
	}
	s.accept(cc, name, &p)
	return rcSuccess
}

// policyAuthorize is TPM2_PolicyAuthorize (Part 3, 23.16): a key signed the
// policy so far, which VerifySignature made a ticket of.
func policyAuthorize(c *call) rcode {
	approved, ref, name := c.in.sized(maxDigest), c.in.sized(maxDigest), c.in.sized(maxName)
	_, hier, digest := c.in.ticket(tagVerified, tagVerified)
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	s := c.entities[0].session
	n := reader{b: name}
	alg, ok := hashOf(n.u16())
	switch {
	case !ok:
		return rcHash.param(3)
	case len(name) != alg.Size()+2:
		return rcSize.param(3)
	}
	if !s.trial {
		if !hmac.Equal(approved, s.digest) {
			return rcValue.param(1)
		}
		h := alg.New()
		h.Write(approved)
		h.Write(ref)
		if !c.t.checkTicket(digest, hier, tagVerified, append2B(nil, h.Sum(nil)), name) {
			return rcValue.param(4)
		}
	}
	s.digest = make([]byte, s.hash.Size())
	s.extend(code(tpm2.TPMCCPolicyAuthorize), name)
	s.extend(ref)
	return rcSuccess
}

// policyAuthorizeNV is TPM2_PolicyAuthorizeNV (Part 3, 23.22): an NV index
// holds the policy so far.
func policyAuthorizeNV(c *call) rcode {
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	x, s := c.entities[1].index, c.entities[2].session
	if !s.trial {
		if rc := c.mayRead(c.entities[0], x); rc != rcSuccess {
			return rc
		}
		r := reader{b: x.data}
		id := r.u16()
		alg, ok := hashOf(id)
		if r.bad {
			return rcInsufficient
		}
		if !ok || id != s.alg {
			return rcHash
		}
		if want := r.take(alg.Size()); r.bad {
			return rcInsufficient
		} else if !hmac.Equal(want, s.digest) {
			return rcValue
		}
	}
	s.digest = make([]byte, s.hash.Size())
	s.extend(code(tpm2.TPMCCPolicyAuthorizeNV), x.name())
	return rcSuccess
}
