package softtpm

import (
	"bytes"
	"crypto"
	"slices"
)

// publicArea is a TPMT_PUBLIC (Part 2, 12.2.4), parsed by hand: Load is a hot
// command and a reflecting codec costs more than the crypto.
type publicArea struct {
	raw     []byte // the whole area as it stands on the wire
	typ     uint16
	nameAlg uint16
	attrs   uint32
	policy  []byte

	sym     uint16 // cipher of a parent or a SYMCIPHER key, algNull: none
	symBits uint16
	symMode uint16

	scheme     uint16 // algNull: the caller of each command chooses
	schemeHash uint16
	kdf        uint16 // of an XOR scheme

	keyBits uint16 // RSA
	curveID uint16 // ECC

	unique int    // where the unique field starts in raw
	n      []byte // RSA modulus
	x, y   []byte // ECC point
	digest []byte // keyed hash and symmetric: binds the secret
}

// derivation is the unique field of a template for a derived object.
type derivation struct{ label, context []byte }

// parsePublic reads a TPMT_PUBLIC that fills raw. It keeps raw.
func parsePublic(raw []byte) (*publicArea, rcode) {
	r := reader{b: raw}
	p, rc := readArea(&r)
	if rc != rcSuccess {
		return nil, rc
	}
	return p, r.end()
}

// readArea reads a TPMT_PUBLIC from a stream. The area stays part of the
// input; own makes a copy to keep.
func readArea(r *reader) (*publicArea, rcode) {
	raw := r.b
	p, rc := parseHead(r, raw)
	if rc != rcSuccess {
		return nil, rc
	}
	switch p.typ {
	case algRSA:
		if p.n, rc = r.limited(maxRSA); rc == rcSuccess && len(p.n) > int(p.keyBits)/8 {
			rc = rcSize
		}
	case algECC:
		if p.x, rc = r.limited(maxECC); rc == rcSuccess {
			p.y, rc = r.limited(maxECC)
		}
		if c, _ := curveOf(p.curveID); rc == rcSuccess && (len(p.x) > c.size || len(p.y) > c.size) {
			rc = rcECCPoint
		}
	default:
		p.digest, rc = r.limited(maxDigest)
	}
	p.raw = raw[: len(raw)-len(r.b) : len(raw)-len(r.b)]
	return p, rc
}

// own gives a copy that shares nothing with the input.
func (p *publicArea) own() *publicArea {
	if p == nil {
		return nil
	}
	q, rc := parsePublic(bytes.Clone(p.raw))
	if rc != rcSuccess {
		return nil // unreachable: it was parsed before
	}
	return q
}

// parseDerived reads a TPMT_TEMPLATE whose unique field is a TPMS_DERIVE.
func parseDerived(raw []byte) (*publicArea, derivation, rcode) {
	r := reader{b: raw}
	p, rc := parseHead(&r, raw)
	if rc != rcSuccess {
		return nil, derivation{}, rc
	}
	d := derivation{label: r.sized(), context: r.sized()}
	return p, d, r.end()
}

// parseHead reads everything before the unique field.
func parseHead(r *reader, raw []byte) (*publicArea, rcode) {
	p := &publicArea{raw: raw, sym: algNull, scheme: algNull, typ: r.u16()}
	if p.typ != algRSA && p.typ != algECC && p.typ != algKeyedHash && p.typ != algSymCipher && !r.bad {
		return nil, rcType
	}
	p.nameAlg = r.u16()
	if _, ok := hashOf(p.nameAlg); !ok && !r.bad {
		return nil, rcHash
	}
	if p.attrs = r.u32(); r.bad {
		return nil, rcInsufficient
	}
	if p.attrs&^uint32(attrObjectKnown) != 0 {
		return nil, rcReservedBits
	}
	var rc rcode
	if p.policy, rc = r.limited(maxDigest); rc != rcSuccess {
		return nil, rc
	}
	if rc := p.parseParms(r); rc != rcSuccess {
		return nil, rc
	}
	if r.bad {
		return nil, rcInsufficient
	}
	p.unique = len(raw) - len(r.b)
	return p, rcSuccess
}

func (p *publicArea) parseParms(r *reader) rcode {
	switch p.typ {
	case algRSA:
		return p.parseRSA(r)
	case algECC:
		return p.parseECC(r)
	case algKeyedHash:
		if rc := p.parseScheme(r, algHMAC, algXOR); rc != rcScheme {
			return rc
		}
		return rcValue
	case algSymCipher:
		if rc := p.parseSym(r); rc != rcSuccess {
			return rc
		}
		if p.sym == algNull {
			return rcSymmetric
		}
		return rcSuccess
	default:
		return rcType
	}
}

