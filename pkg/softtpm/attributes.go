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
	if rc := p.checkPolicySize(); rc != rcSuccess {
		return rc
	}
	fixed, loose := p.has(attrFixedTPM), parent != nil && !parent.pub.has(attrFixedTPM)
	switch {
	case !loose && fixed != p.has(attrFixedParent):
		return rcAttributes
	case loose && fixed:
		return rcAttributes // a key cannot be more fixed than its parent
	}
	if rc := p.checkUses(); rc != rcSuccess {
		return rc
	}
	switch {
	case fixed && p.has(attrEncryptedDup):
		return rcAttributes
	case loose && p.has(attrEncryptedDup) != parent.pub.has(attrEncryptedDup):
		return rcAttributes // below a parent that may move, all move by one rule
	}
	if rc := p.checkScheme(); rc != rcSuccess || parent == nil {
		return rc
	}
	return p.checkGroup(parent.pub)
}

// checkGroup makes sure that keys which move together have one hash and one
// cipher: those of the parent.
func (p *publicArea) checkGroup(parent *publicArea) rcode {
	switch {
	case !p.isParent() || p.typ == algKeyedHash || !p.has(attrFixedParent):
		return rcSuccess
	case p.nameAlg != parent.nameAlg:
		return rcHash
	case p.sym != parent.sym || p.symBits != parent.symBits || p.symMode != parent.symMode:
		return rcSymmetric
	}
	return rcSuccess
}

// checkShape applies the rules that need no parent.
func (p *publicArea) checkShape() rcode {
	if rc := p.checkUses(); rc != rcSuccess {
		return rc
	}
	if rc := p.checkPolicySize(); rc != rcSuccess {
		return rc
	}
	return p.checkScheme()
}

func (p *publicArea) checkPolicySize() rcode {
	if n := len(p.policy); n != 0 && n != p.hash().Size() {
		return rcSize
	}
	return rcSuccess
}

// checkUses makes sure that a restricted key does one thing, and that only
// sealed data does nothing.
func (p *publicArea) checkUses() rcode {
	signs, decrypts := p.has(attrSignKey), p.has(attrDecryptKey)
	if signs == decrypts && p.has(attrRestricted) || p.typ != algKeyedHash && !signs && !decrypts {
		return rcAttributes
	}
	return rcSuccess
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
// data (Part 1, 27.3; Part 3, 12.1.1). The data of a primary key may come on
// top of what is made here.
func (p *publicArea) checkCreate(dataLen int, primary bool) rcode {
	origin := p.has(attrSensitiveDataOrigin)
	switch {
	case !origin && dataLen == 0, !primary && origin && dataLen > 0:
		return rcAttributes // the data is either given or made here
	case !p.symmetric() && !origin:
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
	signing := p.scheme == algRSASSA || p.scheme == algRSAPSS || p.scheme == algECDSA || p.scheme == algECDAA
	switch {
	case signs && decrypts, restricted && decrypts:
		if p.scheme != algNull {
			return rcScheme
		}
	case p.scheme == algNull:
		if restricted {
			return rcScheme
		}
	case signs != signing:
		return rcScheme
	}
	if parent := restricted && decrypts; parent != (p.sym != algNull) {
		return rcSymmetric
	}
	return rcSuccess
}

func (p *publicArea) checkKeyedHash(signs, decrypts, restricted bool) rcode {
	switch {
	case signs == decrypts: // sealed data, or a key for both: the caller chooses
		if p.scheme != algNull {
			return rcScheme
		}
	case signs && p.scheme != algHMAC:
		return rcScheme
	case decrypts && p.scheme != algXOR, decrypts && restricted && p.kdf != algKDF108:
		return rcScheme
	}
	return rcSuccess
}
