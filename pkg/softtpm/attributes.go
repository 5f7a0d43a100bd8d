package softtpm

import "github.com/google/go-tpm/tpm2"

// Object attributes (Part 2, 8.3).
const (
	attrFixedTPM            = 1 << 1
	attrStClear             = 1 << 2
	attrFixedParent         = 1 << 4
	attrSensitiveDataOrigin = 1 << 5
	attrUserWithAuth        = 1 << 6
	attrAdminWithPolicy     = 1 << 7
	attrNoDA                = 1 << 10
	attrEncryptedDup        = 1 << 11
	attrRestricted          = 1 << 16
	attrDecryptKey          = 1 << 17
	attrSignKey             = 1 << 18

	attrObjectKnown = attrFixedTPM | attrStClear | attrFixedParent | attrSensitiveDataOrigin | attrUserWithAuth |
		attrAdminWithPolicy | attrNoDA | attrEncryptedDup | attrRestricted | attrDecryptKey | attrSignKey
)

func (p *publicArea) has(attr uint32) bool { return p.attrs&attr == attr }

// isParent tells whether the key protects other keys.
func (p *publicArea) isParent() bool { return p.has(attrRestricted | attrDecryptKey) }

// symmetric tells whether the secret is bytes and not a key pair.
func (p *publicArea) symmetric() bool { return p.typ == algKeyedHash || p.typ == algSymCipher }

// checkPublic applies the rules that hold for every object under a parent:
// attributes against the parent's, and the scheme against the attributes
// (Part 1, 27; Part 2, 8.3.3 and 12.2). parent is nil for a primary key.
func (p *publicArea) checkPublic(parent *object) rcode {
	fixed := p.has(attrFixedTPM)
	if parent == nil || parent.pub.has(attrFixedTPM) {
		if fixed != p.has(attrFixedParent) {
			return rcAttributes
		}
	} else if fixed {
		return rcAttributes // a key cannot be more fixed than its parent
	}
	// Below a parent that may move, the whole group moves under one rule.
	if parent != nil && !parent.pub.has(attrFixedTPM) && p.has(attrEncryptedDup) != parent.pub.has(attrEncryptedDup) {
		return rcAttributes
	}
	if fixed && p.has(attrEncryptedDup) {
		return rcAttributes
	}
	return p.checkShape()
}

// checkShape applies the rules that need no parent.
func (p *publicArea) checkShape() rcode {
	signs, decrypts := p.has(attrSignKey), p.has(attrDecryptKey)
	if p.has(attrRestricted) && signs == decrypts {
		return rcAttributes
	}
	if p.typ != algKeyedHash && !signs && !decrypts {
		return rcAttributes // only a sealed object may do nothing
	}
	if n := len(p.policy); n != 0 {
		if h, ok := hashOf(p.nameAlg); !ok || n != h.Size() {
			return rcSize
		}
	}
	return p.checkScheme()
}

// checkSize refuses key sizes that are loaded but not made: like common chips,
// this TPM makes RSA keys of 2048 bits.
func (p *publicArea) checkSize() rcode {
	if p.typ == algRSA && p.keyBits != 2048 {
		return rcValue
	}
	return rcSuccess
}

// checkCreate applies the rules for a new object with dataLen bytes of given
// data (Part 1, 27.3; Part 3, 12.1.1).
func (p *publicArea) checkCreate(dataLen int) rcode {
	origin := p.has(attrSensitiveDataOrigin)
	switch {
	case p.symmetric() && origin == (dataLen > 0):
		return rcAttributes // the data is either given or made here
	case !p.symmetric() && (!origin || dataLen > 0):
		return rcAttributes // key pairs are always made here
	case p.typ == algKeyedHash && origin && p.attrs&(attrSignKey|attrDecryptKey) == 0:
		return rcAttributes // nobody could know what is sealed
	case p.symmetric() && p.has(attrRestricted) && !origin && p.attrs&(attrFixedTPM|attrFixedParent) != 0:
		return rcAttributes // a parent with a known secret must not look fixed
	}
	return rcSuccess
}

// checkScheme compares the scheme with what the key may do.
func (p *publicArea) checkScheme() rcode {
	signs, decrypts, restricted := p.has(attrSignKey), p.has(attrDecryptKey), p.has(attrRestricted)
	switch p.typ {
	case algKeyedHash:
		return p.checkKeyedHash(signs, decrypts, restricted)
	case algSymCipher:
		if restricted && (signs || p.symMode != algCFB) {
			return rcMode
		}
		return rcSuccess
	}
	return p.checkPair(signs, decrypts, restricted)
}

// checkPair compares the scheme of a key pair with what it may do: a parent has
// a cipher and no scheme, every other key no cipher.
func (p *publicArea) checkPair(signs, decrypts, restricted bool) rcode {
	if p.typ == algECC && tpm2.TPMECCCurve(p.curveID) == tpm2.TPMECCBNP256 && (decrypts || p.scheme != algNull && p.scheme != algECDAA) {
		return rcScheme // the curve is here for ECDAA
	}
	if restricted && decrypts {
		switch {
		case p.scheme != algNull:
			return rcScheme
		case p.sym != algAES || p.symMode != algCFB:
			return rcSymmetric
		}
		return rcSuccess
	}
	if p.sym != algNull {
		return rcSymmetric
	}
	signing := p.scheme == algRSASSA || p.scheme == algRSAPSS || p.scheme == algECDSA || p.scheme == algECDAA
	switch {
	case p.scheme == algNull && !restricted:
		return rcSuccess
	case p.scheme == algNull, signs && decrypts, signs != signing:
		return rcScheme
	}
	return rcSuccess
}

func (p *publicArea) checkKeyedHash(signs, decrypts, restricted bool) rcode {
	switch {
	case signs == decrypts: // sealed data, or a key for both: the caller chooses
		if p.scheme != algNull {
			return rcScheme
		}
	case signs:
		if p.scheme != algHMAC && (restricted || p.scheme != algNull) {
			return rcScheme
		}
	default:
		if p.scheme != algXOR && (restricted || p.scheme != algNull) {
			return rcScheme
		}
		if p.scheme == algXOR && p.kdf != algKDF108 {
			return rcKDF
		}
	}
	return rcSuccess
}
