package softtpm

import (
	"crypto"
	_ "crypto/sha1" // registered for hashOf
	_ "crypto/sha256"
	_ "crypto/sha512"

	"github.com/google/go-tpm/tpm2"
)

// Algorithm ids as they stand on the wire (Part 2, 6.3).
const (
	algRSA       = uint16(tpm2.TPMAlgRSA)
	algHMAC      = uint16(tpm2.TPMAlgHMAC)
	algAES       = uint16(tpm2.TPMAlgAES)
	algKeyedHash = uint16(tpm2.TPMAlgKeyedHash)
	algXOR       = uint16(tpm2.TPMAlgXOR)
	algSHA1      = uint16(tpm2.TPMAlgSHA1)
	algSHA256    = uint16(tpm2.TPMAlgSHA256)
	algSHA384    = uint16(tpm2.TPMAlgSHA384)
	algSHA512    = uint16(tpm2.TPMAlgSHA512)
	algNull      = uint16(tpm2.TPMAlgNull)
	algRSASSA    = uint16(tpm2.TPMAlgRSASSA)
	algRSAPSS    = uint16(tpm2.TPMAlgRSAPSS)
	algOAEP      = uint16(tpm2.TPMAlgOAEP)
	algRSAES     = uint16(tpm2.TPMAlgRSAES)
	algECDSA     = uint16(tpm2.TPMAlgECDSA)
	algECDAA     = uint16(tpm2.TPMAlgECDAA)
	algECDH      = uint16(tpm2.TPMAlgECDH)
	algKDF56A    = uint16(tpm2.TPMAlgKDF1SP80056A)
	algKDF108    = uint16(tpm2.TPMAlgKDF1SP800108)
	algECC       = uint16(tpm2.TPMAlgECC)
	algSymCipher = uint16(tpm2.TPMAlgSymCipher)
	algCTR       = uint16(tpm2.TPMAlgCTR)
	algCFB       = uint16(tpm2.TPMAlgCFB)
)

// hashOf gives the hash of an id; false if this TPM does not have it.
func hashOf(alg uint16) (crypto.Hash, bool) {
	switch alg {
	case algSHA1:
		return crypto.SHA1, true
	case algSHA256:
		return crypto.SHA256, true
	case algSHA384:
		return crypto.SHA384, true
	case algSHA512:
		return crypto.SHA512, true
	}
	return 0, false
}

// hashFor gives the hash of an id that is known to be one.
func hashFor(alg uint16) crypto.Hash {
	h, _ := hashOf(alg)
	return h
}
