package attestation

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/google/go-tpm/tpm2"
)

// defaultExponent is the public exponent that a TPM writes as 0 (Part 2,
// TPMS_RSA_PARMS). No other is taken: what it costs to use a key is then bounded.
const defaultExponent = 65537

// role is what a key of a device is for; its attributes must be exactly those of
// the role, as far as they matter here.
type role struct {
	name                      string
	sign, decrypt, restricted bool
}

func roleEK() role        { return role{"endorsement key", false, true, true} }
func roleAK() role        { return role{"attestation key", true, false, true} }
func roleDevice() role    { return role{"device key", true, false, false} }
func roleTransport() role { return role{"transport key", false, true, false} }
func roleStorage() role   { return role{"storage key", false, true, true} }

// public is a public area that was read, with the name that follows from its bytes.
type public struct {
	area *tpm2.TPMTPublic
	name []byte
	key  crypto.PublicKey
}

// readPublic reads a TPMT_PUBLIC of a role. The attributes say that the TPM itself
// made the key and that it can never leave (Part 1, 27.2); whether that is true, a
// certificate or a statement has to say.
func readPublic(b []byte, r role) (public, error) {
	area, why := read[tpm2.TPMTPublic](b)
	if why != nil {
		return public{}, reason("%s: public area %v", r.name, why)
	}
	a := area.ObjectAttributes
	if !a.FixedTPM || !a.FixedParent || !a.SensitiveDataOrigin || a.EncryptedDuplication {
		return public{}, reason("%s: could leave its TPM or was made outside", r.name)
	}
	if a.SignEncrypt != r.sign || a.Decrypt != r.decrypt || a.Restricted != r.restricted {
		return public{}, reason("%s: attributes are not those of its purpose", r.name)
	}
	p := public{area: area, name: nameOf(area.NameAlg, b)}
	if p.name == nil {
		return public{}, reason("%s: name algorithm is not SHA-256 or SHA-384", r.name)
	}
	if p.key = keyOf(area); p.key == nil {
		return public{}, reason("%s: is not RSA of 2048 to 4096 bits, P-256 or P-384", r.name)
	}
	return p, nil
}

// nameOf is the name of an object (Part 1, 16): algorithm and digest of its public
// area; nil for an algorithm that is not taken.
func nameOf(alg tpm2.TPMAlgID, area []byte) []byte {
	h := crypto.SHA256
	switch alg {
	case tpm2.TPMAlgSHA256:
	case tpm2.TPMAlgSHA384:
		h = crypto.SHA384
	default:
		return nil
	}
	sum := h.New()
	_, _ = sum.Write(area) // a hash takes everything
	return sum.Sum(binary.BigEndian.AppendUint16(nil, uint16(alg)))
}

// keyOf is the key of a public area, nil for one that is not taken.
func keyOf(area *tpm2.TPMTPublic) crypto.PublicKey {
	key, err := tpm2.Pub(*area)
	if err != nil {
		return nil
	}
	switch k := key.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); k.E != defaultExponent || bits < 2048 || bits > 4096 || bits%1024 != 0 {
			return nil
		}
	case *ecdsa.PublicKey:
		bits := k.Curve.Params().BitSize
		if _, err := k.ECDH(); err != nil || bits != 256 && bits != 384 { // a point that is not on its curve
			return nil
		}
	}
	return key
}

// endorsement reads an endorsement key, which opens credentials: it must have a
// cipher that go-tpm and every TPM knows.
func endorsement(b []byte) (public, tpm2.LabeledEncapsulationKey, error) {
	p, err := readPublic(b, roleEK())
	if err != nil {
		return p, nil, err
	}
	if !aesCFB(p.area, 128, 256) {
		return p, nil, reason("endorsement key: cipher is not AES in the mode CFB")
	}
	k, err := tpm2.ImportEncapsulationKey(p.area)
	if err != nil {
		return p, nil, reason("endorsement key: cannot be used to make a credential")
	}
	return p, k, nil
}

// aesCFB reports whether an area, a parent's, protects children with AES of one of
// the sizes.
func aesCFB(area *tpm2.TPMTPublic, sizes ...tpm2.TPMKeyBits) bool {
	var s tpm2.TPMTSymDefObject
	if d, err := area.Parameters.RSADetail(); err == nil {
		s = d.Symmetric
	} else if d, err := area.Parameters.ECCDetail(); err == nil {
		s = d.Symmetric
	}
	if s.Algorithm != tpm2.TPMAlgAES {
		return false
	}
	bits, err := s.KeyBits.AES()
	if err != nil || !slices.Contains(sizes, *bits) {
		return false
	}
	mode, err := s.Mode.AES()
	return err == nil && *mode == tpm2.TPMAlgCFB
}

// attestationKey reads an attestation key: ECDSA P-256 with SHA-256, and nothing
// else, so that there is one way to verify.
func attestationKey(b []byte) (public, *ecdsa.PublicKey, error) {
	p, err := readPublic(b, roleAK())
	if err != nil {
		return p, nil, err
	}
	k, ok := p.key.(*ecdsa.PublicKey)
	d, err := p.area.Parameters.ECCDetail()
	if !ok || err != nil || d.CurveID != tpm2.TPMECCNistP256 || d.Scheme.Scheme != tpm2.TPMAlgECDSA || p.area.NameAlg != tpm2.TPMAlgSHA256 {
		return p, nil, reason("attestation key: is not ECDSA on P-256")
	}
	scheme, err := d.Scheme.Details.ECDSA()
	if err != nil || scheme.HashAlg != tpm2.TPMAlgSHA256 {
		return p, nil, reason("attestation key: does not sign with SHA-256")
	}
	return p, k, nil
}

// qualifying is the extraData of every statement: it shows that the secret of the
// credential was known, without telling it.
func qualifying(credential []byte) []byte {
	h := sha256.New()
	_, _ = h.Write([]byte("Lockstep attestation\x00")) // a hash takes everything
	_, _ = h.Write(credential)
	return h.Sum(nil)
}
