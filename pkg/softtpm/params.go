package softtpm

import (
	"bytes"

	"github.com/google/go-tpm/tpm2"
)

// params reads the parameters of a command in order. The first fault sticks,
// with the number of its parameter, and what is read afterwards is zero; so a
// handler reads all of them and asks end once. Callers get the fault that a
// parser working from left to right finds first, as on other TPMs.
type params struct {
	r  reader
	n  uint32 // the parameter being read, from 1
	rc rcode
}

// Sizes of TPM2B parameters in bytes.
const (
	maxName     = maxDigest + 2
	maxData     = maxDigest + 2       // TPM2B_DATA
	maxRSA      = 384                 // TPM2B_PUBLIC_KEY_RSA: keys of 3072 bits can be loaded
	maxSecret   = 384                 // TPM2B_ENCRYPTED_SECRET
	maxECC      = 66                  // TPM2B_ECC_PARAMETER
	maxBlob     = 1024                // TPM2B_PRIVATE
	maxCredBlob = 2 * (2 + maxDigest) // TPM2B_ID_OBJECT
	maxTemplate = 1024                // TPM2B_TEMPLATE
	maxContext  = 4096                // TPM2B_CONTEXT_DATA
)

func (p *params) fail(rc rcode) {
	if p.rc == rcSuccess && rc != rcSuccess {
		p.rc = rc.param(p.n)
		p.r = reader{bad: true}
	}
}

func (p *params) check() {
	if p.r.bad {
		p.fail(rcInsufficient)
	}
}

func (p *params) u8() byte {
	p.n++
	v := p.r.u8()
	p.check()
	return v
}

func (p *params) u16() uint16 {
	p.n++
	v := p.r.u16()
	p.check()
	return v
}

func (p *params) u32() uint32 {
	p.n++
	v := p.r.u32()
	p.check()
	return v
}

func (p *params) u64() uint64 {
	p.n++
	v := p.r.u64()
	p.check()
	return v
}

// sized reads a TPM2B of at most limit bytes, without copying.
func (p *params) sized(limit int) []byte {
	p.n++
	b, rc := p.r.limited(limit)
	p.fail(rc)
	return b
}

// yesNo reads a TPMI_YES_NO.
func (p *params) yesNo() bool {
	v := p.u8()
	if v > 1 {
		p.fail(rcValue)
	}
	return v == 1
}

// hash reads a TPMI_ALG_HASH.
func (p *params) hash() uint16 {
	alg := p.u16()
	if _, ok := hashOf(alg); !ok && p.rc == rcSuccess {
		p.fail(rcHash)
	}
	return alg
}

// hashOrNull reads a TPMI_ALG_HASH+.
func (p *params) hashOrNull() uint16 {
	alg := p.u16()
	if _, ok := hashOf(alg); !ok && alg != algNull && p.rc == rcSuccess {
		p.fail(rcHash)
	}
	return alg
}

// mac reads a TPMI_ALG_MAC_SCHEME+: a hash, as HMAC is the only MAC.
func (p *params) mac() uint16 {
	alg := p.u16()
	if _, ok := hashOf(alg); !ok && alg != algNull && p.rc == rcSuccess {
		p.fail(rcSymmetric)
	}
	return alg
}

// hierarchy reads a TPMI_RH_HIERARCHY+.
func (p *params) hierarchy() uint32 {
	h := p.u32()
	if !kindHierarchy.permanent(h) && p.rc == rcSuccess {
		p.fail(rcValue)
	}
	return h
}

// group reads one parameter that is more than a number or a TPM2B.
func (p *params) group(read func(*reader) rcode) {
	p.n++
	if p.rc == rcSuccess {
		p.fail(read(&p.r))
	}
}

// nested reads a TPM2B around a structure, which must fill it. A structure that
// runs over the end is a wrong size, if the bytes are there at all.
func (p *params) nested(read func(*reader) rcode) {
	p.group(func(r *reader) rcode {
		size := int(r.u16())
		switch {
		case r.bad:
			return rcInsufficient
		case size == 0:
			return rcSize
		}
		before := len(r.b)
		if rc := read(r); rc != rcSuccess {
			return rc
		}
		if before-len(r.b) != size {
			return rcSize
		}
		return rcSuccess
	})
}

// public reads a TPM2B_PUBLIC; nil if there is a fault. The area is part of the
// command: what outlives it takes own.
func (p *params) public() *publicArea {
	var area *publicArea
	p.nested(func(r *reader) (rc rcode) {
		area, rc = readArea(r)
		return rc
	})
	return area
}

