package softtpm

import (
	"bytes"

	"github.com/google/go-tpm/tpm2"
)

// Tags of tickets (Part 2, 10.7).
const (
	tagCreation   = uint16(tpm2.TPMSTCreation)
	tagHashCheck  = uint16(tpm2.TPMSTHashCheck)
	tagAuthSecret = uint16(tpm2.TPMSTAuthSecret)
	tagAuthSigned = uint16(tpm2.TPMSTAuthSigned)
	tagVerified   = uint16(tpm2.TPMSTVerified)
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
	if s.command != 0 && s.command != cc {
		return rcValue.param(1)
	}
	if c.t.commands.find(cc) == nil {
		return rcPolicyCC.param(1)
	}
	s.command = cc
	s.extend(code(tpm2.TPMCCPolicyCommandCode), be.AppendUint32(nil, cc))
	return rcSuccess
}

// policyOR is TPM2_PolicyOR (Part 3, 23.6): 2 to 8 branches, one of which must
// be the policy so far.
func policyOR(c *call) rcode {
	s := c.entities[0].session
	found := s.trial
	var all []byte
	for _, d := range c.in.digests() {
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
	c.entities[0].session.restart(c.t)
	return rcSuccess
}

// policyPhysicalPresence is TPM2_PolicyPhysicalPresence (Part 3, 23.12). There
// is nobody who could be present, so a policy with it authorizes nothing here.
func policyPhysicalPresence(c *call) rcode {
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	s := c.entities[0].session
	s.presence = true
	s.extend(code(tpm2.TPMCCPolicyPhysicalPresence))
	return rcSuccess
}

// policyLocality is TPM2_PolicyLocality (Part 3, 23.8): a set of localities 0
// to 4, or one extended locality. Several of these narrow the choice.
func policyLocality(c *call) rcode {
	asked := c.in.u8()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	s := c.entities[0].session
	next := asked
	switch extended := asked > 31; {
	case asked == 0, s.locality != 0 && extended != (s.locality > 31), extended && s.locality != 0 && s.locality != asked:
		return rcRange.param(1)
	case !extended && s.locality != 0:
		if next &= s.locality; next == 0 {
			return rcRange.param(1)
		}
	}
	s.locality = next
	s.extend(code(tpm2.TPMCCPolicyLocality), []byte{asked})
	return rcSuccess
}
