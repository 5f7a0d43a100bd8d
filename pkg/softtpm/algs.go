package softtpm

import (
	"crypto"
	"crypto/ecdh"
	"crypto/elliptic"
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
	algECDSA     = uint16(tpm2.TPMAlgECDSA)
	algECDH      = uint16(tpm2.TPMAlgECDH)
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

// curve is one elliptic curve.
type curve struct {
	ecdh  ecdh.Curve
	ecdsa elliptic.Curve
	size  int // bytes of a coordinate
}

// curveOf gives the curve of an id; false if this TPM does not have it.
func curveOf(id uint16) (curve, bool) {
	switch tpm2.TPMECCCurve(id) {
	case tpm2.TPMECCNistP256:
		return curve{ecdh.P256(), elliptic.P256(), 32}, true
	case tpm2.TPMECCNistP384:
		return curve{ecdh.P384(), elliptic.P384(), 48}, true
	}
	return curve{}, false
}

// point makes a public key of two coordinates; leading zeros may be missing.
// It fails for a point that is not on the curve.
func (c curve) point(x, y []byte) (*ecdh.PublicKey, bool) {
	if len(x) > c.size || len(y) > c.size {
		return nil, false
	}
	b := make([]byte, 1+2*c.size)
	b[0] = 4
	copy(b[1+c.size-len(x):], x)
	copy(b[1+2*c.size-len(y):], y)
	p, err := c.ecdh.NewPublicKey(b)
	return p, err == nil
}