// scheme reads a scheme that must be null or one of those allowed.
func (p *params) scheme(allowed ...uint16) (s sigScheme) {
	p.group(func(r *reader) (rc rcode) {
		s, rc = readScheme(r, allowed...)
		return rc
	})
	return s
}

// sigScheme reads a TPMT_SIG_SCHEME.
func (p *params) sigScheme() sigScheme {
	return p.scheme(algRSASSA, algRSAPSS, algECDSA, algECDAA, algHMAC)
}

// signature reads a TPMT_SIGNATURE.
func (p *params) signature() (s signature) {
	p.group(func(r *reader) (rc rcode) {
		s, rc = readSignature(r)
		return rc
	})
	return s
}

// sensitive reads a TPM2B_SENSITIVE, which may be empty.
func (p *params) sensitive() []byte {
	if p.rc == rcSuccess && len(p.r.b) >= 2 && be.Uint16(p.r.b) == 0 {
		return p.sized(0)
	}
	var b []byte
	p.nested(func(r *reader) rcode {
		from := r.b
		switch typ := r.u16(); {
		case r.bad:
			return rcInsufficient
		case typ != algRSA && typ != algECC && typ != algKeyedHash && typ != algSymCipher:
			return rcType
		}
		for _, limit := range []int{maxDigest, maxDigest, maxRSA} {
			if _, rc := r.limited(limit); rc != rcSuccess {
				return rc
			}
		}
		b = from[:len(from)-len(r.b)]
		return rcSuccess
	})
	return b
}

// selections reads a TPML_PCR_SELECTION.
func (p *params) selections() (sel []pcrSelection) {
	p.group(func(r *reader) (rc rcode) {
		sel, rc = readSelections(r)
		return rc
	})
	return sel
}

// ticket reads a ticket with one of two tags.
func (p *params) ticket(tag, other uint16) (got uint16, hier uint32, digest []byte) {
	p.group(func(r *reader) (rc rcode) {
		if got = r.u16(); r.bad {
			return rcInsufficient
		}
		if got != tag && got != other {
			if !structureTag(got) {
				return rcValue
			}
			return rcTag
		}
		if hier = r.u32(); r.bad {
			return rcInsufficient
		}
		if !kindHierarchy.permanent(hier) {
			return rcValue
		}
		digest, rc = r.limited(maxDigest)
		return rc
	})
	return got, hier, digest
}

// structureTag tells whether a number is a TPM_ST (Part 2, 6.9).
func structureTag(v uint16) bool {
	return v == 0xc4 || v >= 0x8000 && v <= 0x8003 || v >= 0x8014 && v <= 0x801c || v >= 0x8021 && v <= 0x8025 || v == 0x8029
}

// codes reads a TPML_CC.
func (p *params) codes() (list []uint32) {
	p.group(func(r *reader) rcode {
		n := r.u32()
		if n > lastCode-firstCode+1 {
			return rcSize
		}
		for range n {
			if list = append(list, r.u32()); r.bad {
				return rcInsufficient
			}
		}
		if r.bad {
			return rcInsufficient
		}
		return rcSuccess
	})
	return list
}

// point reads a TPM2B_ECC_POINT.
func (p *params) point() (x, y []byte) {
	p.nested(func(r *reader) (rc rcode) {
		if x, rc = r.limited(maxECC); rc == rcSuccess {
			y, rc = r.limited(maxECC)
		}
		return rc
	})
	return x, y
}

// digests reads a TPML_DIGEST of at least two.
func (p *params) digests() (list [][]byte) {
	p.group(func(r *reader) rcode {
		n := r.u32()
		switch {
		case r.bad:
			return rcInsufficient
		case n < 2 || n > 8:
			return rcSize
		}
		for range n {
			d, rc := r.limited(maxDigest)
			if rc != rcSuccess {
				return rc
			}
			list = append(list, d)
		}
		return rcSuccess
	})
	return list
}

// secretCreate reads a TPM2B_SENSITIVE_CREATE: authValue and data, copied.
func (p *params) secretCreate() (auth, data []byte) {
	p.nested(func(r *reader) (rc rcode) {
		if auth, rc = r.limited(maxDigest); rc == rcSuccess {
			data, rc = r.limited(maxSealed)
		}
		auth, data = bytes.Clone(trim(auth)), bytes.Clone(data)
		return rc
	})
	return auth, data
}

// end checks that everything was read and nothing is left.
func (p *params) end() rcode {
	if p.rc == rcSuccess && len(p.r.b) > 0 {
		return rcSize
	}
	return p.rc
}

// operation reads a TPM_EO.
func (p *params) operation() tpm2.TPMEO {
	v := tpm2.TPMEO(p.u16())
	if v > tpm2.TPMEOBitClear {
		p.fail(rcValue)
	}
	return v
}
