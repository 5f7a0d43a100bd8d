package softtpm

import (
	"bytes"
	"crypto/hmac"

	"github.com/google/go-tpm/tpm2"
)

// comparison is what PolicyNV and PolicyCounterTimer have in common.
type comparison struct {
	operand   []byte
	offset    int
	operation tpm2.TPMEO
}

func (c *call) readComparison() (comparison, rcode) {
	k := comparison{operand: c.in.sized(maxDigest), offset: int(c.in.u16()), operation: c.in.operation()}
	return k, c.in.end()
}

// arguments hashes the comparison, as it enters the policy.
func (k *comparison) arguments(s *session) []byte {
	h := s.hash.New()
	h.Write(k.operand)
	h.Write(be.AppendUint16(nil, uint16(k.offset)))
	h.Write(be.AppendUint16(nil, uint16(k.operation)))
	return h.Sum(nil)
}

// holds compares a (the TPM's) with b of the same length (Part 2, 6.8).
func (k *comparison) holds(a []byte) bool {
	b := k.operand
	unsigned, signed := bytes.Compare(a, b), bytes.Compare(a, b)
	if len(a) > 0 && (a[0]^b[0])&0x80 != 0 { // two's complement: the sign decides
		signed = -unsigned
	}
	switch k.operation {
	case tpm2.TPMEOEq:
		return unsigned == 0
	case tpm2.TPMEONeq:
		return unsigned != 0
	case tpm2.TPMEOSignedGT:
		return signed > 0
	case tpm2.TPMEOUnsignedGT:
		return unsigned > 0
	case tpm2.TPMEOSignedLT:
		return signed < 0
	case tpm2.TPMEOUnsignedLT:
		return unsigned < 0
	case tpm2.TPMEOSignedGE:
		return signed >= 0
	case tpm2.TPMEOUnsignedGE:
		return unsigned >= 0
	case tpm2.TPMEOSignedLE:
		return signed <= 0
	case tpm2.TPMEOUnsignedLE:
		return unsigned <= 0
	}
	for i := range a {
		want := b[i] // every bit of b set in a
		if k.operation == tpm2.TPMEOBitClear {
			want = 0
		}
		if a[i]&b[i] != want {
			return false
		}
	}
	return true
}

// policyNV is TPM2_PolicyNV (Part 3, 23.9).
func policyNV(c *call) rcode {
	k, rc := c.readComparison()
	if rc != rcSuccess {
		return rc
	}
	x, s := c.entities[1].index, c.entities[2].session
	if !s.trial {
		if rc := c.mayRead(c.entities[0], x); rc != rcSuccess {
			return rc
		}
		switch {
		case k.offset > len(x.data):
			return rcValue.param(2)
		case len(k.operand) > len(x.data)-k.offset:
			return rcSize.param(1)
		case !k.holds(x.data[k.offset : k.offset+len(k.operand)]):
			return rcPolicy
		}
	}
	s.extend(code(tpm2.TPMCCPolicyNV), k.arguments(s), x.name())
	return rcSuccess
}

// policyCounterTimer is TPM2_PolicyCounterTimer (Part 3, 23.10).
func policyCounterTimer(c *call) rcode {
	k, rc := c.readComparison()
	if rc != rcSuccess {
		return rc
	}
	info := c.t.appendTimeInfo(nil)
	switch {
	case k.offset > len(info):
		return rcValue.param(2)
	case len(k.operand) > len(info)-k.offset:
		return rcRange
	}
	s := c.entities[0].session
	if !s.trial && !k.holds(info[k.offset:k.offset+len(k.operand)]) {
		return rcPolicy
	}
	s.extend(code(tpm2.TPMCCPolicyCounterTimer), k.arguments(s))
	return rcSuccess
}

// policyPCR is TPM2_PolicyPCR (Part 3, 23.7). An empty digest means the
// present values; the policy also ends when any PCR changes.
func policyPCR(c *call) rcode {
	digest, sel := c.in.sized(maxDigest), c.in.selections()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	s := c.entities[0].session
	now := c.t.pcrs.digest(sel, s.hash)
	switch {
	case s.trial && len(digest) > 0:
		now = digest
	case s.trial:
	case s.pcrs && s.pcrUpdates != c.t.pcrs.updates:
		return rcPCRChanged
	case len(digest) > 0 && !hmac.Equal(digest, now):
		return rcValue.param(1)
	default:
		s.pcrs, s.pcrUpdates = true, c.t.pcrs.updates
	}
	s.extend(code(tpm2.TPMCCPolicyPCR), appendSelections(nil, sel), now)
	return rcSuccess
}
