package softtpm

import (
	"bytes"
	"time"

	"github.com/google/go-tpm/tpm2"
)

// Tags of tickets (Part 2, 10.7).
const (
	tagCreation   = uint16(tpm2.TPMSTCreation)
	tagHashCheck  = uint16(tpm2.TPMSTHashCheck)
	tagAuthSecret = uint16(tpm2.TPMSTAuthSecret)
)

// extend is PolicyUpdate's first step: digest = H(digest || parts).
func (s *session) extend(parts ...[]byte) {
	h := s.hash.New()
	h.Write(s.digest)
	for _, p := range parts {
		h.Write(p)
	}
	s.digest = h.Sum(nil)
}

func code(cc tpm2.TPMCC) []byte { return be.AppendUint32(nil, uint32(cc)) }

// policySecret is TPM2_PolicySecret (Part 3, 23.4). A negative expiration asks
// for a ticket; there is no TPM2_PolicyTicket here to take it, so it is refused.
func policySecret(c *call) rcode {
	nonce, cpHash, ref, expiration := c.in.sized(), c.in.sized(), c.in.sized(), int32(c.in.u32())
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	s := c.entities[1].session
	switch {
	case len(nonce) > 0 && !bytes.Equal(nonce, s.nonceTPM):
		return rcNonce.param(1)
	case len(cpHash) > 0 && len(cpHash) != s.hash.Size():
		return rcSize.param(2)
	case len(cpHash) > 0 && len(s.cpHash) > 0 && !bytes.Equal(cpHash, s.cpHash):
		return rcValue.param(2)
	case len(ref) > maxDigest:
		return rcSize.param(3)
	case expiration < 0:
		return rcValue.param(4)
	}
	s.extend(code(tpm2.TPMCCPolicySecret), c.entities[0].appendName(nil))
	s.extend(ref)
	if len(cpHash) > 0 {
		s.cpHash = bytes.Clone(cpHash)
	}
	if expiration > 0 {
		end := c.t.cfg.Now().Add(time.Duration(expiration) * time.Second)
		if s.expires.IsZero() || end.Before(s.expires) {
			s.expires = end
		}
	}
	c.put2B(nil) // timeout: none without a ticket
	c.putNullTicket(tagAuthSecret)
	return rcSuccess
}

// policyAuthValue is TPM2_PolicyAuthValue (Part 3, 23.17).
func policyAuthValue(c *call) rcode { return policyProof(c, false) }

// policyPassword is TPM2_PolicyPassword (Part 3, 23.18). Both give the same
// digest: which of them is used decides how the value is proved.
func policyPassword(c *call) rcode { return policyProof(c, true) }

func policyProof(c *call, password bool) rcode {
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	s := c.entities[0].session
	s.extend(code(tpm2.TPMCCPolicyAuthValue))
	s.needAuth, s.needPassword = !password, password
	return rcSuccess
}

// policyCommandCode is TPM2_PolicyCommandCode (Part 3, 23.11).
func policyCommandCode(c *call) rcode {
	cc := c.in.u32()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	s := c.entities[0].session
	if c.t.commands.find(cc) == nil {
		return rcPolicyCC.param(1)
	}
	if s.command != 0 && s.command != cc {
		return rcValue.param(1)
	}
	s.command = cc
	s.extend(code(tpm2.TPMCCPolicyCommandCode), be.AppendUint32(nil, cc))
	return rcSuccess
}

// policyOR is TPM2_PolicyOR (Part 3, 23.6): 2 to 8 branches, one of which must
// be the policy so far.
func policyOR(c *call) rcode {
	n := c.in.u32()
	if n < 2 || n > 8 {
		return rcSize.param(1)
	}
	s := c.entities[0].session
	found := s.trial
	var all []byte
	for range n {
		d := c.in.sized()
		found = found || bytes.Equal(d, s.digest)
		all = append(all, d...)
	}
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	if !found {
		return rcValue.param(1)
	}
	s.digest = make([]byte, s.hash.Size())
	s.extend(code(tpm2.TPMCCPolicyOR), all)
	return rcSuccess
}

// policyGetDigest is TPM2_PolicyGetDigest (Part 3, 23.15).
func policyGetDigest(c *call) rcode {
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	c.put2B(c.entities[0].session.digest)
	return rcSuccess
}

// policyRestart is TPM2_PolicyRestart (Part 3, 11.2).
func policyRestart(c *call) rcode {
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	c.entities[0].session.restart()
	return rcSuccess
}
