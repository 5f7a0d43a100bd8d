package attestationtest

import (
	"crypto/ecdsa"
	"crypto/rsa"

	"github.com/google/go-tpm/tpm2"
)

// Unrestricted are the attributes of a key that a TPM made and that works on any
// data.
func Unrestricted(sign, decrypt bool) tpm2.TPMAObject {
	return tpm2.TPMAObject{
		FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, NoDA: true, SignEncrypt: sign, Decrypt: decrypt,
	}
}

// Restricted are those of one that works on the TPM's own data only.
func Restricted(sign, decrypt bool) tpm2.TPMAObject {
	a := Unrestricted(sign, decrypt)
	a.Restricted = true
	return a
}

// RSA is the public area of a key; nil makes a template for one of 2048 bits.
func RSA(k *rsa.PublicKey, a tpm2.TPMAObject) tpm2.TPMTPublic {
	bits, modulus := 2048, []byte(nil)
	if k != nil {
		bits, modulus = k.N.BitLen(), k.N.Bytes()
	}
	return tpm2.TPMTPublic{
		Type: tpm2.TPMAlgRSA, NameAlg: tpm2.TPMAlgSHA256, ObjectAttributes: a,
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{
			Symmetric: tpm2.TPMTSymDefObject{Algorithm: tpm2.TPMAlgNull}, Scheme: tpm2.TPMTRSAScheme{Scheme: tpm2.TPMAlgNull}, KeyBits: tpm2.TPMKeyBits(bits),
		}),
		Unique: tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{Buffer: modulus}),
	}
}

// ECC is the public area of a P-256 key: ECDSA with SHA-256 when it signs, the
// parent of other keys when it decrypts. nil makes a template.
func ECC(k *ecdsa.PublicKey, a tpm2.TPMAObject) tpm2.TPMTPublic {
	p := tpm2.TPMSECCParms{
		Symmetric: tpm2.TPMTSymDefObject{Algorithm: tpm2.TPMAlgNull}, Scheme: tpm2.TPMTECCScheme{Scheme: tpm2.TPMAlgNull},
		CurveID: tpm2.TPMECCNistP256, KDF: tpm2.TPMTKDFScheme{Scheme: tpm2.TPMAlgNull},
	}
	if a.SignEncrypt {
		p.Scheme = tpm2.TPMTECCScheme{Scheme: tpm2.TPMAlgECDSA, Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSigSchemeECDSA{HashAlg: tpm2.TPMAlgSHA256})}
	}
	if a.Decrypt {
		p.Symmetric = AES(128)
	}
	return tpm2.TPMTPublic{
		Type: tpm2.TPMAlgECC, NameAlg: tpm2.TPMAlgSHA256, ObjectAttributes: a,
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &p), Unique: point(k),
	}
}

// AES is the cipher of a parent.
func AES(bits tpm2.TPMKeyBits) tpm2.TPMTSymDefObject {
	return tpm2.TPMTSymDefObject{
		Algorithm: tpm2.TPMAlgAES, KeyBits: tpm2.NewTPMUSymKeyBits(tpm2.TPMAlgAES, bits), Mode: tpm2.NewTPMUSymMode(tpm2.TPMAlgAES, tpm2.TPMAlgCFB),
	}
}

// point of a key; nil is that of a template.
func point(k *ecdsa.PublicKey) tpm2.TPMUPublicID {
	if k == nil {
		return tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{})
	}
	b, err := k.Bytes() // 04, X, Y
	if err != nil {
		panic(err)
	}
	half := len(b) / 2
	return tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{
		X: tpm2.TPM2BECCParameter{Buffer: b[1 : 1+half]}, Y: tpm2.TPM2BECCParameter{Buffer: b[1+half:]},
	})
}