func (p *publicArea) parseRSA(r *reader) rcode {
	if rc := p.parseSym(r); rc != rcSuccess {
		return rc
	}
	switch rc := p.parseScheme(r, algRSASSA, algRSAPSS, algOAEP, algRSAES); rc {
	case rcSuccess:
	case rcScheme:
		return rcValue
	default:
		return rc
	}
	p.keyBits = r.u16()
	exponent := r.u32()
	switch {
	case p.keyBits != 2048 && p.keyBits != 3072 && !r.bad:
		return rcValue
	case r.bad:
		return rcInsufficient
	case exponent != 0 && exponent != rsaExponent:
		return rcRange
	}
	return rcSuccess
}

func (p *publicArea) parseECC(r *reader) rcode {
	if rc := p.parseSym(r); rc != rcSuccess {
		return rc
	}
	if rc := p.parseScheme(r, algECDSA, algECDH, algECDAA); rc != rcSuccess {
		return rc
	}
	p.curveID = r.u16()
	if _, ok := curveOf(p.curveID); !ok && !r.bad {
		return rcCurve
	}
	kdf := r.u16()
	if r.bad {
		return rcInsufficient
	}
	if kdf != algNull {
		return rcKDF
	}
	return rcSuccess
}

// parseSym reads a TPMT_SYM_DEF_OBJECT: null or AES.
func (p *publicArea) parseSym(r *reader) rcode {
	switch p.sym = r.u16(); {
	case r.bad:
		return rcInsufficient
	case p.sym == algNull:
		return rcSuccess
	case p.sym != algAES:
		return rcSymmetric
	}
	p.symBits, p.symMode = r.u16(), r.u16()
	switch {
	case r.bad:
		return rcInsufficient
	case p.symBits != 128 && p.symBits != 256:
		return rcValue
	case p.symMode != algCFB && p.symMode != algCTR && p.symMode != algNull:
		return rcMode
	}
	return rcSuccess
}

// parseScheme reads a scheme that must be null or one of those allowed. All but
// RSAES carry a hash, XOR also a KDF.
func (p *publicArea) parseScheme(r *reader, allowed ...uint16) rcode {
	s, rc := readScheme(r, allowed...)
	p.scheme, p.schemeHash, p.kdf = s.alg, s.hash, s.kdf
	return rc
}

// sigScheme is a scheme union: of a signature, of a key, of an encryption.
type sigScheme struct {
	alg, hash uint16
	kdf       uint16 // of XOR
	count     uint16 // of ECDAA: which commit it uses
}

// readScheme reads a scheme that must be null or one of those allowed.
func readScheme(r *reader, allowed ...uint16) (sigScheme, rcode) {
	s := sigScheme{alg: r.u16()}
	switch {
	case r.bad:
		return s, rcInsufficient
	case s.alg == algNull:
		return s, rcSuccess
	case !slices.Contains(allowed, s.alg):
		return s, rcScheme
	}
	if s.alg == algRSAES {
		return s, rcSuccess // it has no hash
	}
	s.hash = r.u16()
	switch s.alg {
	case algXOR:
		s.kdf = r.u16()
	case algECDAA:
		s.count = r.u16()
	}
	if r.bad {
		return s, rcInsufficient
	}
	if _, ok := hashOf(s.hash); !ok {
		return s, rcHash
	}
	if s.alg == algXOR && s.kdf != algKDF108 && s.kdf != algNull {
		return s, rcKDF
	}
	return s, rcSuccess
}

// withUnique gives the same area with another unique field.
func (p *publicArea) withUnique(unique ...[]byte) (*publicArea, rcode) {
	raw := bytes.Clone(p.raw[:p.unique])
	for _, u := range unique {
		raw = append2B(raw, u)
	}
	return parsePublic(raw)
}

// hash gives the name algorithm; parseHead made sure that it is known.
func (p *publicArea) hash() crypto.Hash {
	h, _ := hashOf(p.nameAlg)
	return h
}

// name computes the Name (Part 1, 16): the algorithm and the hash of the area.
func (p *publicArea) name() []byte {
	h := p.hash().New()
	h.Write(p.raw)
	return h.Sum(be.AppendUint16(nil, p.nameAlg))
}
